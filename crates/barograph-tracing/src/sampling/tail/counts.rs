//! Counts of traces and spans by outcome.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// The reason why a trace is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Reason {
    /// A span of the trace has failed.
    Error,
    /// The root of the trace was slow.
    Slow,
    /// A measurement in the trace became an exemplar.
    Exemplar,
}

impl Reason {
    /// Returns the value of the attribute `barograph.tail_sampling.reason`.
    pub fn as_str(self) -> &'static str {
        match self {
            Reason::Error => "error",
            Reason::Slow => "slow",
            Reason::Exemplar => "exemplar",
        }
    }
}

/// Counts of the traces that were not sampled, and of their spans, by outcome.
///
/// Every span that was handed in is counted in exactly one of `exported_spans`, `buffered_spans` and
/// the five kinds of dropped spans; while other threads record, a span that moves from one count to
/// another may be in none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct TailSamplingCounts {
    /// Traces that were kept because a span failed.
    pub sampled_error: u64,
    /// Traces that were kept because they were slow.
    pub sampled_slow: u64,
    /// Traces that were kept because an exemplar refers to them.
    pub sampled_exemplar: u64,
    /// Traces that were dropped because there was no reason to keep them.
    pub not_interesting: u64,
    /// Traces that were dropped because the budget was used up.
    pub over_budget: u64,
    /// Measurements that did not become exemplars because the budget for their traces was used up.
    pub refused_exemplars: u64,
    /// Spans that were returned for export.
    pub exported_spans: u64,
    /// Spans of traces that there was no reason to keep.
    pub not_interesting_spans: u64,
    /// Spans of traces that were dropped because the budget was used up.
    pub over_budget_spans: u64,
    /// Spans that were dropped because the memory limit was reached.
    pub no_memory_spans: u64,
    /// Spans that were dropped because their trace had too many spans.
    pub over_limit_spans: u64,
    /// Spans of traces whose root was dropped without having ended.
    pub unended_spans: u64,
    /// Spans that are buffered until their root ends.
    pub buffered_spans: u64,
    /// The bytes that are reserved for buffered spans, in steps of 2 KiB per trace.
    pub buffered_bytes: u64,
    /// Traces whose root has not ended.
    pub buffered_traces: u64,
}

/// The counters behind `TailSamplingCounts`. They are sharded by thread, so that threads do not contend
/// for cache lines. Only the reserved bytes, which have a limit, are a single number.
#[derive(Debug, Default)]
pub(super) struct Counting {
    shards: [Shard; SHARDS],
    pub(super) buffered_bytes: Apart<AtomicU64>,
}

/// The number of shards, a power of two.
const SHARDS: usize = 16;

/// The counters of some of the threads. A count may be increased in one shard and decreased in
/// another, so only the sums, which wrap around, are meaningful.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(super) struct Shard {
    pub(super) sampled: [AtomicU64; 3],
    pub(super) not_interesting: AtomicU64,
    pub(super) over_budget: AtomicU64,
    pub(super) refused_exemplars: AtomicU64,
    pub(super) exported_spans: AtomicU64,
    pub(super) not_interesting_spans: AtomicU64,
    pub(super) over_budget_spans: AtomicU64,
    pub(super) no_memory_spans: AtomicU64,
    pub(super) over_limit_spans: AtomicU64,
    pub(super) unended_spans: AtomicU64,
    pub(super) buffered_spans: AtomicU64,
    pub(super) buffered_traces: AtomicU64,
}

/// A value on a separate cache line, and on the adjacent line that is prefetched with it.
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
    /// Returns the shard of this thread, or the first one while the thread exits.
    pub(super) fn here(&self) -> &Shard {
        &self.shards[SHARD.try_with(|shard| *shard).unwrap_or_default() % SHARDS]
    }

    pub(super) fn read(&self) -> TailSamplingCounts {
        let sum = |count: fn(&Shard) -> &AtomicU64| {
            let counts = self
                .shards
                .iter()
                .map(|shard| count(shard).load(Ordering::Relaxed));
            counts.fold(0, u64::wrapping_add)
        };
        TailSamplingCounts {
            sampled_error: sum(|shard| &shard.sampled[Reason::Error as usize]),
            sampled_slow: sum(|shard| &shard.sampled[Reason::Slow as usize]),
            sampled_exemplar: sum(|shard| &shard.sampled[Reason::Exemplar as usize]),
            not_interesting: sum(|shard| &shard.not_interesting),
            over_budget: sum(|shard| &shard.over_budget),
            refused_exemplars: sum(|shard| &shard.refused_exemplars),
            exported_spans: sum(|shard| &shard.exported_spans),
            not_interesting_spans: sum(|shard| &shard.not_interesting_spans),
            over_budget_spans: sum(|shard| &shard.over_budget_spans),
            no_memory_spans: sum(|shard| &shard.no_memory_spans),
            over_limit_spans: sum(|shard| &shard.over_limit_spans),
            unended_spans: sum(|shard| &shard.unended_spans),
            buffered_spans: sum(|shard| &shard.buffered_spans),
            buffered_bytes: self.buffered_bytes.0.load(Ordering::Relaxed),
            buffered_traces: sum(|shard| &shard.buffered_traces),
        }
    }
}

pub(super) fn add(count: &AtomicU64, n: usize) {
    count.fetch_add(n as u64, Ordering::Relaxed);
}

pub(super) fn sub(count: &AtomicU64, n: usize) {
    count.fetch_sub(n as u64, Ordering::Relaxed);
}
