//! What makes the requests of one signal.

use std::sync::Arc;
use std::time::SystemTime;

use crate::otlp::{MetricReader, Request, Signal};
use crate::push::inflow::Backlog;

/// Makes requests of one signal for one receiver, round after round.
///
/// The loop calls [`begin`](Self::begin), then [`next`](Self::next) and [`settle`](Self::settle) in
/// turn until `next` has nothing more, or until it gives the round up. It begins no round before the
/// last request is settled.
pub trait Feed: Send {
    /// What it makes.
    fn signal(&self) -> Signal;

    /// Begins a round: collects what there is at this moment.
    fn begin(&mut self, now: SystemTime);

    /// The next request of the round, none at its end.
    fn next(&mut self) -> Option<Request>;

    /// Says what became of the request that was given last.
    fn settle(&mut self, fate: Fate);

    /// Whether the next round says all that this one said, and more: the state of metrics. What was
    /// not delivered is then overtaken, not lost. Spans and log records come once only, and are kept.
    fn is_overtaken(&self) -> bool;

    /// Whether a request that may have arrived must be sent again as it was, before anything newer:
    /// what tells differences, which would count twice if they were told in other words. The sum of
    /// everything so far may be told anew at once. Asked where [`is_overtaken`](Self::is_overtaken)
    /// holds; what is kept is always sent as it was.
    fn resends_ambiguous(&self) -> bool {
        true
    }

    /// The queue that it takes from, if it does. The ledger counts what is in it, too.
    fn backlog(&self) -> Option<Arc<dyn Backlog>> {
        None
    }

    /// How many items in that queue make a request worth its while before its time.
    fn batch(&self) -> u64 {
        u64::MAX
    }

    /// What was larger by itself than a request may be, and was left out, since this was asked last.
    fn oversized(&mut self) -> Oversized {
        Oversized::default()
    }
}

/// Items that no request has room for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Oversized {
    /// How many.
    pub items: u64,
    /// The size in bytes of a request that would hold the largest of them.
    pub bytes: usize,
}

/// What became of a request, as far as its feed has to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It was delivered, refused for good, or written to the persistent queue: not to be made again.
    Settled,
    /// It did not reach anybody: what was in it may be told again. Only said where the next round
    /// [overtakes](Feed::is_overtaken) it.
    Undone,
}

impl Feed for MetricReader {
    fn signal(&self) -> Signal {
        Signal::Metrics
    }

    fn begin(&mut self, now: SystemTime) {
        self.begin(now);
    }

    fn next(&mut self) -> Option<Request> {
        self.next_request()
    }

    fn settle(&mut self, fate: Fate) {
        match fate {
            Fate::Settled => self.settle(),
            // Told again by the next round, as everything that was not settled.
            Fate::Undone => {}
        }
    }

    fn is_overtaken(&self) -> bool {
        true
    }

    fn resends_ambiguous(&self) -> bool {
        self.temporalities().tell_differences()
    }
}
