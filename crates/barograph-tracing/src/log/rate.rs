//! The rate limit of log lines and log records for each callsite.
//!
//! Each callsite has a separate bucket, so that a noisy callsite does not suppress the others. So has
//! each error type of an operation: the lines of its failures have one callsite. The table has room for
//! [`PLACES`] buckets and needs no lock; events without a place in it are not limited.

use std::fmt;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use tracing::field::{Field, Visit};
use tracing::{Event, Metadata};

use super::origin::Origin;

/// The maximum rate of events for each callsite, and for each error type of an operation.
///
/// The other events are counted, and the next event that passes reports their number.
///
/// ```
/// # mod barograph {
/// #     pub use barograph_tracing::log::RateLimit;
/// # }
/// use barograph::RateLimit;
/// let limit = RateLimit::per_second(100).with_burst(1_000);
/// # let _ = limit;
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimit {
    per_second: u32,
    burst: u32,
}

impl RateLimit {
    /// Creates a limit of this number of events per second, at least one. The burst is the same
    /// number.
    pub const fn per_second(events: u32) -> Self {
        let events = if events == 0 { 1 } else { events };
        RateLimit {
            per_second: events,
            burst: events,
        }
    }

    /// Sets the burst: the number of events that pass at once after a pause, at least one.
    #[must_use]
    pub const fn with_burst(self, events: u32) -> Self {
        RateLimit {
            burst: if events == 0 { 1 } else { events },
            ..self
        }
    }
}

/// The decision for an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RateDecision {
    /// The event passes; `suppressed` is the number of similar events that did not.
    Pass { suppressed: u64 },
    /// The event is suppressed.
    Suppress,
}

/// The buckets of all callsites.
#[derive(Debug)]
pub(super) struct Limiter {
    /// The nanoseconds between two events at the maximum rate.
    interval: u64,
    /// The nanoseconds that a bucket may be ahead of the time.
    ahead: u64,
    places: Box<[Bucket]>,
    hasher: RandomState,
}

/// The target of the log lines of operations.
pub(crate) const OPERATIONS_TARGET: &str = "barograph::observe";

/// The number of buckets.
const PLACES: usize = 1_024;

/// The number of places in the table that a callsite may use.
const TRIES: usize = 16;

/// The bucket of a callsite. Its level is stored as the time at which it would be empty, which is
/// one number.
#[derive(Debug, Default)]
struct Bucket {
    /// The key of the callsite, or 0 if the place is free.
    key: AtomicU64,
    empty_at: AtomicU64,
    suppressed: AtomicU64,
    callsite: OnceLock<&'static Metadata<'static>>,
}

impl Limiter {
    pub(super) fn new(limit: RateLimit) -> Self {
        let interval = 1_000_000_000 / u64::from(limit.per_second);
        Limiter {
            interval,
            ahead: interval * u64::from(limit.burst - 1),
            places: (0..PLACES).map(|_| Bucket::default()).collect(),
            hasher: RandomState::new(),
        }
    }

    /// Decides whether an event passes at this time.
    pub(super) fn ask(
        &self,
        origin: &Origin<'_>,
        event: &Event<'_>,
        unix_nanos: u64,
    ) -> RateDecision {
        // Messages of the library itself are rare, and all of them come from a few callsites.
        if origin.metadata().target() == "barograph" {
            return RateDecision::Pass { suppressed: 0 };
        }
        let Some(bucket) = self.bucket(origin, event) else {
            return RateDecision::Pass { suppressed: 0 };
        };
        let fill = |empty_at: u64| {
            let empty_at = empty_at.max(unix_nanos);
            (empty_at - unix_nanos <= self.ahead).then_some(empty_at.saturating_add(self.interval))
        };
        let filled = bucket
            .empty_at
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, fill);
        match filled {
            Ok(_) => RateDecision::Pass {
                suppressed: bucket.suppressed.swap(0, Ordering::Relaxed),
            },
            Err(_) => {
                bucket.suppressed.fetch_add(1, Ordering::Relaxed);
                RateDecision::Suppress
            }
        }
    }

    /// Takes the number of suppressed events of each callsite that may pass again, and shows it.
    pub(super) fn sweep(
        &self,
        unix_nanos: u64,
        mut show: impl FnMut(u64, Option<&'static Metadata<'static>>),
    ) {
        for bucket in &self.places {
            let empty_at = bucket.empty_at.load(Ordering::Relaxed);
            let is_open = empty_at.saturating_sub(unix_nanos) <= self.ahead;
            if is_open && bucket.suppressed.load(Ordering::Relaxed) > 0 {
                let suppressed = bucket.suppressed.swap(0, Ordering::Relaxed);
                if suppressed > 0 {
                    show(suppressed, bucket.callsite.get().copied());
                }
            }
        }
    }

    fn bucket(&self, origin: &Origin<'_>, event: &Event<'_>) -> Option<&Bucket> {
        let key = self.key(origin, event);
        let first = key as usize % PLACES;
        (first..first + TRIES).find_map(|place| {
            let bucket = &self.places[place % PLACES];
            let taken = bucket
                .key
                .compare_exchange(0, key, Ordering::Relaxed, Ordering::Relaxed);
            match taken {
                Ok(_) => {
                    if let Some(callsite) = origin.lasting() {
                        // Only the thread that took the place sets the callsite.
                        let _ = bucket.callsite.set(callsite);
                    }
                    Some(bucket)
                }
                Err(owner) => (owner == key).then_some(bucket),
            }
        })
    }

    /// Returns a key for a callsite. Two callsites with the same key share a bucket, which is as
    /// unlikely as a collision of 64-bit hashes.
    fn key(&self, origin: &Origin<'_>, event: &Event<'_>) -> u64 {
        let metadata = origin.metadata();
        let hash = match origin.lasting() {
            Some(callsite) if callsite.target() == OPERATIONS_TARGET => {
                let mut error_type = ErrorTypeHash(0, &self.hasher);
                event.record(&mut error_type);
                self.hasher.hash_one((callsite.callsite(), error_type.0))
            }
            Some(callsite) => self.hasher.hash_one(callsite.callsite()),
            // All records of the `log` crate with the same level have the same callsite.
            None => self.hasher.hash_one((
                metadata.target(),
                metadata.file(),
                metadata.line(),
                metadata.level(),
            )),
        };
        hash.max(1)
    }
}

/// The hash of the field `error.type` of an event, or 0 without one.
struct ErrorTypeHash<'a>(u64, &'a RandomState);

impl Visit for ErrorTypeHash<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "error.type" {
            self.0 = self.1.hash_one(value);
        }
    }

    fn record_debug(&mut self, _: &Field, _: &dyn fmt::Debug) {}
}
