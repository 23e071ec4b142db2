//! The handle to an installed layer.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use barograph_core::record_queue::Room;
#[cfg(feature = "test-util")]
use barograph_model::span::SpanRecord;

use super::metrics::SpanMetrics;
use super::tracer::Tracer;

/// A handle to a [`TraceLayer`](super::TraceLayer), which stays usable after the layer is
/// installed. All clones refer to the same layer.
#[derive(Clone)]
pub struct TraceHandle {
    tracer: Arc<Tracer>,
}

impl TraceHandle {
    pub(super) fn new(tracer: Arc<Tracer>) -> Self {
        TraceHandle { tracer }
    }

    /// Ends the open spans with their current state and puts them into the queues of the exporters,
    /// for a process that exits. Their records carry the attribute `barograph.span.unfinished`.
    ///
    /// It stops when the queues have no `room` and returns the number of spans that are left; the
    /// caller waits for exports and calls it again. Later changes to these spans are not recorded.
    pub fn finish_open(&self, room: Room) -> usize {
        self.tracer.finish_open(room)
    }

    /// Ends all open spans as `finish_open` does, but does not stop when a queue is full: the spans
    /// that do not fit are dropped and counted by the queue. Use it when the queues are no longer
    /// drained.
    pub fn finish_all(&self) {
        self.tracer.finish_all();
    }

    /// Returns copies of the records of the spans that are open. They stay open; their end time is 0.
    #[cfg(feature = "test-util")]
    pub fn open_spans(&self) -> Vec<SpanRecord> {
        self.tracer.open_spans()
    }

    /// Returns the metrics of spans.
    pub fn metrics(&self) -> &SpanMetrics {
        &self.tracer.metrics
    }

    /// Returns the number of spans that were not recorded and have no context because too many
    /// spans were open at once.
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
