//! The steps of an export cycle, in their order.

use std::time::Duration;

use super::{AfterStore, AfterSync, Origin, Phase, PipelineState};
use crate::ledger::Reason;
use crate::moment::{Instant, part};
use crate::outcome::{Permanent, Retryable};
use crate::pipeline::actions::{Effect, Operation};
use crate::pipeline::blocking::{Busy, Job, JobResult};
use crate::pipeline::commands::Stage;
use crate::pipeline::send::{Delivery, SendLimits};
use crate::report;
use crate::request_source::Ack;
use barograph_encode::otlp::Request;

impl PipelineState {
    pub(super) fn late_job_done(&mut self, result: Result<JobResult, Busy>) -> Operation {
        let Ok(mut result) = result else {
            let time = self.cycle.until.saturating_duration_since(self.cycle.began);
            self.report_late(time);
            return self.end_cycle(false);
        };
        if let Some(request) = result.unwritten.take() {
            // It is acknowledged already.
            self.unacknowledged = Some(request);
        }
        self.apply(&result);
        match result.request.filter(|_| result.is_new) {
            Some(request) => {
                self.produce(request.items);
                self.place_undelivered(request, false, AfterStore::AccountForInterruption)
            }
            None => self.account_for_interruption(),
        }
    }

    /// Accounts for the requests that an interrupted cycle had in hand. They are dropped, because it
    /// is unknown whether they arrived, and the source need not build them again.
    pub(super) fn account_for_interruption(&mut self) -> Operation {
        if !self.is_interrupted {
            return self.send_stored();
        }
        self.acknowledge(Ack::Done);
        // Updates the number of items in the persistent queue.
        self.sync(AfterSync::AccountForInterruption)
    }

    pub(super) fn drop_interrupted(&mut self) {
        if self.seen.is_busy {
            return;
        }
        self.is_interrupted = false;
        let unacknowledged = self.unacknowledged.as_ref();
        let held = unacknowledged
            .map_or(0, |request| request.items)
            .saturating_add(self.superseded)
            .saturating_add(self.persistent_queue.items());
        let lost = self.seen.account.encoded().saturating_sub(held);
        if lost > 0 {
            self.drop_items(lost, Reason::Panicked);
            self.effects.push(Effect::Fail(lost, Some("panic".into())));
        }
    }

    /// Sends the requests in the persistent queue, as long as there is time to begin one.
    pub(super) fn send_stored(&mut self) -> Operation {
        let is_due = self.cycle.stage != Stage::Scheduled
            || self.breaker.until().is_none_or(|at| at <= self.cycle.due);
        self.cycle.sends = is_due;
        match is_due && !self.persistent_queue.is_empty() {
            true => self.read(Job::Oldest),
            false => self.send_unacknowledged(),
        }
    }

    pub(super) fn read(&mut self, job: Job) -> Operation {
        self.phase = Phase::Reading;
        self.run_job(job, self.cycle.stage, self.cycle.until)
    }

    pub(super) fn read_done(&mut self, result: Result<JobResult, Busy>) -> Operation {
        let Ok(result) = result else {
            return self.stored_sent(false);
        };
        self.apply(&result);
        let Some(request) = result.request else {
            return self.stored_sent(self.persistent_queue.is_empty());
        };
        if self.seen.now >= self.cycle.reads_until || self.has_command(self.cycle.stage) {
            return self.stored_sent(false);
        }
        self.send(request, Origin::PersistentQueue)
    }

    pub(super) fn stored_sent(&mut self, is_empty: bool) -> Operation {
        if self.cycle.stage == Stage::Between {
            return self.rest();
        }
        self.cycle.sends = is_empty || self.persistent_queue.is_unreadable(self.seen.now);
        self.send_unacknowledged()
    }

    pub(super) fn send_unacknowledged(&mut self) -> Operation {
        match self.unacknowledged.take() {
            None => self.collect(),
            Some(request) if self.cycle.sends => self.send(request, Origin::Unacknowledged),
            Some(request) => self.place_undelivered(request, true, AfterStore::Collect),
        }
    }

