//! The state of a pipeline, and the handling of each request's outcome.

use std::time::Duration;

use tokio::time::Instant;

use super::Pipeline;
use super::orders::{Orders, Stage};
use super::send::{Delivery, Patience, Sender};
use super::tell::{Hook, Teller};
use super::worker::{Answer, Away, Job, Worker};
use crate::feed::{Fate, Oversized};
use crate::ledger::{Account, Ledger, QueueOperation, Reason};
use crate::moment::{after, part};
use crate::notification::Notification;
use crate::outcome::{PartialSuccess, Refusal, Setback};
use crate::report::Event;
use crate::retry::{Breaker, Chance};
use barograph_encode::otlp::Request;

/// The state of a running pipeline.
pub(super) struct Line {
    pub(super) sender: Sender,
    pub(super) worker: Worker,
    pub(super) teller: Teller,
    pub(super) breaker: Breaker,
    pub(super) ledger: Ledger,
    /// The time between two export cycles.
    pub(super) interval: Duration,
    /// The time limit of an export cycle.
    pub(super) timeout: Duration,
    /// A request that must be sent again unchanged, before anything newer. Its feed waits until it is
    /// settled.
    pub(super) kept: Option<Request>,
    /// The number of items of the last cycle that the feed will report again.
    pub(super) overtaken: u64,
    pub(super) journal: Journal,
    /// The notification that starts a cycle before its scheduled time.
    pub(super) notification: Option<Notification>,
    /// The number of queued items that justify a cycle.
    pub(super) batch: u64,
    /// The number of items that the queue had refused at the last check.
    refused: u64,
    /// True while a task runs this pipeline.
    pub(super) is_running: bool,
    /// True if a cycle was interrupted. The next one accounts for the requests that it had in hand.
    pub(super) is_torn: bool,
    /// True once the last cycle is due.
    pub(super) is_ending: bool,
    /// The message of the last failed attempt; empty after a success.
    pub(super) last_error: String,
    /// The number of items that had been dropped when the outage began.
    dropped_before: u64,
    is_overtaken: bool,
    resends_ambiguous: bool,
    /// The time since which each operation of the persistent queue has failed.
    failing: [Option<Instant>; QueueOperation::COUNT],
    /// The time of the next attempt to open the persistent queue, and the pause before the one after
    /// it.
    opens: (Instant, Duration),
}

/// The known state of the persistent queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Journal {
    None,
    /// It could not be opened yet.
    Closed,
    /// It is open and holds this many items.
    Holds(u64),
    /// It has refused a request since one was last taken out of it.
    Full(u64),
    /// It could not be written in this cycle or the last one.
    Unwritable(u64),
}

impl Journal {
    /// Returns the number of items in it.
    pub(super) fn items(self) -> u64 {
        match self {
            Journal::None | Journal::Closed => 0,
            Journal::Holds(items) | Journal::Full(items) | Journal::Unwritable(items) => items,
        }
    }

    pub(super) fn is_empty(self) -> bool {
        self.items() == 0
    }

    /// Returns true if a request can be appended to it.
    pub(super) fn takes(self) -> bool {
        matches!(self, Journal::Holds(_))
    }
}

/// The limits of one export cycle.
#[derive(Clone, Copy, Debug)]
pub(super) struct Round {
    pub(super) stage: Stage,
    /// The time at which the cycle was due.
    pub(super) due: Instant,
    /// The time until which requests are sent.
    pub(super) sends_until: Instant,
    /// The time at which the cycle must end.
    pub(super) until: Instant,
    pub(super) patience: Patience,
}

