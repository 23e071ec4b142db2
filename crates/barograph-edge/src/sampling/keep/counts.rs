//! What became of everything.

use std::sync::atomic::{AtomicU64, Ordering};

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
/// dropped ones.
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
    /// The bytes that they and their buffers take.
    pub pending_bytes: u64,
    /// Traces whose root has not ended.
    pub pending_traces: u64,
}

/// The same, while it is counted.
#[derive(Debug, Default)]
pub(super) struct Counting {
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
    pub(super) pending_bytes: AtomicU64,
    pub(super) pending_traces: AtomicU64,
}

impl Counting {
    pub(super) fn read(&self) -> KeepCounts {
        let of = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let [kept_error, kept_slow, kept_exemplar] = self.kept.each_ref().map(of);
        KeepCounts {
            kept_error,
            kept_slow,
            kept_exemplar,
            boring: of(&self.boring),
            over_budget: of(&self.over_budget),
            refused_exemplars: of(&self.refused_exemplars),
            exported_spans: of(&self.exported_spans),
            boring_spans: of(&self.boring_spans),
            over_budget_spans: of(&self.over_budget_spans),
            no_memory_spans: of(&self.no_memory_spans),
            over_limit_spans: of(&self.over_limit_spans),
            unended_spans: of(&self.unended_spans),
            pending_spans: of(&self.pending_spans),
            pending_bytes: of(&self.pending_bytes),
            pending_traces: of(&self.pending_traces),
        }
    }
}

pub(super) fn add(count: &AtomicU64, n: usize) {
    count.fetch_add(n as u64, Ordering::Relaxed);
}

pub(super) fn sub(count: &AtomicU64, n: usize) {
    count.fetch_sub(n as u64, Ordering::Relaxed);
}
