//! The source of the requests of one signal.

use std::time::SystemTime;

use barograph_core::record_queue::QueueHandle;
use barograph_encode::otlp::{MetricReader, Request, Signal};

/// Builds the requests of one signal for one receiver, one export cycle after the other.
///
/// The pipeline calls [`begin`](Self::begin), then [`next`](Self::next) and [`ack`](Self::ack)
/// in turn until `next` returns `None` or the pipeline gives up the cycle. It begins no cycle before
/// the last request is settled.
pub trait RequestSource: Send {
    /// Returns the signal of its requests.
    fn signal(&self) -> Signal;

    /// Begins an export cycle: collects everything that is available now.
    fn begin(&mut self, now: SystemTime);

    /// Returns the next request of the cycle, or `None` at its end.
    fn next(&mut self) -> Option<Request>;

    /// Reports the fate of the request that `next` returned last.
    fn ack(&mut self, ack: Ack);

    /// Returns true if the next cycle covers everything that this one did, as for the state of
    /// metrics. An undelivered request is then superseded, not lost. Spans and log records are
    /// reported only once, so their requests are kept until they are delivered.
    fn is_superseded(&self) -> bool;

    /// Returns true if a request that may have arrived must be sent again unchanged, before anything
    /// newer. This holds for delta temporality: the same change would count twice if it were part of
    /// another request. Cumulative values may be reported afresh at once. Only asked if
    /// [`is_superseded`](Self::is_superseded) returns true; otherwise requests are always sent again
    /// unchanged.
    fn resends_ambiguous(&self) -> bool {
        true
    }

    /// Returns the record queue that the requests are built from, if there is one. It starts a cycle
    /// when a batch is waiting, and the ledger also counts its contents.
    fn queue(&self) -> Option<QueueHandle> {
        None
    }

    /// Returns the number of queued items that justify a cycle before its scheduled time.
    fn batch(&self) -> u64 {
        u64::MAX
    }

    /// Returns the items that were left out since the last call, because a single one exceeds the
    /// maximum size of a request.
    fn oversized(&mut self) -> Oversized {
        Oversized::default()
    }
}

/// Items that do not fit into any request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Oversized {
    /// The number of items.
    pub items: u64,
    /// The size in bytes of a request that holds only the largest of them.
    pub bytes: usize,
}

/// The acknowledgement of a request by its pipeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ack {
    /// The request was delivered, permanently refused, dropped or written to the persistent queue. It
    /// must not be built again.
    Done,
    /// The request was not delivered, as far as is known, and its contents may be reported again. Only
    /// used if the next cycle [supersedes](RequestSource::is_superseded) it.
    Undelivered,
}

impl RequestSource for MetricReader {
    fn signal(&self) -> Signal {
        Signal::Metrics
    }

    fn begin(&mut self, now: SystemTime) {
        self.begin(now);
    }

    fn next(&mut self) -> Option<Request> {
        self.next_request()
    }

    fn ack(&mut self, ack: Ack) {
        match ack {
            Ack::Done => self.ack(),
            // The next cycle reports again everything that was not acknowledged.
            Ack::Undelivered => {}
        }
    }

    fn is_superseded(&self) -> bool {
        true
    }

    fn resends_ambiguous(&self) -> bool {
        self.temporalities().uses_delta()
    }
}
