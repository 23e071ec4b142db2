//! Where spans go.

use std::sync::Arc;

use barograph_core::queue::Queue;
use barograph_model::span::SpanRecord;

/// Takes spans that have ended. It must not block: it runs where they end.
pub trait SpanSink: Send + Sync {
    /// Takes a span, or counts it as dropped.
    fn offer(&self, span: Box<SpanRecord>);

    /// Whether a span that is offered now would be dropped.
    fn is_full(&self) -> bool;

    /// Whether anybody gets the spans. Where nobody does, none is recorded; they have contexts all the
    /// same. Asked once, by the layer that is made.
    fn takes_spans(&self) -> bool {
        true
    }
}

/// A queue, from which an exporter takes.
impl SpanSink for Arc<Queue<Box<SpanRecord>>> {
    #[inline]
    fn offer(&self, span: Box<SpanRecord>) {
        // What is refused is counted by the queue.
        let _ = self.push(span);
    }

    fn is_full(&self) -> bool {
        self.len() >= self.capacity()
    }
}
