use barograph_core::record_queue::RecordQueue;
use barograph_model::suppression;
use barograph_tracing::log::{Format, LogLayer};
use barograph_tracing::trace::TraceLayer;
use tracing::{info, info_span};
use tracing_subscriber::layer::SubscriberExt as _;

use crate::sheet::{self, Sheet};

#[test]
fn nothing_is_made_while_telemetry_is_suppressed() {
    let spans = RecordQueue::new(100);
    let records = RecordQueue::new(100);
    let (terminal, writer) = sheet::terminal(Format::Json).build();
    let sheet = Sheet::default();
    let out = sheet.clone();
    let thread = std::thread::spawn(|| writer.run(out));
    let subscriber = tracing_subscriber::registry()
        .with(TraceLayer::new(spans.clone()))
        .with(LogLayer::new(records.clone()))
        .with(terminal.layer());
    tracing::subscriber::with_default(subscriber, || {
        let outer = info_span!("outer").entered();
        info!("before");
        let suppressed = suppression::suppress();
        info!("suppressed");
        info!(parent: &outer, "suppressed, with a parent");
        let span = info_span!("suppressed", id = 1).entered();
        info!("inside of a span that is suppressed");
        drop(suppressed);
        // A span that started while suppressed is not part of the trace; spans inside of it are.
        span.record("id", 2);
        info_span!("inner").in_scope(|| info!("after"));
        drop(span);
        drop(outer);
    });
    terminal
        .shutdown(std::time::Duration::from_secs(20))
        .unwrap();
    thread.join().unwrap();
    let spans: Vec<_> = std::iter::from_fn(|| spans.pop()).collect();
    let names: Vec<_> = spans.iter().map(|span| &*span.name).collect();
    assert_eq!(names, ["inner", "outer"]);
    let parent = spans[0].parent.map(|parent| parent.span_id);
    assert_eq!(parent, Some(spans[1].context.span_id()));
    let events = spans.iter().flat_map(|span| &span.events);
    let events: Vec<_> = events.map(|event| &*event.name).collect();
    assert_eq!(events, ["after", "before"]);
    let records = std::iter::from_fn(|| records.pop());
    let bodies = records.map(|record| record.body);
    let bodies: Vec<_> = bodies.map(Option::unwrap).collect();
    assert_eq!(bodies, ["before".into(), "after".into()]);
    let text = sheet.text();
    assert_eq!(text.lines().count(), 2, "{text}");
}
