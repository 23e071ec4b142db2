//! Histograms that observe negative values, as readers see them.

use std::sync::Arc;
use std::time::SystemTime;

use barograph::Resource;
use barograph::source::Source;
use barograph::testing::Capture;
use barograph_encode::otlp::{Encoding, MetricReader, Temporalities};

/// Returns the lines of a page with sums and counts.
fn lines(capture: &Capture, accept: &str) -> Vec<String> {
    let page = capture.pages().render(Some(accept)).body;
    let lines = page.lines().filter(|line| line.starts_with("event_lag"));
    let lines = lines.filter(|line| ["_sum", "_count", "+Inf"].iter().any(|s| line.contains(s)));
    lines.map(String::from).collect()
}

/// Returns true if the next request of a reader has a sum; asserts that it has the count.
fn has_sum(reader: &mut MetricReader, count: usize) -> bool {
    reader.begin(SystemTime::now());
    let request = reader.next_request().unwrap();
    reader.ack();
    let body = String::from_utf8(request.body.to_vec()).unwrap();
    assert!(body.contains(&format!(r#""count":"{count}""#)), "{body}");
    body.contains(r#""sum":"#)
}

#[test]
fn a_sum_that_was_left_out_does_not_come_back() {
    let capture = Capture::new();
    let lag = capture.registry().histogram("event.lag").with_unit("s");
    let lag = lag.build().unwrap();
    let source: Arc<dyn Source> = Arc::new(capture.registry().clone());
    let reader =
        || MetricReader::new(&Resource::new(), [Arc::clone(&source)]).with_encoding(Encoding::Json);
    let mut cumulative = reader();
    let mut delta = reader().with_temporalities(Temporalities::DELTA);
    let openmetrics = "application/openmetrics-text; version=1.0.0";

    lag.observe(20.0);
    assert!(has_sum(&mut cumulative, 1) && has_sum(&mut delta, 1));
    assert_eq!(
        lines(&capture, openmetrics),
        [
            r#"event_lag_seconds_bucket{le="+Inf"} 1"#,
            "event_lag_seconds_sum 20",
            "event_lag_seconds_count 1"
        ]
    );
    let mut sum = 20.0;
    for (count, value) in (2..).zip([-1.0, -30.0, 31.0, 500.0]) {
        lag.observe(value);
        sum += value;
        assert!(!has_sum(&mut cumulative, count), "{value}");
        assert!(!has_sum(&mut delta, 1), "{value}");
        // Where the sum would be a decreasing counter, the format omits the count, too.
        assert_eq!(
            lines(&capture, openmetrics),
            [format!(r#"event_lag_seconds_bucket{{le="+Inf"}} {count}"#)]
        );
        assert_eq!(
            lines(&capture, "text/plain"),
            [
                format!(r#"event_lag_seconds_bucket{{le="+Inf"}} {count}"#),
                format!("event_lag_seconds_sum {sum}"),
                format!("event_lag_seconds_count {count}")
            ]
        );
    }
}
