//! Records of the `log` crate.

use std::sync::Once;
use std::time::Duration;

use barograph_core::current;
use barograph_core::record_queue::RecordQueue;
use barograph_tracing::filter::{AnyFilter, Filter};
use barograph_tracing::log::{Colors, Format};
use barograph_tracing::trace::TraceLayer;
use tracing_log::log;
use tracing_subscriber::Registry;
use tracing_subscriber::layer::{Layer, SubscriberExt as _};

use crate::sheet::{Sheet, TIME, context, terminal, written};

fn install() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| tracing_log::LogTracer::init().unwrap());
}

#[test]
fn records_of_the_log_crate_are_lines_too() {
    install();
    let log = || {
        let _guard = current::enter(context());
        log::warn!(target: "old::crate", "said {}\n", 7);
    };
    let output = written(terminal(Format::Pretty(Colors::Off)), log);
    let ids = "trace_id=0af7651916cd43dd8448eb211c80319c span_id=b7ad6b7169203331";
    assert_eq!(
        output,
        format!("{TIME}  WARN old::crate: said 7\\n {ids}\n")
    );
    let output = written(terminal(Format::Json), log);
    assert_eq!(
        output,
        format!(
            "{{\"timestamp\":\"{TIME}\",\"severity\":\"WARN\",\"target\":\"old::crate\",\
             \"trace_id\":\"0af7651916cd43dd8448eb211c80319c\",\"span_id\":\"b7ad6b7169203331\",\
             \"trace_flags\":\"01\",\"message\":\"said 7\\n\"}}\n"
        )
    );
}

#[test]
fn records_of_the_log_crate_are_filtered_by_their_own_target() {
    install();
    for is_own in [false, true] {
        let filter: Filter = "error,old::crate=warn".parse().unwrap();
        let (terminal, writer) = terminal(Format::Pretty(Colors::Off)).build();
        let sheet = Sheet::default();
        let out = sheet.clone();
        let thread = std::thread::spawn(|| writer.run(out));
        let spans = RecordQueue::new(8);
        let (lines, trace) = (terminal.layer(), TraceLayer::new(spans.clone()));
        let layers: Vec<Box<dyn Layer<Registry> + Send + Sync>> = match is_own {
            false => vec![
                lines.with_filter(filter.clone()).boxed(),
                trace.with_filter(filter).boxed(),
            ],
            true => vec![
                AnyFilter::new([filter.clone()]).boxed(),
                lines.with_own_filter(filter.clone()).boxed(),
                trace.with_own_filter(filter).boxed(),
            ],
        };
        let subscriber = tracing_subscriber::registry().with(layers);
        tracing::subscriber::with_default(subscriber, || {
            let _span = tracing::error_span!("request").entered();
            log::warn!(target: "old::crate", "shown");
            log::warn!(target: "other::crate", "not shown");
            log::info!(target: "old::crate", "not shown");
            log::error!(target: "other::crate", "shown");
        });
        terminal.shutdown(Duration::from_secs(20)).unwrap();
        thread.join().unwrap();
        let span = spans.pop().unwrap();
        let lines = sheet.text();
        let lines: Vec<_> = lines
            .lines()
            .filter_map(|line| line.split(" in ").next())
            .collect();
        assert_eq!(
            lines,
            [
                format!("{TIME}  WARN old::crate: shown"),
                format!("{TIME} ERROR other::crate: shown")
            ]
        );
        let events = span.events.iter().map(|event| &*event.name);
        assert_eq!(events.collect::<Vec<_>>(), ["shown", "shown"]);
    }
}