    pub(super) fn collect(&mut self) -> Operation {
        if self.unacknowledged.is_some() || !self.cycle.sends && !self.persistent_queue.has_room() {
            return self.end_cycle(false);
        }
        let superseded = std::mem::take(&mut self.superseded);
        self.drop_items(superseded, Reason::Superseded);
        self.build(Job::Begin)
    }

    pub(super) fn build(&mut self, job: Job) -> Operation {
        self.phase = Phase::Collecting {
            since: self.seen.now,
        };
        self.run_job(job, self.cycle.stage, self.cycle.until)
    }

    pub(super) fn collected(
        &mut self,
        result: Result<JobResult, Busy>,
        since: Instant,
    ) -> Operation {
        let Ok(result) = result else {
            if !self.has_command(self.cycle.stage) {
                self.report_late(self.seen.now.saturating_duration_since(since));
            }
            self.cycle.collect_error = Some("timeout");
            return self.end_collecting(false);
        };
        self.apply(&result);
        let took = self.cycle.collecting.unwrap_or_default();
        self.cycle.collecting = Some(took.saturating_add(result.took));
        if result.has_panicked {
            self.cycle.collect_error = Some("panic");
            return self.end_collecting(false);
        }
        let Some(request) = result.request else {
            return self.end_collecting(true);
        };
        self.produce(request.items);
        match self.cycle.sends {
            true => self.send(request, Origin::Source),
            false => self.place_undelivered(request, false, AfterStore::NextRequest),
        }
    }

    /// Builds the next request, unless the time is up or there is no place for it.
    pub(super) fn next_request(&mut self) -> Operation {
        let has_room = self.persistent_queue.has_room();
        if !self.cycle.sends && !has_room || self.seen.is_busy || self.has_command(self.cycle.stage)
        {
            return self.end_collecting(false);
        }
        if self.seen.now >= self.cycle.sends_until {
            if !has_room {
                let limit = self.limit();
                self.report_once(report::Event::ExportTimedOut { limit });
                return self.end_collecting(false);
            }
            self.cycle.sends = false;
        }
        self.build(Job::Next)
    }

    pub(super) fn end_collecting(&mut self, is_complete: bool) -> Operation {
        if let Some(took) = self.cycle.collecting {
            let error = self.cycle.collect_error.map(Into::into);
            self.effects.push(Effect::Collected(took, error));
        }
        self.sync(AfterSync::EndCycle { is_complete })
    }

    pub(super) fn send(&mut self, request: Request, origin: Origin) -> Operation {
        self.phase = Phase::Sending(origin);
        Operation::Send {
            request,
            limits: SendLimits {
                attempts: self.cycle.attempts,
                stage: self.cycle.stage,
                until: self.cycle.sends_until,
            },
        }
    }

    pub(super) fn sent(
        &mut self,
        request: Request,
        delivery: Delivery,
        origin: Origin,
    ) -> Operation {
        let (items, bytes) = (request.items, request.body.len());
        match delivery {
            Delivery::Accepted(partial) => {
                self.accepted(items, partial);
                self.receiver_responded();
            }
            Delivery::Refused(Permanent {
                error_type,
                message,
            }) => {
                self.drop_items(items, Reason::Rejected);
                self.receiver_responded();
                self.report_once(report::Event::Refused {
                    error_type,
                    message,
                    items,
                });
            }
            Delivery::TooLarge => {
                self.drop_items(items, Reason::TooLarge);
                self.report_once(report::Event::TooLarge { bytes, items });
            }
            Delivery::Panicked => {
                self.drop_items(items, Reason::Panicked);
                self.report_once(report::Event::Panicked { part: "transport" });
            }
            Delivery::Undelivered { failure, is_proof } => {
                return self.undelivered(request, failure, is_proof, origin);
            }
        }
        if origin != Origin::PersistentQueue {
            self.acknowledge(Ack::Done);
        }
        match origin {
            Origin::PersistentQueue => {
                self.persistent_queue.remove(items);
                self.read(Job::RemoveOldest)
            }
            Origin::Unacknowledged => self.collect(),
            Origin::Source => self.next_request(),
        }
    }

