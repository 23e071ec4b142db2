//! The task of a pipeline: its rounds, which are begun again when something in them panics.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, mpsc};
use tokio::time::Instant;

use super::Pipeline;
use super::caught::caught;
use super::line::Line;
use super::orders::{Order, OrderKind, Orders, Stage};
use super::round::Waited;
use super::tell::Hook;
use crate::push::ledger::Ledger;
use crate::push::moment::after;
use crate::push::retry::Chance;

/// A pipeline that can be run. It outlives the task that runs it, so that another one can go on where
/// that one has ended.
pub(in crate::push) struct Task {
    ledger: Ledger,
    /// Locked by the task for as long as there is one.
    line: Arc<Mutex<Line>>,
}

impl Task {
    pub(in crate::push) fn new(pipeline: Pipeline, hook: Hook) -> Self {
        let ledger = pipeline.ledger.clone();
        let line = Line::new(pipeline, hook, Chance::new());
        Task {
            ledger,
            line: Arc::new(Mutex::new(line)),
        }
    }

    /// Goes about the rounds of the pipeline until it is told to shut down.
    pub(in crate::push) fn run(
        &self,
        orders: mpsc::UnboundedReceiver<Order>,
    ) -> impl Future<Output = ()> + Send + use<> {
        let line = Arc::clone(&self.line);
        async move {
            let mut line = line.lock_owned().await;
            line.supervised(&mut Orders::new(orders)).await;
        }
    }
}

impl fmt::Debug for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Task")
            .field("ledger", &self.ledger)
            .finish_non_exhaustive()
    }
}

impl Line {
    /// Goes about its rounds until it is told to shut down. When something panics, that is told and
    /// counted, and the rounds are begun again after a pause.
    async fn supervised(&mut self, orders: &mut Orders) {
        let by_chance = self.interval.mul_f64(self.sender.chance.fraction());
        let mut due = after(Instant::now(), by_chance);
        let mut pause = FIRST_PAUSE;
        if std::mem::replace(&mut self.is_running, true) {
            // The task before this one ended in the middle of something, with its runtime.
            self.worker.finish();
            self.is_torn = true;
        }
        loop {
            let began = Instant::now();
            let rounds = caught(Box::pin(self.rounds(due, orders)));
            if rounds.await.is_ok() {
                break;
            }
            self.has_panicked();
            // Whoever waits for a flush hears that it came to nothing.
            drop(orders.take(OrderKind::Flush));
            if self.is_ending {
                self.end();
                break;
            }
            // The last round is tried once more at the most.
            self.is_ending = orders.interrupted(Stage::Flush).is_some();
            if began.elapsed() >= STEADY {
                pause = FIRST_PAUSE;
            }
            orders
                .sleep(Stage::Between, after(Instant::now(), pause))
                .await;
            pause = pause.saturating_mul(2).min(LONGEST_PAUSE);
            due = Instant::now();
        }
        self.is_running = false;
    }

    async fn rounds(&mut self, mut due: Instant, orders: &mut Orders) {
        let interval = self.interval;
        loop {
            // While the receiver is away, only some of the rounds that are due are made.
            let wakes = match self.rests_until() {
                Some(until) => next_due(due, interval, until),
                None => due,
            };
            let opens = self.opens_at().unwrap_or(wakes);
            let waited = self.between(wakes.min(opens), orders).await;
            self.open_journal(orders).await;
            let now = Instant::now();
            let last = orders.take(OrderKind::Shutdown);
            if let Some(deadline) = latest(&last) {
                let is_complete = self.last(deadline, orders).await;
                // Whoever asked for a flush meanwhile got more than that.
                let flushes = orders.take(OrderKind::Flush);
                answer(last.into_iter().chain(flushes), is_complete);
                return;
            }
            let flushes = orders.take(OrderKind::Flush);
            if let Some(deadline) = latest(&flushes) {
                let is_complete = self.round(Stage::Flush, now, deadline, orders).await;
                answer(flushes, is_complete);
                due = next_due(due, interval, Instant::now());
            } else if wakes <= now {
                let until = after(now, self.timeout);
                self.round(Stage::Scheduled, wakes, until, orders).await;
                due = next_due(after(wakes, interval), interval, Instant::now());
            } else if waited == Waited::Rung {
                let until = after(now, self.timeout);
                self.round(Stage::Scheduled, now, until, orders).await;
                due = next_due(due, interval, Instant::now());
            }
        }
    }
}

/// The first moment in step with `due` that is before neither `due` nor `from`.
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

fn latest(orders: &[Order]) -> Option<Instant> {
    orders.iter().map(|order| order.deadline).max()
}

fn answer(orders: impl IntoIterator<Item = Order>, is_complete: bool) {
    for order in orders {
        // Whoever asked may wait no more.
        let _ = order.done.send(is_complete);
    }
}

const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(300);
/// Rounds that went on for so long are begun again as if nothing had been.
const STEADY: Duration = LONGEST_PAUSE;
