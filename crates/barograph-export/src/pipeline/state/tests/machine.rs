//! A simulated task.

use std::collections::VecDeque;
use std::vec;

use super::*;
use crate::ledger::{QueueOperation, Reason};
use crate::pipeline::blocking::{Busy, JobResult};
use crate::pipeline::store::StoreError;

/// A simulated task, whose source, receiver, worker and persistent queue act at random.
pub(super) struct Machine {
    pub(super) state: PipelineState,
    pub(super) now: Instant,
    pub(super) account: Account,
    has_queue: bool,
    pub(super) queue: VecDeque<Request>,
    /// The number of requests that fit into the queue.
    room: usize,
    /// True if the source has a request that is not acknowledged.
    is_open: bool,
    /// The number of requests that the source has left in this cycle.
    left: u8,
    pub(super) late: Option<JobResult>,
    has_flush: bool,
    pub(super) deadline: Option<Instant>,
    pub(super) accepted: usize,
    pub(super) is_accounted: bool,
    /// True once the account is closed: what was in memory is lost.
    is_closed: bool,
    choices: vec::IntoIter<u8>,
}

impl Machine {
    pub(super) fn new(
        values: Values,
        availability: Availability,
        now: Instant,
        choices: Vec<u8>,
    ) -> Self {
        Machine {
            state: state(values, availability, now),
            now,
            account: Account::default(),
            has_queue: availability != Availability::None,
            queue: VecDeque::new(),
            room: 3,
            is_open: false,
            left: 0,
            late: None,
            has_flush: false,
            deadline: None,
            accepted: 0,
            is_accounted: true,
            is_closed: false,
            choices: choices.into_iter(),
        }
    }

    /// Returns true once in `n` random choices, and never when they are used up.
    fn chance(&mut self, n: u8) -> bool {
        self.choices
            .next()
            .is_some_and(|choice| choice % n == n - 1)
    }

    /// Passes an event to the state, and applies the effects.
    pub(super) fn handle(&mut self, event: Event) -> Operation {
        let seen = Observation {
            now: self.now,
            account: self.account,
            flush: self.has_flush.then(|| self.now + 5 * SECOND),
            shutdown: self.deadline,
            is_busy: self.late.is_some(),
            is_notified: false,
        };
        let (effects, operation) = self.state.handle(event, seen);
        for effect in effects {
            match effect {
                Effect::Produce(items) => self.account.produce(items),
                Effect::Export(items) => self.account.export(items),
                Effect::Drop(items, reason) => self.account.drop_items(items, reason),
                Effect::Accept(CommandKind::Flush) => {
                    self.has_flush = false;
                    self.accepted += 1;
                }
                Effect::Accept(CommandKind::Shutdown) => self.accepted += 1,
                Effect::Answer { .. } => self.accepted = 0,
                Effect::FailCommands => (self.has_flush, self.accepted) = (false, 0),
                Effect::Report(report::Event::Unaccounted { .. }) => self.is_accounted = false,
                _ => {}
            }
        }
        operation
    }

