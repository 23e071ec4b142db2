//! The state machine of a pipeline: `(state, event) -> actions`.
//!
//! It decides when an export cycle begins, in which order requests are sent, and what happens to those
//! that could not be delivered. It does no I/O and reads no clock: each [event](super::actions::Event)
//! comes with an [observation](super::actions::Observation) of the time, the account and the commands.
//! Each transition returns the [effects](super::actions::Effect) to apply at once, and the one
//! [operation](super::actions::Operation) whose result is the next event. The [task](super::task) around
//! it does both.
//!
//! An export cycle has these steps; each waits for the result of its operation:
//!
//! 1. Wait for the job of an earlier cycle that is late, and account for an interrupted cycle.
//! 2. Send what is in the persistent queue, the oldest first.
//! 3. Send the unacknowledged request again.
//! 4. Collect, and send one request after the other. What cannot be delivered is stored in the
//!    persistent queue, waits in memory, or is superseded by the next cycle.
//! 5. Sync the persistent queue.

mod results;
mod cycle;

use std::time::Duration;

use super::actions::{Effect, Event, Observation, Operation, PipelineSettings};
use super::blocking::Job;
use super::breaker::Breaker;
use super::commands::{CommandKind, Stage};
use super::queue_state::QueueState;
use super::reports::Reports;
use super::send::Attempts;
use crate::ledger::Account;
use crate::moment::{Instant, after};
use crate::report;
use crate::request_source::Ack;
use barograph_encode::otlp::Request;

/// The state of a pipeline.
#[derive(Debug)]
pub(super) struct PipelineState {
    settings: PipelineSettings,
    seen: Observation,
    effects: Vec<Effect>,
    phase: Phase,
    /// The current cycle, or the last one.
    cycle: Cycle,
    /// The time of the next scheduled cycle, and the time at which it begins at the earliest.
    due: Instant,
    begins_at: Instant,
    /// The time until which the pipeline waits.
    waits_until: Instant,
    breaker: Breaker,
    persistent_queue: QueueState,
    reports: Reports,
    /// A request that must be sent again unchanged, before anything newer.
    unacknowledged: Option<Request>,
    /// The number of items of the last cycle that the source will report again.
    superseded: u64,
    /// The acknowledgement that the source gets with the next job.
    ack: Option<Ack>,
    /// True if the request that was built last is not acknowledged.
    needs_ack: bool,
    /// The number of items that the record queue had refused at the last check.
    refused: u64,
    /// The number of items that it had refused at the last report of them.
    refused_reported: u64,
    /// The number of items that had been dropped when the outage began.
    dropped_before: u64,
    /// The message of the last failed attempt; empty after a success.
    last_error: String,
    /// True while a task runs this pipeline.
    is_running: bool,
    /// True if a cycle was interrupted. The next one accounts for the requests that it had in hand.
    is_interrupted: bool,
    /// True once the last cycle is due.
    is_ending: bool,
    /// The time since which it has run without a panic, and the pause after the next panic.
    steady_since: Instant,
    restart_pause: Duration,
}

/// The operation that the pipeline waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Waiting,
    /// Waits for the pause after a panic.
    Restarting,
    /// Opens the persistent queue.
    Opening {
        is_notified: bool,
    },
    /// Waits for a job of an earlier cycle.
    AwaitingJob,
    /// Reads a request from the persistent queue.
    Reading,
    /// Builds a request.
    Collecting {
        since: Instant,
    },
    Sending(Origin),
    /// Appends a request to the persistent queue.
    Storing {
        is_rebuilt: bool,
        then: AfterStore,
    },
    Syncing(AfterSync),
    /// Closes the account; `None` after a panic.
    Closing {
        is_complete: Option<bool>,
    },
    Stopped,
}

/// The origin of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Origin {
    /// It was just built.
    Source,
    /// It was in memory, to be sent again unchanged.
    Unacknowledged,
    /// It is in the persistent queue, and stays there until it is delivered.
    PersistentQueue,
}