impl Line {
    pub(super) fn new(pipeline: Pipeline, hook: Hook, chance: Chance) -> Self {
        let Pipeline {
            ledger,
            feed,
            transport,
            schedule,
            retry,
            store,
            notification,
        } = pipeline;
        let journal = match &store {
            None => Journal::None,
            Some(store) if store.closed_by().is_some() => Journal::Closed,
            Some(store) => Journal::Holds(store.pending_items()),
        };
        let now = Instant::now();
        let mut teller = Teller::new(hook, ledger.clone());
        let mut failing = [None; QueueOperation::COUNT];
        if let Some(error) = store.as_ref().and_then(|store| store.closed_by()) {
            failing[error.operation as usize] = Some(now);
            teller.tell_once(error.event());
        }
        let sends = match journal {
            Journal::None => schedule.timeout,
            _ => before_journal(schedule.timeout),
        };
        Line {
            breaker: retry.breaker(schedule.interval),
            interval: schedule.interval,
            timeout: schedule.timeout,
            batch: feed.batch(),
            is_overtaken: feed.is_overtaken(),
            resends_ambiguous: feed.resends_ambiguous(),
            worker: Worker::new(feed, store, ledger.clone()),
            teller,
            sender: Sender {
                transport,
                ledger: ledger.clone(),
                retry,
                chance,
                request_timeout: schedule.request_timeout.min(sends),
            },
            ledger,
            kept: None,
            overtaken: 0,
            journal,
            notification,
            refused: 0,
            is_running: false,
            is_torn: false,
            is_ending: false,
            last_error: String::new(),
            dropped_before: 0,
            failing,
            opens: (after(now, FIRST_PAUSE), FIRST_PAUSE.saturating_mul(2)),
        }
    }

    /// Returns the time of the next attempt to open the persistent queue, if it is closed.
    pub(super) fn opens_at(&self) -> Option<Instant> {
        let is_closed = self.journal == Journal::Closed && !self.worker.is_away();
        is_closed.then_some(self.opens.0)
    }

    /// Opens the persistent queue, if it is time to try. Another process may have held it, for example
    /// while a service is replaced by its next version, or the disk may not have been ready.
    pub(super) async fn open_journal(&mut self, orders: &mut Orders) {
        let now = Instant::now();
        if self.opens_at().is_none_or(|at| at > now) {
            return;
        }
        let (_, pause) = self.opens;
        let next = pause.saturating_mul(2).min(LONGEST_PAUSE);
        self.opens = (after(now, pause), next);
        let until = after(now, self.timeout);
        let run = self.worker.run(Job::Open, Stage::Between, until, orders);
        if let Ok(answer) = run.await {
            self.look_at(&answer);
        }
    }

    /// Returns true if the persistent queue has been unreadable for so long that new requests are sent
    /// ahead of its contents.
    pub(super) fn is_unreadable(&self) -> bool {
        let since = self.failing[QueueOperation::Read as usize];
        since.is_some_and(|since| since.elapsed() >= IN_ORDER)
    }

    /// Lets the next request be written to a persistent queue that could not be written before.
    pub(super) fn try_journal_again(&mut self) {
        if let Journal::Unwritable(items) = self.journal {
            self.journal = Journal::Holds(items);
        }
    }

    /// Returns the time until which the pipeline has nothing to do because the receiver is
    /// unavailable. `None` if the receiver is available, or if requests can be written to the
    /// persistent queue.
    pub(super) fn rests_until(&self) -> Option<Instant> {
        match self.journal.takes() {
            true => None,
            false => self.breaker.until(),
        }
    }

    /// Sends a request. Settles it in the ledger and, unless it is `InJournal`, with the feed or the
    /// persistent queue. Returns false if the request could not be delivered for now, and true
    /// otherwise.
    pub(super) async fn carry(
        &mut self,
        request: Request,
        held: Held,
        round: Round,
        orders: &mut Orders,
    ) -> bool {
        let (stage, until) = (round.stage, round.sends_until);
        let sent = self
            .sender
            .deliver(&request, round.patience, stage, until, orders);
        let items = request.items;
        match sent.await {
            Delivery::Taken(partial) => {
                self.taken(items, partial);
                self.receiver_answered();
            }
            Delivery::Refused(refusal) => {
                self.ledger.drop(items, Reason::Rejected);
                self.receiver_answered();
                self.teller.tell_once(Event::Refused {
                    error_type: refusal.error_type,
                    message: refusal.message,
                    items,
                });
            }
            Delivery::TooLarge => {
                self.ledger.drop(items, Reason::TooLarge);
                let bytes = request.body.len();
                self.teller.tell_once(Event::TooLarge { bytes, items });
            }
            Delivery::Panicked => {
                self.ledger.drop(items, Reason::Panicked);
                self.teller.tell_once(Event::Panicked { part: "transport" });
            }
            Delivery::Undelivered { setback, is_proof } => {
                self.last_error.clone_from(&setback.message);
                let may_have_arrived = setback.may_have_arrived || held == Held::Kept;
                if is_proof {
                    self.receiver_is_away(setback, round);
                } else if stage == Stage::Scheduled && orders.interrupted(stage).is_none() {
                    self.teller.tell_once(Event::Slow {
                        limit: self.timeout,
                    });
                }
                if held != Held::InJournal {
                    self.give_up(request, may_have_arrived, round, orders).await;
                }
                return false;
            }
        }
        if held != Held::InJournal {
            self.worker.settle(Fate::Settled);
        }
        true
    }

