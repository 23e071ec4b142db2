//! The work of a pipeline in an export cycle, and between two cycles.

use std::future::{pending, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use super::line::{Held, Journal, Line, Round, before_journal};
use super::orders::{Orders, Stage};
use super::send::Patience;
use super::worker::{Answer, Away, Job};
use crate::ledger::{Account, Reason};
use crate::moment::{after, part};
use crate::notification::Notification;
use crate::report::Event;

impl Line {
    /// Runs a cycle that was due at `due`. Returns true if everything was delivered, or is in the
    /// persistent queue.
    pub(super) async fn round(
        &mut self,
        stage: Stage,
        due: Instant,
        until: Instant,
        orders: &mut Orders,
    ) -> bool {
        if let Some(notification) = &self.notification {
            notification.clear();
        }
        self.try_journal_again();
        let time = until.saturating_duration_since(Instant::now());
        let lost_before = self.lost();
        let Account { taken, waiting, .. } = self.ledger.account();
        let round = Round {
            stage,
            due,
            sends_until: match self.journal {
                Journal::None => until,
                _ => after(Instant::now(), before_journal(time)),
            },
            until,
            patience: match self.breaker.is_open() {
                true => Patience::OneTry,
                false => Patience::Retries,
            },
        };
        let is_complete = match self.clear_desk(round, orders).await {
            Ok(()) => {
                self.settle_torn(round, orders).await;
                self.send_all(round, orders).await
            }
            Err(Away) => {
                self.is_late(time, round);
                false
            }
        };
        self.look_at_queue(taken);
        self.teller.round_ended();
        let is_lossless = lost_before == self.lost();
        // All items that waited when this began.
        let is_taken = self.ledger.account().taken >= taken.saturating_add(waiting);
        is_complete && is_taken && is_lossless && self.kept.is_none() && self.overtaken == 0
    }

    /// Returns the number of items that were dropped in transit and are not covered by newer ones.
    fn lost(&self) -> u64 {
        let totals = self.ledger.snapshot();
        // Items that a queue refuses were never in transit.
        let others = [Reason::Superseded, Reason::QueueFull];
        let dropped = Reason::ALL.into_iter().zip(totals.dropped);
        dropped
            .filter(|(reason, _)| !others.contains(reason))
            .fold(0, |sum, (_, items)| sum.saturating_add(items))
    }

    /// Runs the last cycle. Items that are left afterwards are in the persistent queue, or lost.
    pub(super) async fn last(&mut self, until: Instant, orders: &mut Orders) -> bool {
        let now = Instant::now();
        self.is_ending = true;
        let is_complete = self.round(Stage::Final, now, until, orders).await;
        // A cycle that could do nothing has not checked what waits on the disk.
        self.sync(Stage::Final, until, orders).await;
        if self.end() > 0 {
            self.sync(Stage::Final, until, orders).await;
        }
        is_complete
    }

    /// Closes the account. Items that are not in the persistent queue are lost; returns their number.
    pub(super) fn end(&mut self) -> u64 {
        let in_journal = self.journal.items();
        let left = self.ledger.end(in_journal);
        if left > 0 {
            self.teller.tell(Event::Left {
                items: left,
                message: std::mem::take(&mut self.last_error),
            });
        }
        let totals = self.ledger.snapshot();
        let accounted = totals.settled().saturating_add(in_journal);
        if totals.produced != accounted {
            self.teller.tell(Event::Unaccounted {
                produced: totals.produced,
                accounted,
            });
        }
        left
    }

    /// Waits for the next cycle, a command or a notification. Meanwhile sends requests from the
    /// persistent queue.
    pub(super) async fn between(&mut self, due: Instant, orders: &mut Orders) -> Waited {
        while !self.journal.is_empty()
            && !self.breaker.is_open()
            && !self.worker.is_away()
            && Instant::now() < due
            && orders.interrupted(Stage::Between).is_none()
            && !self
                .notification
                .as_ref()
                .is_some_and(Notification::is_pending)
        {
            let until = after(Instant::now(), self.timeout);
            let round = Round {
                stage: Stage::Between,
                due: Instant::now(),
                sends_until: until,
                until,
                patience: Patience::Retries,
            };
            if !self.replay(round, due, orders).await {
                break;
            }
        }
        // While the pipeline rests, notifications are ignored: records stay in their queue.
        let notification = self.notification.as_ref();
        let notification = notification.filter(|_| self.rests_until().is_none());
        let mut notified = pin!(async {
            match notification {
                Some(notification) => notification.notified().await,
                None => pending().await,
            }
        });
        let mut sleep = pin!(orders.sleep(Stage::Between, due));
        poll_fn(|context| {
            if sleep.as_mut().poll(context).is_ready() {
                return Poll::Ready(Waited::Out);
            }
            notified.as_mut().poll(context).map(|()| Waited::Notified)
        })
        .await
    }

    async fn send_all(&mut self, round: Round, orders: &mut Orders) -> bool {
        let may_send = round.stage != Stage::Scheduled
            || self.breaker.until().is_none_or(|at| at <= round.due);
        let mut sends = may_send
            && (self.replay(round, round.sends_until, orders).await || self.is_unreadable());
        if let Some(request) = self.kept.take() {
            match sends {
                true => sends = self.carry(request, Held::Kept, round, orders).await,
                false => self.give_up(request, true, round, orders).await,
            }
        }
        if self.kept.is_some() || !sends && !self.journal.takes() {
            return false;
        }
        let overtaken = std::mem::take(&mut self.overtaken);
        self.ledger.drop(overtaken, Reason::Superseded);
        let mut collecting = Collecting::default();
        let mut job = Job::Begin(SystemTime::now());
        let is_complete = loop {
            let asked = Instant::now();
            let run = self.worker.run(job, round.stage, round.until, orders);
            let Ok(answer) = run.await else {
                if orders.interrupted(round.stage).is_none() {
                    self.is_late(asked.elapsed(), round);
                }
                collecting.error = Some("timeout");
                break false;
            };
            self.look_at(&answer);
            collecting.add(&answer);
            if answer.has_panicked {
                break false;
            }
            let Some(request) = answer.request else {
                break true;
            };
            self.ledger.produce(request.items);
            let is_safe = match sends {
                true => self.carry(request, Held::New, round, orders).await,
                false => {
                    self.give_up(request, false, round, orders).await;
                    false
                }
            };
            // Requests after one that went to the persistent queue go there, too.
            sends &= is_safe;
            if !sends && !self.journal.takes() {
                break false;
            }
            if self.worker.is_away() || orders.interrupted(round.stage).is_some() {
                break false;
            }
            if Instant::now() >= round.sends_until {
                if !self.journal.takes() {
                    let limit = self.limit(round);
                    self.teller.tell_once(Event::Slow { limit });
                    break false;
                }
                sends = false;
            }
            job = Job::Next;
        };
        if collecting.has_begun {
            self.ledger
                .collected(collecting.took, &collecting.error.map(Into::into));
        }
        self.sync(round.stage, round.until, orders).await;
        is_complete
    }

    /// Sends the requests in the persistent queue, the oldest first, as long as there is time to begin
    /// one. Returns true if the persistent queue is empty.
    async fn replay(&mut self, round: Round, until: Instant, orders: &mut Orders) -> bool {
        if self.journal.is_empty() {
            return true;
        }
        let mut job = Job::Oldest;
        loop {
            let run = self.worker.run(job, round.stage, round.until, orders);
            let Ok(answer) = run.await else {
                return false;
            };
            self.look_at(&answer);
            let Some(request) = answer.request else {
                return self.journal.is_empty();
            };
            let is_over = Instant::now() >= until || orders.interrupted(round.stage).is_some();
            if is_over || !self.carry(request, Held::InJournal, round, orders).await {
                return false;
            }
            job = Job::RemoveOldest;
        }
    }

    /// Waits for a job that an earlier cycle gave up, and processes its result.
    async fn clear_desk(&mut self, round: Round, orders: &mut Orders) -> Result<(), Away> {
        if !self.worker.is_away() {
            return Ok(());
        }
        let mut answer = self.worker.back(round.stage, round.until, orders).await?;
        if let Some(request) = answer.unwritten.take() {
            // Its feed considers it settled.
            self.kept = Some(request);
        }
        self.look_at(&answer);
        if let (true, Some(request)) = (answer.is_new, answer.request) {
            self.ledger.produce(request.items);
            self.give_up(request, false, round, orders).await;
        }
        Ok(())
    }

    /// Accounts for the requests that an interrupted cycle had in hand. They are dropped, because it
    /// is unknown whether they arrived, and the feed need not build them again.
    async fn settle_torn(&mut self, round: Round, orders: &mut Orders) {
        if !self.is_torn {
            return;
        }
        self.worker.settle_open();
        // Updates the number of items in the persistent queue.
        self.sync(round.stage, round.until, orders).await;
        if self.worker.is_away() {
            return;
        }
        self.is_torn = false;
        let kept = self.kept.as_ref().map_or(0, |request| request.items);
        let held = kept
            .saturating_add(self.overtaken)
            .saturating_add(self.journal.items());
        let lost = self.ledger.encoded().saturating_sub(held);
        if lost > 0 {
            self.ledger.drop(lost, Reason::Panicked);
            self.ledger.fail(lost, &Some("panic".into()));
        }
    }

    async fn sync(&mut self, stage: Stage, until: Instant, orders: &mut Orders) {
        if self.journal != Journal::None
            && let Ok(answer) = self.worker.run(Job::Sync, stage, until, orders).await
        {
            self.look_at(&answer);
        }
    }

    fn is_late(&mut self, waited: Duration, round: Round) {
        let limit = self.limit(round);
        self.teller
            .tell_once(match waited >= part(self.timeout, 2) {
                true => Event::Stuck { limit: waited },
                false => Event::Slow { limit },
            });
    }

    /// Returns the time limit of a cycle. A flush or a shutdown sets its own.
    fn limit(&self, round: Round) -> Duration {
        match round.stage {
            Stage::Between | Stage::Scheduled => self.timeout,
            Stage::Flush | Stage::Final => round.until.saturating_duration_since(round.due),
        }
    }
}

/// The reason why the wait between two cycles ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Waited {
    /// The time is up, or a command arrived.
    Out,
    /// A notification arrived.
    Notified,
}

/// The duration and the result of collecting in one cycle.
#[derive(Debug, Default)]
struct Collecting {
    has_begun: bool,
    took: Duration,
    error: Option<&'static str>,
}

impl Collecting {
    fn add(&mut self, answer: &Answer) {
        self.has_begun = true;
        self.took = self.took.saturating_add(answer.took);
        if answer.has_panicked {
            self.error = Some("panic");
        }
    }
}