/// The step after an undelivered request is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum AfterStore {
    AccountForInterruption,
    Collect,
    NextRequest,
}

/// The step after a sync of the persistent queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum AfterSync {
    AccountForInterruption,
    EndCycle { is_complete: bool },
    Close { is_complete: bool },
    Stop { is_complete: bool },
}

/// An export cycle. Between two cycles, the limits of sending from the persistent queue.
#[derive(Clone, Debug)]
struct Cycle {
    stage: Stage,
    began: Instant,
    /// The time at which it was due.
    due: Instant,
    /// The time until which requests of the persistent queue are read.
    reads_until: Instant,
    /// The time until which requests are sent.
    sends_until: Instant,
    /// The time at which it must end.
    until: Instant,
    attempts: Attempts,
    /// The time from which the schedule continues after it.
    resumes_from: Instant,
    /// True as long as requests are sent. Those after one that went to the persistent queue go there,
    /// too.
    sends: bool,
    /// The account when it began.
    before: Account,
    /// The time that collection took, once it has begun.
    collecting: Option<Duration>,
    collect_error: Option<&'static str>,
}

impl Cycle {
    /// Creates a cycle that begins now, and sends and reads until its end.
    fn new(
        stage: Stage,
        due: Instant,
        until: Instant,
        resumes_from: Instant,
        seen: &Observation,
    ) -> Self {
        Cycle {
            stage,
            began: seen.now,
            due,
            reads_until: until,
            sends_until: until,
            until,
            attempts: Attempts::UntilDeadline,
            resumes_from,
            sends: false,
            before: seen.account,
            collecting: None,
            collect_error: None,
        }
    }
}

impl PipelineState {
    /// Creates the state of a pipeline that has not been started.
    pub(super) fn new(
        settings: PipelineSettings,
        breaker: Breaker,
        queue: QueueState,
        now: Instant,
    ) -> Self {
        let seen = Observation {
            now,
            account: Account::default(),
            flush: None,
            shutdown: None,
            is_busy: false,
            is_notified: false,
        };
        PipelineState {
            settings,
            seen,
            effects: Vec::new(),
            phase: Phase::Stopped,
            cycle: Cycle::new(Stage::Between, now, now, now, &seen),
            due: now,
            begins_at: now,
            waits_until: now,
            breaker,
            persistent_queue: queue,
            reports: Reports::default(),
            unacknowledged: None,
            superseded: 0,
            ack: None,
            needs_ack: false,
            refused: 0,
            refused_reported: 0,
            dropped_before: 0,
            last_error: String::new(),
            is_running: false,
            is_interrupted: false,
            is_ending: false,
            steady_since: now,
            restart_pause: FIRST_PAUSE,
        }
    }

    /// Processes an event. Returns what to do at once, and the operation whose result is the next event.
    pub(super) fn handle(&mut self, event: Event, seen: Observation) -> (Vec<Effect>, Operation) {
        self.seen = seen;
        if let Event::JobDone(Ok(result)) = &event {
            self.needs_ack |= result.is_new && result.request.is_some();
        }
        let operation = match (self.phase, event) {
            (_, Event::Started { delay }) => self.start(delay),
            (_, Event::Panicked) => self.panicked(),
            (Phase::Waiting, Event::Waited { is_notified }) => self.open_queue(is_notified),
            (Phase::Restarting, Event::Waited { .. }) => {
                (self.due, self.steady_since) = (seen.now, seen.now);
                self.wait()
            }
            (Phase::Opening { is_notified }, Event::JobDone(result)) => {
                if let Ok(result) = result {
                    self.apply(&result);
                }
                self.begin_cycle_or_wait(is_notified)
            }
            (Phase::AwaitingJob, Event::JobDone(result)) => self.late_job_done(result),
            (Phase::Reading, Event::JobDone(result)) => self.read_done(result),
            (Phase::Collecting { since }, Event::JobDone(result)) => self.collected(result, since),
            (Phase::Sending(origin), Event::Sent { request, delivery }) => {
                self.sent(request, delivery, origin)
            }
            (Phase::Storing { is_rebuilt, then }, Event::JobDone(result)) => {
                self.stored(result, is_rebuilt, then)
            }
            (Phase::Syncing(then), Event::JobDone(result)) => {
                if let Ok(result) = result {
                    self.apply(&result);
                }
                self.synced(then)
            }
            (Phase::Closing { is_complete }, Event::Closed { lost }) => {
                self.closed(lost, is_complete)
            }
            // Each operation is answered by its own event, so that nothing is left here.
            (_, _) => self.wait(),
        };
        (std::mem::take(&mut self.effects), operation)
    }

