//! What became of everything.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// Why a trace is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Reason {
    /// Something in it failed.
    Error,
    /// Its root took long.
    Slow,
    /// A measurement made in it became an exemplar.
    Exemplar,
}

impl Reason {
    /// The value of `barograph.kept`.
    pub fn as_str(self) -> &'static str {
        match self {
            Reason::Error => "error",
            Reason::Slow => "slow",
            Reason::Exemplar => "exemplar",
        }
    }
}

/// What became of traces that were not sampled, and of their spans.
///
/// Every span that came in is in one of `exported_spans`, `pending_spans` and the five kinds of
/// dropped ones; while threads record, those that are on their way from one to another may be in none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct KeepCounts {
    /// Traces that were kept because something failed.
    pub kept_error: u64,
    /// Traces that were kept because they took long.
    pub kept_slow: u64,
    /// Traces that were kept because an exemplar leads to them.
    pub kept_exemplar: u64,
    /// Traces that there was no reason to keep.
    pub boring: u64,
    /// Traces that there was a reason to keep, but no budget.
    pub over_budget: u64,
    /// Measurements that did not become exemplars because there was no budget for their traces.
    pub refused_exemplars: u64,
    /// Spans that were given back to be exported.
    pub exported_spans: u64,
    /// Spans of boring traces.
    pub boring_spans: u64,
    /// Spans of traces that there was no budget for.
    pub over_budget_spans: u64,
    /// Spans that there was no memory for.
    pub no_memory_spans: u64,
    /// Spans that were more than one trace may have.
    pub over_limit_spans: u64,
    /// Spans of traces whose root was never told to have ended.
    pub unended_spans: u64,
    /// Spans that wait for their root to end.
    pub pending_spans: u64,
    /// The bytes that are set aside for them, in steps of 2 KiB a trace.
    pub pending_bytes: u64,
    /// Traces whose root has not ended.
    pub pending_traces: u64,
}

/// The same, while it is counted: each thread has a shard, so that threads do not wait for each
/// other's cache lines. Only the bytes, which have a limit, are one number.
#[derive(Debug, Default)]
pub(super) struct Counting {
    shards: [Shard; SHARDS],
    pub(super) pending_bytes: Apart<AtomicU64>,
}

/// A power of two.
const SHARDS: usize = 16;

/// The part of some threads. What is taken from a count may have been added in another shard, so only
/// the sums, which wrap around, say something.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(super) struct Shard {
    pub(super) kept: [AtomicU64; 3],
    pub(super) boring: AtomicU64,
    pub(super) over_budget: AtomicU64,
    pub(super) refused_exemplars: AtomicU64,
    pub(super) exported_spans: AtomicU64,
    pub(super) boring_spans: AtomicU64,
    pub(super) over_budget_spans: AtomicU64,
    pub(super) no_memory_spans: AtomicU64,
    pub(super) over_limit_spans: AtomicU64,
    pub(super) unended_spans: AtomicU64,
    pub(super) pending_spans: AtomicU64,
    pub(super) pending_traces: AtomicU64,
}

/// On a cache line of its own, and on the one beside it that is fetched with it.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(super) struct Apart<T>(pub(super) T);

thread_local! {
    static SHARD: usize = {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        NEXT.fetch_add(1, Ordering::Relaxed) % SHARDS
    };
}

impl Counting {
    /// The shard of this thread; while it dies, any.
    pub(super) fn here(&self) -> &Shard {
        &self.shards[SHARD.try_with(|shard| *shard).unwrap_or_default() % SHARDS]
    }

    pub(super) fn read(&self) -> KeepCounts {
        let sum = |count: fn(&Shard) -> &AtomicU64| {
            let counts = self
                .shards
                .iter()
                .map(|shard| count(shard).load(Ordering::Relaxed));
            counts.fold(0, u64::wrapping_add)
        };
        KeepCounts {
            kept_error: sum(|shard| &shard.kept[Reason::Error as usize]),
            kept_slow: sum(|shard| &shard.kept[Reason::Slow as usize]),
            kept_exemplar: sum(|shard| &shard.kept[Reason::Exemplar as usize]),
            boring: sum(|shard| &shard.boring),
            over_budget: sum(|shard| &shard.over_budget),
            refused_exemplars: sum(|shard| &shard.refused_exemplars),
            exported_spans: sum(|shard| &shard.exported_spans),
            boring_spans: sum(|shard| &shard.boring_spans),
            over_budget_spans: sum(|shard| &shard.over_budget_spans),
            no_memory_spans: sum(|shard| &shard.no_memory_spans),
            over_limit_spans: sum(|shard| &shard.over_limit_spans),
            unended_spans: sum(|shard| &shard.unended_spans),
            pending_spans: sum(|shard| &shard.pending_spans),
            pending_bytes: self.pending_bytes.0.load(Ordering::Relaxed),
            pending_traces: sum(|shard| &shard.pending_traces),
        }
    }
}

pub(super) fn add(count: &AtomicU64, n: usize) {
    count.fetch_add(n as u64, Ordering::Relaxed);
}

pub(super) fn sub(count: &AtomicU64, n: usize) {
    count.fetch_sub(n as u64, Ordering::Relaxed);
}