    /// Decides what happens to a request that was not delivered: it is written to the persistent
    /// queue, waits in memory, or is superseded by the next cycle.
    pub(super) async fn give_up(
        &mut self,
        request: Request,
        may_have_arrived: bool,
        round: Round,
        orders: &mut Orders,
    ) {
        let is_told_anew = self.is_overtaken && !(may_have_arrived && self.resends_ambiguous);
        match self.journal.takes() && !self.worker.is_away() {
            true => self.append(request, is_told_anew, round, orders).await,
            false => self.keep_in_memory(request, is_told_anew),
        }
    }

    fn keep_in_memory(&mut self, request: Request, is_told_anew: bool) {
        if is_told_anew {
            self.overtaken = self.overtaken.saturating_add(request.items);
            self.worker.settle(Fate::Undone);
        } else {
            self.kept = Some(request);
        }
    }

    async fn append(
        &mut self,
        request: Request,
        is_told_anew: bool,
        round: Round,
        orders: &mut Orders,
    ) {
        let run = self
            .worker
            .run(Job::Append(request), round.stage, round.until, orders);
        let refused = match run.await {
            Ok(mut answer) => {
                let unwritten = answer.unwritten.take();
                let refused = self.look_at(&answer);
                if let Some(request) = unwritten {
                    return self.keep_in_memory(request, is_told_anew);
                }
                refused
            }
            // The result is processed when the job completes.
            Err(Away) => 0,
        };
        self.worker.settle(match refused > 0 && is_told_anew {
            true => Fate::Undone,
            false => Fate::Settled,
        });
    }

    /// Processes the result of a job. Returns the number of items that the persistent queue refused.
    pub(super) fn look_at(&mut self, answer: &Answer) -> u64 {
        if answer.has_panicked {
            self.teller
                .tell_once(Event::Panicked { part: "collecting" });
        }
        let Oversized { items, bytes } = answer.oversized;
        if items > 0 {
            self.ledger.produce(items);
            self.ledger.drop(items, Reason::TooLarge);
            self.ledger.fail(items, &Some(Refusal::TOO_LARGE.into()));
            self.teller.tell_once(Event::TooLarge { bytes, items });
        }
        if answer.refused > 0 {
            self.ledger.drop(answer.refused, Reason::JournalFull);
            self.teller.tell_once(Event::JournalFull);
        }
        if let Some(items) = answer.damaged {
            self.teller
                .tell_once(Event::PersistentQueueDamaged { items });
        }
        self.look_at_tries(answer);
        let is_written = !matches!(answer.tried[QueueOperation::Write as usize], Some(Err(_)));
        self.journal = match self.journal {
            Journal::None => Journal::None,
            _ if !answer.is_open => Journal::Closed,
            _ if !is_written => Journal::Unwritable(answer.pending),
            Journal::Unwritable(_) => Journal::Unwritable(answer.pending),
            _ if answer.refused > 0 => Journal::Full(answer.pending),
            Journal::Full(before) if answer.pending >= before => Journal::Full(answer.pending),
            _ => Journal::Holds(answer.pending),
        };
        answer.refused
    }