    fn start(&mut self, delay: Duration) -> Operation {
        let now = self.seen.now;
        // The previous task may have been interrupted, for example because its runtime was shut down.
        self.is_interrupted |= std::mem::replace(&mut self.is_running, true);
        self.due = after(now, delay);
        (self.steady_since, self.restart_pause) = (now, FIRST_PAUSE);
        self.wait()
    }

    /// Restarts after a pause, which grows. After a panic, the last cycle is tried once more at most.
    fn panicked(&mut self) -> Operation {
        let now = self.seen.now;
        self.is_interrupted = true;
        self.effects.push(Effect::Restarted);
        self.report_once(report::Event::Panicked { part: "pipeline" });
        self.effects.push(Effect::FailCommands);
        if self.is_ending {
            return self.close(None);
        }
        self.is_ending = self.seen.shutdown.is_some();
        if now.saturating_duration_since(self.steady_since) >= STEADY {
            self.restart_pause = FIRST_PAUSE;
        }
        let until = after(now, self.restart_pause);
        self.restart_pause = self.restart_pause.saturating_mul(2).min(LONGEST_PAUSE);
        self.phase = Phase::Restarting;
        Operation::Wait {
            until,
            for_batch: false,
        }
    }

    /// Waits for the next cycle. Meanwhile sends requests from the persistent queue.
    fn wait(&mut self) -> Operation {
        let now = self.seen.now;
        // While the receiver is unavailable, only some of the scheduled cycles are run.
        self.begins_at = match self.rests_until() {
            Some(until) => next_due(self.due, self.settings.interval, until),
            None => self.due,
        };
        let opens_at = self.queue_opens_at().unwrap_or(self.begins_at);
        self.waits_until = self.begins_at.min(opens_at);
        let sends_meanwhile = !self.persistent_queue.is_empty()
            && !self.breaker.is_open()
            && !self.seen.is_busy
            && now < self.waits_until
            && !self.has_command(Stage::Between)
            && !self.seen.is_notified;
        if !sends_meanwhile {
            return self.rest();
        }
        let until = after(now, self.settings.timeout);
        self.cycle = Cycle {
            reads_until: self.waits_until,
            sends: true,
            ..Cycle::new(Stage::Between, now, until, self.due, &self.seen)
        };
        self.read(Job::Oldest)
    }

    fn rest(&mut self) -> Operation {
        self.phase = Phase::Waiting;
        Operation::Wait {
            until: self.waits_until,
            // While the receiver is unavailable, records stay in their queue.
            for_batch: self.rests_until().is_none(),
        }
    }

    /// Opens the persistent queue, if it is time to try. Another process may have held it, for example
    /// while a service is replaced by its next version, or the disk may not have been ready.
    fn open_queue(&mut self, is_notified: bool) -> Operation {
        let now = self.seen.now;
        if self.queue_opens_at().is_none_or(|at| at > now) {
            return self.begin_cycle_or_wait(is_notified);
        }
        self.persistent_queue.begin_open(now);
        self.phase = Phase::Opening { is_notified };
        let until = after(now, self.settings.timeout);
        self.run_job(Job::Open, Stage::Between, until)
    }

