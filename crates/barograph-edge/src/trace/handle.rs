//! What remains of a layer in the hands of whoever installs it.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::metrics::SpanMetrics;
use super::tracer::Tracer;

/// What remains of a [`TraceLayer`](super::TraceLayer) in the hands of whoever installs it. Clones are
/// the same.
#[derive(Clone)]
pub struct TraceHandle {
    tracer: Arc<Tracer>,
}

impl TraceHandle {
    pub(super) fn new(tracer: Arc<Tracer>) -> Self {
        TraceHandle { tracer }
    }

    /// Ends the spans that are open, as they stand, and puts them into the queue: for a process that
    /// ends. They carry `barograph.span.unfinished`.
    ///
    /// It stops when the queue is full, and says how many spans are left; whoever has taken from the
    /// queue calls again. What happens in a span later is not recorded any more.
    pub fn finish_open(&self) -> usize {
        self.tracer.finish_open()
    }

    /// The same with all spans that are open: what the queue has no room for is dropped and counted
    /// there. For when nobody takes from the queue any more.
    pub fn finish_all(&self) {
        self.tracer.finish_all();
    }

    /// What is counted of spans.
    pub fn metrics(&self) -> &SpanMetrics {
        &self.tracer.metrics
    }

    /// Spans that were not recorded and have no context because too many were open at once.
    pub fn untracked(&self) -> u64 {
        self.tracer.untracked.load(Ordering::Relaxed)
    }
}

impl fmt::Debug for TraceHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TraceHandle")
            .field("live", &self.metrics().live())
            .field("untracked", &self.untracked())
            .finish_non_exhaustive()
    }
}
