//! A layer with a queue, and helpers to inspect its spans.

use barograph_core::record_queue::RecordQueue;
use barograph_model::context::{TraceContext, TraceFlags};
use barograph_model::span::SpanRecord;
use barograph_model::value::{AnyValue, Attribute};
use barograph_tracing::trace::{TraceHandle, TraceLayer, TraceLayerBuilder};
use tracing_subscriber::prelude::*;

/// The queue of exported spans.
pub(super) type Spans = RecordQueue<SpanRecord>;

pub(super) fn queue() -> Spans {
    RecordQueue::new(100_000)
}

/// Returns the spans that `run` creates, in the order in which they close.
pub(super) fn spans(run: impl FnOnce()) -> Vec<SpanRecord> {
    spans_of(|builder| builder, |_| run())
}

/// Returns the spans that `run` creates with a layer that `set` configures.
pub(super) fn spans_of(
    set: impl FnOnce(TraceLayerBuilder) -> TraceLayerBuilder,
    run: impl FnOnce(&TraceHandle),
) -> Vec<SpanRecord> {
    let queue = queue();
    let layer = set(TraceLayer::builder(queue.clone())).build();
    let handle = layer.handle();
    let subscriber = tracing_subscriber::registry().with(layer);
    tracing::subscriber::with_default(subscriber, || run(&handle));
    all(&queue)
}

/// Returns all spans in a queue.
pub(super) fn all(queue: &Spans) -> Vec<SpanRecord> {
    std::iter::from_fn(|| queue.pop())
        .map(|span| *span)
        .collect()
}

/// Returns the only span with this name.
#[track_caller]
pub(super) fn named<'a>(spans: &'a [SpanRecord], name: &str) -> &'a SpanRecord {
    let found: Vec<_> = spans.iter().filter(|span| span.name == name).collect();
    assert_eq!(found.len(), 1, "spans of the name {name}: {found:?}");
    found[0]
}

/// Returns an attribute, for comparisons.
pub(super) fn attribute(key: &'static str, value: impl Into<AnyValue>) -> Attribute {
    Attribute::new(key, value)
}

/// Returns the value of an attribute.
pub(super) fn value<'a>(attributes: &'a [Attribute], key: &str) -> Option<&'a AnyValue> {
    let mut all = attributes.iter().filter(|attribute| attribute.key == key);
    let found = all.next().map(|attribute| &attribute.value);
    assert!(all.next().is_none(), "{key} is there twice: {attributes:?}");
    found
}

/// Returns the context of a remote caller.
pub(super) fn remote(flags: TraceFlags) -> TraceContext {
    let context = TraceContext::new(0xabc << 64 | 7, 0xdef, flags).unwrap();
    context.as_remote()
}

/// Asserts that one span is the parent of another.
#[track_caller]
pub(super) fn assert_child(child: &SpanRecord, parent: &SpanRecord) {
    assert_eq!(child.context.trace_id(), parent.context.trace_id());
    let parent_id = child.parent.map(|parent| parent.span_id);
    assert_eq!(
        parent_id,
        Some(parent.context.span_id()),
        "{} of {}",
        child.name,
        parent.name
    );
    assert!(child.parent.is_some_and(|parent| !parent.is_remote));
}