    fn begin_cycle_or_wait(&mut self, is_notified: bool) -> Operation {
        let now = self.seen.now;
        let limit = after(now, self.settings.timeout);
        if let Some(deadline) = self.accept(CommandKind::Shutdown) {
            self.is_ending = true;
            self.begin_cycle(Stage::Final, now, deadline, self.due)
        } else if let Some(deadline) = self.accept(CommandKind::Flush) {
            self.begin_cycle(Stage::Flush, now, deadline, self.due)
        } else if self.begins_at <= now {
            let next = after(self.begins_at, self.settings.interval);
            self.begin_cycle(Stage::Scheduled, self.begins_at, limit, next)
        } else if is_notified {
            self.begin_cycle(Stage::Scheduled, now, limit, self.due)
        } else {
            self.wait()
        }
    }

    fn begin_cycle(
        &mut self,
        stage: Stage,
        due: Instant,
        until: Instant,
        resumes_from: Instant,
    ) -> Operation {
        let now = self.seen.now;
        self.effects.push(Effect::ClearNotification);
        self.seen.is_notified = false;
        self.persistent_queue.retry_write();
        let time = until.saturating_duration_since(now);
        let sends_until = match self.persistent_queue.exists() {
            true => after(now, self.persistent_queue.send_time(time)),
            false => until,
        };
        self.cycle = Cycle {
            reads_until: sends_until,
            sends_until,
            attempts: match self.breaker.is_open() {
                true => Attempts::Single,
                false => Attempts::UntilDeadline,
            },
            ..Cycle::new(stage, due, until, resumes_from, &self.seen)
        };
        if self.seen.is_busy {
            self.phase = Phase::AwaitingJob;
            return Operation::AwaitJob { stage, until };
        }
        self.account_for_interruption()
    }

    fn end_cycle(&mut self, is_complete: bool) -> Operation {
        let (account, before) = (self.seen.account, self.cycle.before);
        // After the last cycle, `closed` reports it.
        if account.refused > self.refused && self.cycle.stage != Stage::Final {
            self.refused = account.refused;
            let event = self.queue_full();
            if self.reports.is_due(&event, self.seen.now) {
                self.refused_reported = account.refused;
                self.report(event);
            }
        }
        // A batch arrived while the last one was sent. If this cycle took nothing, another one would
        // not either.
        if account.waiting >= self.settings.batch && account.taken > before.taken {
            self.effects.push(Effect::Notify);
            self.seen.is_notified = true;
        }
        self.reports.end_cycle();
        let is_complete = is_complete
            // All items that waited when it began.
            && account.taken >= before.taken.saturating_add(before.waiting)
            && account.lost() == before.lost()
            && self.unacknowledged.is_none()
            && self.superseded == 0;
        if self.cycle.stage == Stage::Final {
            // A cycle that could do nothing has not checked what waits on the disk.
            return self.sync(AfterSync::Close { is_complete });
        }
        self.effects.push(Effect::Answer { is_complete });
        let (interval, resumes_from) = (self.settings.interval, self.cycle.resumes_from);
        self.due = next_due(resumes_from, interval, self.seen.now);
        self.wait()
    }

    /// Closes the account. Items that are not in the persistent queue are lost.
    fn close(&mut self, is_complete: Option<bool>) -> Operation {
        self.phase = Phase::Closing { is_complete };
        Operation::Close {
            stored: self.persistent_queue.items(),
        }
    }

    fn closed(&mut self, lost: u64, is_complete: Option<bool>) -> Operation {
        let refused = self.seen.account.refused;
        if refused > self.refused_reported {
            self.report(self.queue_full());
            self.refused_reported = refused;
        }
        if lost > 0 {
            let message = std::mem::take(&mut self.last_error);
            self.report(report::Event::LostAtShutdown {
                items: lost,
                message,
            });
        }
        let totals = self.seen.account.totals;
        let accounted = totals
            .settled()
            .saturating_add(self.persistent_queue.items());
        if totals.produced != accounted {
            self.report(report::Event::Unaccounted {
                produced: totals.produced,
                accounted,
            });
        }
        match is_complete {
            None => self.stop(),
            Some(is_complete) if lost > 0 => self.sync(AfterSync::Stop { is_complete }),
            Some(is_complete) => self.synced(AfterSync::Stop { is_complete }),
        }
    }