    pub(super) fn undelivered(
        &mut self,
        request: Request,
        failure: Retryable,
        is_proof: bool,
        origin: Origin,
    ) -> Operation {
        let stage = self.cycle.stage;
        let may_have_arrived = failure.may_have_arrived;
        self.last_error.clone_from(&failure.message);
        if is_proof {
            self.receiver_unavailable(failure);
        } else if stage == Stage::Scheduled && !self.has_command(stage) {
            let limit = self.settings.timeout;
            self.report_once(report::Event::ExportTimedOut { limit });
        }
        match origin {
            Origin::PersistentQueue => self.stored_sent(false),
            Origin::Unacknowledged => {
                self.cycle.sends = false;
                self.place_undelivered(request, true, AfterStore::Collect)
            }
            Origin::Source => {
                self.cycle.sends = false;
                self.place_undelivered(request, may_have_arrived, AfterStore::NextRequest)
            }
        }
    }

    /// Decides what happens to a request that was not delivered: it is written to the persistent
    /// queue, waits in memory, or is superseded by the next cycle.
    pub(super) fn place_undelivered(
        &mut self,
        request: Request,
        may_have_arrived: bool,
        then: AfterStore,
    ) -> Operation {
        let settings = &self.settings;
        let is_rebuilt =
            settings.is_superseded && !(may_have_arrived && settings.resends_ambiguous);
        if self.persistent_queue.has_room() && !self.seen.is_busy {
            self.phase = Phase::Storing { is_rebuilt, then };
            return self.run_job(Job::Append(request), self.cycle.stage, self.cycle.until);
        }
        self.keep_in_memory(request, is_rebuilt);
        self.after_store(then)
    }

    pub(super) fn keep_in_memory(&mut self, request: Request, is_rebuilt: bool) {
        if is_rebuilt {
            self.superseded = self.superseded.saturating_add(request.items);
            self.acknowledge(Ack::Undelivered);
        } else {
            self.unacknowledged = Some(request);
        }
    }

    pub(super) fn stored(
        &mut self,
        result: Result<JobResult, Busy>,
        is_rebuilt: bool,
        then: AfterStore,
    ) -> Operation {
        match result {
            Ok(mut result) => {
                let unwritten = result.unwritten.take();
                self.apply(&result);
                match unwritten {
                    Some(request) => self.keep_in_memory(request, is_rebuilt),
                    None if result.refused > 0 && is_rebuilt => {
                        self.acknowledge(Ack::Undelivered);
                    }
                    None => self.acknowledge(Ack::Done),
                }
            }
            // The result is processed when the job completes.
            Err(Busy) => self.acknowledge(Ack::Done),
        }
        self.after_store(then)
    }

    pub(super) fn after_store(&mut self, then: AfterStore) -> Operation {
        match then {
            AfterStore::AccountForInterruption => self.account_for_interruption(),
            AfterStore::Collect => self.collect(),
            AfterStore::NextRequest => self.next_request(),
        }
    }

    pub(super) fn report_late(&mut self, waited: Duration) {
        let limit = self.limit();
        self.report_once(match waited >= part(self.settings.timeout, 2) {
            true => report::Event::CollectionTimedOut { waited },
            false => report::Event::ExportTimedOut { limit },
        });
    }

    /// Returns the time limit of a cycle. A flush or a shutdown sets its own.
    pub(super) fn limit(&self) -> Duration {
        match self.cycle.stage {
            Stage::Between | Stage::Scheduled => self.settings.timeout,
            Stage::Flush | Stage::Final => {
                self.cycle.until.saturating_duration_since(self.cycle.due)
            }
        }
    }
}