    /// Processes the results of the operations on the persistent queue.
    fn look_at_tries(&mut self, answer: &Answer) {
        if self.journal == Journal::None {
            return;
        }
        let had_failed = self.failing.iter().any(Option::is_some);
        for (tried, failing) in answer.tried.iter().zip(&mut self.failing) {
            match tried {
                None => {}
                Some(Ok(())) => *failing = None,
                Some(Err(error)) => {
                    failing.get_or_insert_with(Instant::now);
                    self.ledger.queue_failed(error.operation, error.error_type);
                    self.teller.tell_once(error.event());
                }
            }
        }
        let is_usable = answer.is_open && !self.failing.iter().any(Option::is_some);
        self.ledger.set_queue_usable(is_usable);
        if had_failed && is_usable {
            let items = answer.pending;
            self.teller
                .tell_once(Event::PersistentQueueUsable { items });
        }
    }

    /// Reports the items that the queue has refused since the last check.
    fn tell_refused(&mut self) {
        let refused = self.ledger.refused();
        let items = refused.saturating_sub(self.refused);
        if items > 0 {
            self.refused = refused;
            self.teller.tell_once(Event::QueueFull { items });
        }
    }

    /// Checks the record queue after a cycle. `before` is the number of items that had been taken out
    /// of it when the cycle began.
    pub(super) fn look_at_queue(&mut self, before: u64) {
        self.tell_refused();
        let Account { taken, waiting, .. } = self.ledger.account();
        // A batch arrived while the last one was sent. If this cycle took nothing, another one would
        // not either.
        if let Some(notification) = &self.notification
            && waiting >= self.batch
            && taken > before
        {
            notification.notify();
        }
    }

    /// Records a panic in a cycle or between two cycles.
    pub(super) fn has_panicked(&mut self) {
        self.is_torn = true;
        self.ledger.restart();
        self.teller.tell_once(Event::Panicked { part: "pipeline" });
    }

    fn taken(&mut self, items: u64, partial: Option<PartialSuccess>) {
        let Some(PartialSuccess { rejected, message }) = partial else {
            self.ledger.export(items);
            return;
        };
        // The receiver may report any number.
        let rejected = rejected.min(items);
        self.ledger.export(items.saturating_sub(rejected));
        self.ledger.drop(rejected, Reason::Partial);
        if rejected > 0 {
            self.teller.tell_once(Event::Partial { rejected, message });
        } else if !message.is_empty() {
            self.teller.tell_once(Event::Warning { message });
        }
    }

    fn receiver_answered(&mut self) {
        self.last_error.clear();
        if let Some(since) = self.breaker.succeeded() {
            let dropped = self.ledger.snapshot().dropped_in_all();
            let dropped = dropped.saturating_add(self.overtaken);
            self.teller.tell(Event::Back {
                outage: since.elapsed(),
                dropped: dropped.saturating_sub(self.dropped_before),
            });
        }
    }

    fn receiver_is_away(&mut self, setback: Setback, round: Round) {
        // Repeated flushes must not make the pauses longer.
        if self.breaker.is_open() && round.stage != Stage::Scheduled {
            return;
        }
        if let Some(longest_pause) = self.breaker.failed(round.due, setback.retry_after) {
            self.dropped_before = self.ledger.snapshot().dropped_in_all();
            self.teller.tell(Event::Away {
                message: setback.message,
                longest_pause,
            });
        }
    }
}

/// The origin of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Held {
    /// It was just built by the feed.
    New,
    /// It was kept in memory to be sent again unchanged.
    Kept,
    /// It is in the persistent queue, and stays there until it is delivered.
    InJournal,
}

/// The pause after the first failed attempt to open the persistent queue. Each further pause is twice
/// as long.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// The longest of these pauses, and so the longest time until a service takes over the persistent
/// queue of its predecessor after that has ended.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// The time for which new requests wait behind a persistent queue that cannot be read. After that they
/// are sent first: a disk that stays broken must not hold up current telemetry.
const IN_ORDER: Duration = Duration::from_secs(60);

/// Returns the part of a cycle's time in which requests are sent. The rest is reserved for writing
/// undelivered requests to the persistent queue.
pub(super) fn before_journal(time: Duration) -> Duration {
    time.saturating_sub(part(time, 4))
}
