//! The known state of the persistent queue, as far as the last jobs have shown it.

use std::time::Duration;

use super::blocking::JobResult;
use crate::ledger::QueueOperation;
use crate::moment::{Instant, after};

/// The use that can be made of the persistent queue, and the number of items in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Availability {
    /// There is no persistent queue.
    None,
    /// It could not be opened yet.
    Closed,
    /// It is open and holds this many items.
    Open(u64),
    /// It has refused a request since one was last taken out of it.
    Full(u64),
    /// It could not be written in this cycle or the last one.
    Unwritable(u64),
}

/// The state of the persistent queue.
#[derive(Clone, Debug)]
pub(super) struct QueueState {
    availability: Availability,
    /// The time since which each operation has failed.
    failing: [Option<Instant>; QueueOperation::COUNT],
    /// The time of the next attempt to open it, and the pause before the one after that.
    next_open: (Instant, Duration),
}

impl QueueState {
    pub(super) fn new(availability: Availability, now: Instant) -> Self {
        let mut failing = [None; QueueOperation::COUNT];
        if availability == Availability::Closed {
            failing[QueueOperation::Open as usize] = Some(now);
        }
        QueueState {
            availability,
            failing,
            next_open: (after(now, FIRST_PAUSE), FIRST_PAUSE.saturating_mul(2)),
        }
    }

    /// Returns the number of items in it.
    pub(super) fn items(&self) -> u64 {
        match self.availability {
            Availability::None | Availability::Closed => 0,
            Availability::Open(items)
            | Availability::Full(items)
            | Availability::Unwritable(items) => items,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.items() == 0
    }

    /// Returns true if there is a persistent queue, whether it is open or not.
    pub(super) fn exists(&self) -> bool {
        self.availability != Availability::None
    }

    /// Returns true if a request can be appended to it.
    pub(super) fn has_room(&self) -> bool {
        matches!(self.availability, Availability::Open(_))
    }

    /// Returns the part of this time in which requests are sent. The rest is reserved for writing
    /// undelivered requests to the persistent queue.
    pub(super) fn send_time(&self, time: Duration) -> Duration {
        match self.exists() {
            true => time.saturating_sub(crate::moment::part(time, 4)),
            false => time,
        }
    }

    /// Returns the time of the next attempt to open it, if it is closed.
    pub(super) fn opens_at(&self) -> Option<Instant> {
        (self.availability == Availability::Closed).then_some(self.next_open.0)
    }

    /// Records an attempt to open it.
    pub(super) fn begin_open(&mut self, now: Instant) {
        let (_, pause) = self.next_open;
        self.next_open = (
            after(now, pause),
            pause.saturating_mul(2).min(LONGEST_PAUSE),
        );
    }

    /// Records that a request with this many items was delivered from it. The job that removes the
    /// request may end after the account is closed.
    pub(super) fn remove(&mut self, items: u64) {
        let after = self.items().saturating_sub(items);
        self.availability = match self.availability {
            Availability::Open(_) | Availability::Full(_) => Availability::Open(after),
            Availability::Unwritable(_) => Availability::Unwritable(after),
            closed => closed,
        };
    }

    /// Lets the next request be written to a queue that could not be written before.
    pub(super) fn retry_write(&mut self) {
        if let Availability::Unwritable(items) = self.availability {
            self.availability = Availability::Open(items);
        }
    }

    /// Returns true if it has been unreadable for so long that new requests are sent ahead of its
    /// contents.
    pub(super) fn is_unreadable(&self, now: Instant) -> bool {
        let since = self.failing[QueueOperation::Read as usize];
        since.is_some_and(|since| now.saturating_duration_since(since) >= IN_ORDER)
    }

    /// Returns true if an operation failed when it was last tried.
    pub(super) fn is_failing(&self) -> bool {
        self.failing.iter().any(Option::is_some)
    }

    /// Applies the result of a job.
    pub(super) fn update(&mut self, result: &JobResult, now: Instant) {
        if !self.exists() {
            return;
        }
        for (tried, failing) in result.tried.iter().zip(&mut self.failing) {
            match tried {
                None => {}
                Some(Ok(())) => *failing = None,
                Some(Err(_)) => {
                    failing.get_or_insert(now);
                }
            }
        }
        let is_written = !matches!(result.tried[QueueOperation::Write as usize], Some(Err(_)));
        let items = result.pending;
        self.availability = match self.availability {
            _ if !result.is_open => Availability::Closed,
            _ if !is_written => Availability::Unwritable(items),
            Availability::Unwritable(_) => Availability::Unwritable(items),
            _ if result.refused > 0 => Availability::Full(items),
            Availability::Full(before) if items >= before => Availability::Full(items),
            _ => Availability::Open(items),
        };
    }
}

/// The pause after the first failed attempt to open the persistent queue. Each further pause is twice
/// as long.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// The longest of these pauses, and so the longest time until a service takes over the persistent
/// queue of its predecessor after that has ended.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// The time for which new requests wait behind a persistent queue that cannot be read. After that they
/// are sent first: a disk that stays broken must not hold up current telemetry.
const IN_ORDER: Duration = Duration::from_secs(60);