    fn queue_full(&self) -> report::Event {
        let total = self.seen.account.refused;
        report::Event::QueueFull {
            items: total.saturating_sub(self.refused_reported),
            total,
        }
    }

    fn stop(&mut self) -> Operation {
        self.is_running = false;
        self.phase = Phase::Stopped;
        Operation::Stop
    }

    fn sync(&mut self, then: AfterSync) -> Operation {
        if !self.persistent_queue.exists() {
            return self.synced(then);
        }
        self.phase = Phase::Syncing(then);
        self.run_job(Job::Sync, self.cycle.stage, self.cycle.until)
    }

    fn synced(&mut self, then: AfterSync) -> Operation {
        match then {
            AfterSync::AccountForInterruption => {
                self.drop_interrupted();
                self.send_stored()
            }
            AfterSync::EndCycle { is_complete } => self.end_cycle(is_complete),
            AfterSync::Close { is_complete } => self.close(Some(is_complete)),
            AfterSync::Stop { is_complete } => {
                // The last cycle also covers the flushes that were requested meanwhile.
                self.accept(CommandKind::Flush);
                self.effects.push(Effect::Answer { is_complete });
                self.stop()
            }
        }
    }

    fn run_job(&mut self, job: Job, stage: Stage, until: Instant) -> Operation {
        // A worker that is busy refuses the job, and the acknowledgement waits for the next one.
        let ack = match self.seen.is_busy {
            true => None,
            false => self.ack.take(),
        };
        Operation::Run {
            job,
            ack,
            stage,
            until,
        }
    }

    /// Accepts the waiting commands of this kind. Returns their latest deadline.
    fn accept(&mut self, kind: CommandKind) -> Option<Instant> {
        let deadline = match kind {
            CommandKind::Flush => self.seen.flush.take(),
            CommandKind::Shutdown => self.seen.shutdown.take(),
        }?;
        self.effects.push(Effect::Accept(kind));
        Some(deadline)
    }

    /// Returns true if a command waits that is more urgent than this stage.
    fn has_command(&self, stage: Stage) -> bool {
        stage < Stage::Flush && self.seen.flush.is_some()
            || stage < Stage::Final && self.seen.shutdown.is_some()
    }

    /// Returns the time until which the pipeline has nothing to do because the receiver is
    /// unavailable. `None` if the receiver is available, or if requests can be written to the
    /// persistent queue.
    fn rests_until(&self) -> Option<Instant> {
        match self.persistent_queue.has_room() {
            true => None,
            false => self.breaker.until(),
        }
    }

    fn queue_opens_at(&self) -> Option<Instant> {
        self.persistent_queue
            .opens_at()
            .filter(|_| !self.seen.is_busy)
    }
}

/// Returns the first moment in step with `due` that is before neither `due` nor `from`.
fn next_due(due: Instant, interval: Duration, from: Instant) -> Instant {
    let missed = from.saturating_duration_since(due);
    let rest = missed.as_nanos().checked_rem(interval.as_nanos());
    let rest = Duration::from_nanos(rest.and_then(|rest| rest.try_into().ok()).unwrap_or(0));
    match (missed.is_zero(), rest.is_zero()) {
        (true, _) => due,
        (false, true) => from,
        (false, false) => after(from, interval.saturating_sub(rest)),
    }
}

/// The pause after the first panic. Each further pause is twice as long.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(300);
/// A pipeline that ran for this long before a panic is restarted with the first pause again.
const STEADY: Duration = LONGEST_PAUSE;

#[cfg(test)]
mod tests;
