//! The destination of ended spans.

use std::sync::Arc;

use barograph_core::queue::Queue;
use barograph_model::span::SpanRecord;

/// A destination for spans that have ended. It must not block, because it runs on the thread that
/// ends the span.
pub trait SpanSink: Send + Sync {
    /// Accepts a span, or drops it and counts it as dropped.
    fn offer(&self, span: Box<SpanRecord>);

    /// Returns true if a span offered now would be dropped.
    fn is_full(&self) -> bool;

    /// Returns true if the spans are used. If it returns false, no span is recorded, but spans
    /// still have contexts. It is called once, when the layer is built.
    fn takes_spans(&self) -> bool {
        true
    }
}

/// A record queue that an exporter drains.
impl SpanSink for Arc<Queue<Box<SpanRecord>>> {
    #[inline]
    fn offer(&self, span: Box<SpanRecord>) {
        // The queue counts the spans that it rejects.
        let _ = self.push(span);
    }

    fn is_full(&self) -> bool {
        self.len() >= self.capacity()
    }
}
