//! Undelivered telemetry is counted.

use std::time::Duration;

use barograph::RateLimit;
use barograph::Registry;
use barograph::Telemetry;
use barograph::export::Protocol;
use barograph::export::Schedule;
use barograph::sampling::Rule;
use barograph::testing::TestBuilder as _;
use barograph::{TailSampling, sampling::TailSamplingConfig};
use tracing::{Dispatch, info, info_span};
use tracing_subscriber::layer::SubscriberExt as _;

use crate::push::LIMIT;
use crate::receiver::{Behavior, Receiver};
use crate::service::builder;

/// Returns the value of the line on the page that begins with this text.
#[track_caller]
fn value(telemetry: &Telemetry, start: &str) -> u64 {
    let page = telemetry.render(None).body;
    let line = page
        .lines()
        .find(|line| line.starts_with(&format!("{start} ")));
    let line = line.unwrap_or_else(|| panic!("{start} in {page}"));
    line.rsplit(' ').next().unwrap().parse().unwrap()
}

fn subscriber(telemetry: &Telemetry) -> Dispatch {
    Dispatch::new(tracing_subscriber::registry().with(telemetry.layer()))
}

/// A schedule whose first export comes only long after a test.
fn patient() -> Schedule {
    Schedule::new().with_interval(Duration::from_secs(3600))
}

#[test]
fn spans_that_find_a_full_queue_are_dropped_and_counted() {
    let receiver = Receiver::start(Protocol::HttpProtobuf, Behavior::Takes);
    let telemetry = builder(&Registry::new())
        .with_push(
            receiver
                .push_spans()
                .with_queue(4, 4)
                .with_schedule(patient()),
        )
        .with_push(
            receiver
                .push_records()
                .with_queue(3, 3)
                .with_schedule(patient()),
        )
        .without_subscriber()
        .start()
        .unwrap();
    // A full batch notifies the exporter at once, which may run before or after the next span.
    tracing::dispatcher::with_default(&subscriber(&telemetry), || {
        for _ in 0..5_000 {
            info_span!("many").in_scope(|| info!("said"));
        }
    });
    assert_eq!(telemetry.flush(LIMIT), Ok(()));
    for (signal, arrived) in [
        ("traces", receiver.spans().len()),
        ("logs", receiver.records().len()),
    ] {
        let of = format!(r#"signal="{signal}",reader="test""#);
        let produced = value(
            &telemetry,
            &format!("barograph_export_produced_total{{{of}}}"),
        );
        let exported = value(
            &telemetry,
            &format!("barograph_export_exported_total{{{of}}}"),
        );
        let dropped = format!(r#"barograph_export_dropped_total{{{of},reason="queue_full"}}"#);
        let dropped = value(&telemetry, &dropped);
        assert_eq!((produced, exported), (5_000, arrived as u64), "{signal}");
        assert_eq!(exported + dropped, produced, "{signal}");
        assert!(dropped > 0, "{signal}");
    }
}

#[test]
fn records_that_are_too_many_of_their_kind_are_counted() {
    let receiver = Receiver::start(Protocol::HttpProtobuf, Behavior::Takes);
    let telemetry = builder(&Registry::new())
        .with_push(receiver.push_records())
        .with_rate_limit(RateLimit::per_second(1).with_burst(2))
        .without_subscriber()
        .start()
        .unwrap();
    tracing::dispatcher::with_default(&subscriber(&telemetry), || {
        (0..100).for_each(|_| info!("the same"));
        info!("another");
    });
    assert_eq!(telemetry.flush(LIMIT), Ok(()));
    let arrived = receiver.records().len() as u64;
    assert!((3..20).contains(&arrived), "{arrived}");
    let suppressed = value(&telemetry, "barograph_log_records_suppressed_total");
    assert_eq!(suppressed, 101 - arrived);
}

#[test]
fn sampled_and_dropped_traces_are_counted() {
    let receiver = Receiver::start(Protocol::HttpProtobuf, Behavior::Takes);
    let telemetry = builder(&Registry::new())
        .with_environment(|name| {
            let value = match name {
                "OTEL_TRACES_SAMPLER" => "always_off",
                "BAROGRAPH_TAIL_SAMPLING_TRACES_PER_SECOND" => "1000",
                "BAROGRAPH_TAIL_SAMPLING_SLOW_THRESHOLD" => "50",
                _ => return None,
            };
            Some(value.to_owned())
        })
        .with_push(receiver.push_spans())
        .without_subscriber()
        .start()
        .unwrap();
    tracing::dispatcher::with_default(&subscriber(&telemetry), || {
        for _ in 0..3 {
            info_span!("not_interesting").in_scope(|| drop(info_span!("below")));
        }
        info_span!("failed").in_scope(|| tracing::error!("it failed"));
        info_span!("slow").in_scope(|| std::thread::sleep(Duration::from_millis(60)));
    });
    assert_eq!(telemetry.flush(LIMIT), Ok(()));
    let mut names: Vec<_> = receiver.spans().into_iter().map(|span| span.name).collect();
    names.sort();
    assert_eq!(names, ["failed", "slow"]);
    for (line, expected) in [
        (
            r#"barograph_tail_sampling_traces_sampled_total{reason="error"}"#,
            1,
        ),
        (
            r#"barograph_tail_sampling_traces_sampled_total{reason="slow"}"#,
            1,
        ),
        (
            r#"barograph_tail_sampling_traces_sampled_total{reason="exemplar"}"#,
            0,
        ),
        (
            r#"barograph_tail_sampling_traces_dropped_total{reason="not_interesting"}"#,
            3,
        ),
        (
            r#"barograph_tail_sampling_traces_dropped_total{reason="over_budget"}"#,
            0,
        ),
        (
            r#"barograph_tail_sampling_spans_total{outcome="exported"}"#,
            2,
        ),
        (
            r#"barograph_tail_sampling_spans_total{outcome="not_interesting"}"#,
            6,
        ),
        ("barograph_spans_untracked_total", 0),
    ] {
        assert_eq!(value(&telemetry, line), expected, "{line}");
    }
}

#[test]
fn variables_of_tail_sampling_keep_the_other_settings_of_the_program() {
    const HOUR: Duration = Duration::from_secs(3600);
    for (variable, set, threshold) in [
        (
            "BAROGRAPH_TAIL_SAMPLING_TRACES_PER_SECOND",
            "1000",
            Duration::from_millis(50),
        ),
        ("BAROGRAPH_TAIL_SAMPLING_SLOW_THRESHOLD", "50", HOUR),
    ] {
        let receiver = Receiver::start(Protocol::HttpProtobuf, Behavior::Takes);
        let config = TailSamplingConfig::default().with_slow(Rule::new(), threshold);
        let telemetry = builder(&Registry::new())
            .with_environment(move |name| match name {
                "OTEL_TRACES_SAMPLER" => Some("always_off".to_owned()),
                name => (name == variable).then(|| set.to_owned()),
            })
            .with_tail_sampling(TailSampling::new(config))
            .with_push(receiver.push_spans())
            .without_subscriber()
            .start()
            .unwrap();
        tracing::dispatcher::with_default(&subscriber(&telemetry), || {
            info_span!("slow").in_scope(|| std::thread::sleep(Duration::from_millis(60)));
        });
        assert_eq!(telemetry.flush(LIMIT), Ok(()));
        let names: Vec<_> = receiver.spans().into_iter().map(|span| span.name).collect();
        assert_eq!(names, ["slow"], "{variable}");
    }
}
