//! How often one place in the program is heard.
//!
//! Each callsite has a bucket of its own, so that one that talks without end does not silence the
//! others. The table has room for [`PLACES`] of them and needs no lock; a callsite that finds none is
//! not limited.

use std::hash::{BuildHasher as _, RandomState};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use tracing::Metadata;

use super::origin::Origin;

/// How many events of one callsite come through.
///
/// The rest is counted, and the next one that comes through says how many there were.
///
/// ```
/// use barograph_edge::log::RateLimit;
/// let limit = RateLimit::per_second(100).with_burst(1_000);
/// # let _ = limit;
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimit {
    per_second: u32,
    burst: u32,
}

impl RateLimit {
    /// So many a second, at least one; as many at once after a pause.
    pub const fn per_second(events: u32) -> Self {
        let events = if events == 0 { 1 } else { events };
        RateLimit {
            per_second: events,
            burst: events,
        }
    }

    /// So many at once after a pause, at least one.
    #[must_use]
    pub const fn with_burst(self, events: u32) -> Self {
        RateLimit {
            burst: if events == 0 { 1 } else { events },
            ..self
        }
    }
}

/// Whether an event comes through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It does, and so many like it did not.
    Pass { suppressed: u64 },
    /// It does not.
    Suppress,
}

/// The buckets of all callsites.
#[derive(Debug)]
pub(super) struct Limiter {
    /// Nanoseconds between two events at the rate that is allowed.
    interval: u64,
    /// Nanoseconds that a bucket may be ahead of the time.
    ahead: u64,
    places: Box<[Bucket]>,
    hasher: RandomState,
}

/// Callsites that are limited.
const PLACES: usize = 1_024;

/// Places that a callsite may have in the table.
const TRIES: usize = 16;

/// A callsite's bucket. It is kept as the time at which it would be empty again, which is one number.
#[derive(Debug, Default)]
struct Bucket {
    /// Whose it is; 0 is nobody's.
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

    /// Whether an event comes through at this time.
    pub(super) fn ask(&self, origin: &Origin<'_>, unix_nanos: u64) -> Verdict {
        // What the library itself has to say it says once, and all of it from a few callsites.
        if origin.metadata().target() == "barograph" {
            return Verdict::Pass { suppressed: 0 };
        }
        let Some(bucket) = self.bucket(origin) else {
            return Verdict::Pass { suppressed: 0 };
        };
        let fill = |empty_at: u64| {
            let empty_at = empty_at.max(unix_nanos);
            (empty_at - unix_nanos <= self.ahead).then_some(empty_at.saturating_add(self.interval))
        };
        let filled = bucket
            .empty_at
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, fill);
        match filled {
            Ok(_) => Verdict::Pass {
                suppressed: bucket.suppressed.swap(0, Ordering::Relaxed),
            },
            Err(_) => {
                bucket.suppressed.fetch_add(1, Ordering::Relaxed);
                Verdict::Suppress
            }
        }
    }

    /// Takes what was suppressed of callsites that would come through again, and shows it.
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

    fn bucket(&self, origin: &Origin<'_>) -> Option<&Bucket> {
        let key = self.key(origin);
        let first = key as usize % PLACES;
        (first..first + TRIES).find_map(|place| {
            let bucket = &self.places[place % PLACES];
            let taken = bucket
                .key
                .compare_exchange(0, key, Ordering::Relaxed, Ordering::Relaxed);
            match taken {
                Ok(_) => {
                    if let Some(callsite) = origin.lasting() {
                        // Whoever took the place says once whose it is.
                        let _ = bucket.callsite.set(callsite);
                    }
                    Some(bucket)
                }
                Err(owner) => (owner == key).then_some(bucket),
            }
        })
    }

    /// A number for a callsite. Two of the same are as unlikely as a hash of 64 bits makes it, and
    /// share a bucket.
    fn key(&self, origin: &Origin<'_>) -> u64 {
        let metadata = origin.metadata();
        let hash = match origin.lasting() {
            Some(callsite) => self.hasher.hash_one(callsite.callsite()),
            // All records of the `log` crate of one level have the same callsite.
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