    /// Performs an operation. Returns its result, or `None` at the end.
    pub(super) fn perform(&mut self, operation: Operation) -> Option<Event> {
        Some(match operation {
            Operation::Wait { until, for_batch } => {
                self.has_flush |= self.chance(5);
                let is_notified = for_batch && self.chance(5);
                if !self.has_flush && !is_notified && self.deadline.is_none() {
                    self.now = self.now.max(until);
                }
                Event::Waited { is_notified }
            }
            // The request is lost.
            Operation::Send { .. } if self.chance(16) => Event::Panicked,
            Operation::Send { request, .. } => {
                self.now += SECOND;
                let delivery = match self.choices.next().unwrap_or_default() % 8 {
                    0..4 => Delivery::Accepted(None),
                    4 => undelivered(false),
                    5 => undelivered(true),
                    6 => refused(),
                    _ => Delivery::Panicked,
                };
                Event::Sent { request, delivery }
            }
            Operation::Run { ack, .. } if self.late.is_some() => {
                assert_eq!(ack, None, "an acknowledgement is lost");
                Event::JobDone(Err(Busy))
            }
            Operation::Run {
                job, ack, until, ..
            } => {
                let result = self.run(job, ack);
                let is_late = self.chance(8);
                if is_late || self.chance(16) {
                    self.late = Some(result);
                    match is_late {
                        true => self.now = self.now.max(until),
                        false => return Some(Event::Panicked),
                    }
                    return Some(Event::JobDone(Err(Busy)));
                }
                Event::JobDone(Ok(result))
            }
            Operation::AwaitJob { until, .. } => match self.late.take() {
                Some(late) if self.chance(4) => {
                    self.now = self.now.max(until);
                    self.late = Some(late);
                    Event::JobDone(Err(Busy))
                }
                late => Event::JobDone(late.ok_or(Busy)),
            },
            Operation::Close { stored } => {
                let lost = self.account.encoded().saturating_sub(stored);
                self.account.drop_items(lost, Reason::Shutdown);
                self.is_closed = true;
                Event::Closed { lost }
            }
            Operation::Stop => return None,
        })
    }

    fn run(&mut self, job: Job, ack: Option<Ack>) -> JobResult {
        if ack.is_some() {
            assert!(self.is_open, "nothing to acknowledge");
            self.is_open = false;
        }
        let mut result = JobResult {
            is_open: self.has_queue,
            ..JobResult::default()
        };
        match job {
            Job::Begin => {
                self.left = self.choices.next().unwrap_or(1) % 4;
                self.build(&mut result);
            }
            Job::Next => self.build(&mut result),
            Job::Append(_) if self.queue.len() >= self.room => result.refused = ITEMS,
            Job::Append(request) if self.chance(8) => {
                result.unwritten = Some(request);
                result.tried[QueueOperation::Write as usize] = Some(Err(StoreError {
                    operation: QueueOperation::Write,
                    error_type: "io",
                    message: "Input/output error".to_owned(),
                }));
            }
            Job::Append(request) => {
                self.queue.push_back(request);
                result.tried[QueueOperation::Write as usize] = Some(Ok(()));
            }
            Job::Oldest => result.request = self.queue.front().cloned(),
            Job::RemoveOldest => {
                self.queue.pop_front();
                result.request = self.queue.front().cloned();
            }
            Job::Sync | Job::Open => {}
        }
        result.pending = self.stored();
        result
    }

    fn build(&mut self, result: &mut JobResult) {
        assert!(
            !self.is_open,
            "a request is built before the last one is acknowledged"
        );
        result.is_new = true;
        if let Some(left) = self.left.checked_sub(1) {
            self.left = left;
            self.is_open = true;
            result.request = Some(request());
        }
    }

    pub(super) fn stored(&self) -> u64 {
        self.queue.iter().map(|request| request.items).sum()
    }

    /// Checks the account against where the items are.
    pub(super) fn check(&self, operation: &Operation) {
        let totals = self.account.totals;
        assert_eq!(totals.produced, totals.settled() + self.account.queued);
        if self.state.is_interrupted || self.late.is_some() {
            return;
        }
        let in_hand = match operation {
            // It is still in the persistent queue.
            Operation::Send { .. }
                if self.state.phase == Phase::Sending(Origin::PersistentQueue) =>
            {
                0
            }
            Operation::Send { request, .. } => request.items,
            Operation::Run {
                job: Job::Append(request),
                ..
            } => request.items,
            // It was delivered.
            Operation::Run {
                job: Job::RemoveOldest,
                ..
            } => return,
            _ => 0,
        };
        let unacknowledged = self.state.unacknowledged.as_ref();
        let in_memory = match self.is_closed {
            true => 0,
            false => unacknowledged.map_or(0, |request| request.items) + self.state.superseded,
        };
        let held = in_hand + in_memory + self.stored();
        assert_eq!(self.account.queued, held, "{operation:?}");
    }
}
