//! Applies the results of deliveries and jobs to the account, the reports and the circuit breaker.

use super::PipelineState;
use crate::ledger::Reason;
use crate::outcome::{PartialSuccess, Permanent, Retryable};
use crate::pipeline::actions::Effect;
use crate::pipeline::blocking::JobResult;
use crate::pipeline::commands::Stage;
use crate::report;
use crate::request_source::{Ack, Oversized};

impl PipelineState {
    /// Applies the result of a job.
    pub(super) fn apply(&mut self, result: &JobResult) {
        if result.has_panicked {
            self.report_once(report::Event::Panicked { part: "collecting" });
        }
        let Oversized { items, bytes } = result.oversized;
        if items > 0 {
            self.produce(items);
            self.drop_items(items, Reason::TooLarge);
            let error_type = Some(Permanent::TOO_LARGE.into());
            self.effects.push(Effect::Fail(items, error_type));
            self.report_once(report::Event::TooLarge { bytes, items });
        }
        if result.refused > 0 {
            self.drop_items(result.refused, Reason::PersistentQueueFull);
            self.report_once(report::Event::PersistentQueueFull);
        }
        if let Some(items) = result.damaged {
            self.report_once(report::Event::PersistentQueueDamaged { items });
        }
        if !self.persistent_queue.exists() {
            return;
        }
        let was_failing = self.persistent_queue.is_failing();
        for error in result
            .tried
            .iter()
            .flatten()
            .filter_map(|tried| tried.as_ref().err())
        {
            let failed = Effect::QueueFailed(error.operation, error.error_type);
            self.effects.push(failed);
            self.report_once(error.event());
        }
        self.persistent_queue.update(result, self.seen.now);
        let is_usable = result.is_open && !self.persistent_queue.is_failing();
        self.effects.push(Effect::QueueUsable(is_usable));
        if was_failing && is_usable {
            let items = result.pending;
            self.report_once(report::Event::PersistentQueueUsable { items });
        }
    }

    pub(super) fn accepted(&mut self, items: u64, partial: Option<PartialSuccess>) {
        let PartialSuccess { rejected, message } = partial.unwrap_or_default();
        // The receiver may report any number.
        let rejected = rejected.min(items);
        let exported = items.saturating_sub(rejected);
        self.seen.account.export(exported);
        self.effects.push(Effect::Export(exported));
        if rejected > 0 {
            self.drop_items(rejected, Reason::Partial);
            self.report_once(report::Event::Partial { rejected, message });
        } else if !message.is_empty() {
            self.report_once(report::Event::Warning { message });
        }
    }

    pub(super) fn receiver_responded(&mut self) {
        self.last_error.clear();
        if let Some(since) = self.breaker.succeeded() {
            let dropped = self.seen.account.totals.dropped_in_all();
            let dropped = dropped.saturating_add(self.superseded);
            self.report(report::Event::Recovered {
                outage: self.seen.now.saturating_duration_since(since),
                dropped: dropped.saturating_sub(self.dropped_before),
            });
        }
    }

    pub(super) fn receiver_unavailable(&mut self, failure: Retryable) {
        // Repeated flushes must not make the pauses longer.
        if self.breaker.is_open() && self.cycle.stage != Stage::Scheduled {
            return;
        }
        let first = self.breaker.failed(self.cycle.due, failure.retry_after);
        if let Some(longest_pause) = first {
            self.dropped_before = self.seen.account.totals.dropped_in_all();
            self.report(report::Event::Unavailable {
                message: failure.message,
                longest_pause,
            });
        }
    }

    /// Acknowledges the request that was built last, unless that was done before.
    pub(super) fn acknowledge(&mut self, ack: Ack) {
        if std::mem::take(&mut self.needs_ack) {
            self.ack = Some(ack);
        }
    }

    pub(super) fn produce(&mut self, items: u64) {
        self.seen.account.produce(items);
        self.effects.push(Effect::Produce(items));
    }

    pub(super) fn drop_items(&mut self, items: u64, reason: Reason) {
        if items > 0 {
            self.seen.account.drop_items(items, reason);
            self.effects.push(Effect::Drop(items, reason));
        }
    }

    pub(super) fn report(&mut self, event: report::Event) {
        self.effects.push(Effect::Report(event));
    }

    /// Reports an event, unless it was reported recently.
    pub(in crate::pipeline) fn report_once(&mut self, event: report::Event) {
        if self.reports.is_due(&event, self.seen.now) {
            self.report(event);
        }
    }
}
