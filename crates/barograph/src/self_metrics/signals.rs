//! Metrics of spans, log records and lines before anything is pushed.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use barograph_model::descriptor::Kind;
use barograph_tracing::log::ConsoleLog;
use barograph_tracing::sampling::tail::TailSampling;
use barograph_tracing::trace::TraceHandle;

use super::table::Table;

/// The handles that count spans, log records and lines; None for a layer that is not installed.
#[derive(Debug, Default)]
pub(crate) struct SignalStats {
    pub(crate) spans: Option<TraceHandle>,
    pub(crate) tail_sampling: Option<TailSampling>,
    /// The number of log records dropped by the rate limit.
    pub(crate) suppressed: Option<Arc<AtomicU64>>,
    pub(crate) terminal: Option<ConsoleLog>,
}

impl SignalStats {
    /// Returns the counts as metrics, with `start` as their start time.
    pub(super) fn tables(&self, start: u64) -> Vec<Table> {
        let mut tables = Vec::new();
        if let Some(spans) = &self.spans {
            let mut untracked = Table::new(
                "barograph.spans.untracked",
                "{span}",
                "Spans without a context because too many spans were open.",
                Kind::Counter,
            )
            .since(start);
            untracked.row(&[], spans.untracked());
            tables.push(untracked);
        }
        if let Some(tail_sampling) = &self.tail_sampling {
            tables.extend(tail_sampling_tables(tail_sampling, start));
        }
        if let Some(suppressed) = &self.suppressed {
            let mut records = Table::new(
                "barograph.log.records.suppressed",
                "{record}",
                "Log records dropped by the rate limit.",
                Kind::Counter,
            )
            .since(start);
            records.row(&[], suppressed.load(Ordering::Relaxed));
            tables.push(records);
        }
        if let Some(terminal) = &self.terminal {
            tables.extend(lines(terminal, start));
        }
        tables
    }
}

/// Counts traces that were not sampled, and their spans, by outcome.
fn tail_sampling_tables(tail_sampling: &TailSampling, start: u64) -> [Table; 6] {
    let counts = tail_sampling.counts();
    let counter = |name, unit, help| Table::new(name, unit, help, Kind::Counter).since(start);
    let mut sampled = counter(
        "barograph.tail_sampling.traces.sampled",
        "{trace}",
        "Traces that tail sampling exported, by reason.",
    );
    for (reason, count) in [
        ("error", counts.sampled_error),
        ("slow", counts.sampled_slow),
        ("exemplar", counts.sampled_exemplar),
    ] {
        sampled.row(&[("reason", reason)], count);
    }
    let mut dropped = counter(
        "barograph.tail_sampling.traces.dropped",
        "{trace}",
        "Traces that tail sampling dropped, by reason.",
    );
    for (reason, count) in [
        ("not_interesting", counts.not_interesting),
        ("over_budget", counts.over_budget),
    ] {
        dropped.row(&[("reason", reason)], count);
    }
    let mut spans = counter(
        "barograph.tail_sampling.spans",
        "{span}",
        "Spans handed to tail sampling, by outcome.",
    );
    for (outcome, count) in [
        ("exported", counts.exported_spans),
        ("not_interesting", counts.not_interesting_spans),
        ("over_budget", counts.over_budget_spans),
        ("no_memory", counts.no_memory_spans),
        ("over_limit", counts.over_limit_spans),
        ("unended", counts.unended_spans),
    ] {
        spans.row(&[("outcome", outcome)], count);
    }
    let mut waiting = Table::new(
        "barograph.tail_sampling.spans.buffered",
        "{span}",
        "Spans that tail sampling buffers until their traces end.",
        Kind::Gauge,
    );
    waiting.row(&[], counts.buffered_spans);
    let mut memory = Table::new(
        "barograph.tail_sampling.memory",
        "By",
        "Memory reserved for spans that tail sampling buffers.",
        Kind::Gauge,
    );
    memory.row(&[], counts.buffered_bytes);
    let mut refused = counter(
        "barograph.exemplars.refused",
        "{measurement}",
        "Measurements that did not become exemplars because the budget for their traces was used up.",
    );
    refused.row(&[], counts.refused_exemplars);
    [sampled, dropped, spans, waiting, memory, refused]
}

/// Counts log lines by outcome.
fn lines(terminal: &ConsoleLog, start: u64) -> [Table; 3] {
    let counts = terminal.counts();
    let mut lines = Table::new(
        "barograph.log.lines",
        "{line}",
        "Log lines, by outcome.",
        Kind::Counter,
    )
    .since(start);
    for (outcome, count) in [
        ("written", counts.written),
        ("dropped_full", counts.dropped_full),
        ("dropped_closed", counts.dropped_closed),
        ("dropped_failed", counts.dropped_failed),
        ("dropped_rate", counts.dropped_rate),
    ] {
        lines.row(&[("outcome", outcome)], count);
    }
    let mut cut = Table::new(
        "barograph.log.lines.cut",
        "{line}",
        "Log lines that were truncated.",
        Kind::Counter,
    )
    .since(start);
    cut.row(&[], counts.cut);
    let mut waiting = Table::new(
        "barograph.log.lines.waiting",
        "{line}",
        "Log lines waiting to be written.",
        Kind::Gauge,
    );
    waiting.row(&[], counts.waiting);
    [lines, cut, waiting]
}
