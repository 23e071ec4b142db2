//! The task of a pipeline, which restarts the export cycles after a panic.

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
use crate::ledger::Ledger;
use crate::moment::after;
use crate::retry::Chance;

/// A pipeline that can be run. It outlives the task that runs it, so that another task can continue.
pub(crate) struct Task {
    ledger: Ledger,
    /// Locked by the task while it runs.
    line: Arc<Mutex<Line>>,
}

impl Task {
    pub(crate) fn new(pipeline: Pipeline, hook: Hook) -> Self {
        let ledger = pipeline.ledger.clone();
        let line = Line::new(pipeline, hook, Chance::new());
        Task {
            ledger,
            line: Arc::new(Mutex::new(line)),
        }
    }

    /// Returns a future that runs the export cycles of the pipeline until a shutdown command arrives.
    pub(crate) fn run(
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
    /// Runs the export cycles until a shutdown command arrives. A panic is reported and counted, and
    /// the cycles are restarted after a pause.
    async fn supervised(&mut self, orders: &mut Orders) {
        let by_chance = self.interval.mul_f64(self.sender.chance.fraction());
        let mut due = after(Instant::now(), by_chance);
        let mut pause = FIRST_PAUSE;
        if std::mem::replace(&mut self.is_running, true) {
            // The previous task was interrupted, for example because its runtime was shut down.
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
            // Pending flushes fail, because their senders are dropped.
            drop(orders.take(OrderKind::Flush));
            if self.is_ending {
                self.end();
                break;
            }
            // After a panic, the last cycle is tried once more at most.
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
            // While the receiver is unavailable, only some of the scheduled cycles are run.
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
                // The last cycle also covers the flushes that were requested meanwhile.
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
            } else if waited == Waited::Notified {
                let until = after(now, self.timeout);
                self.round(Stage::Scheduled, now, until, orders).await;
                due = next_due(due, interval, Instant::now());
            }
        }
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

fn latest(orders: &[Order]) -> Option<Instant> {
    orders.iter().map(|order| order.deadline).max()
}

fn answer(orders: impl IntoIterator<Item = Order>, is_complete: bool) {
    for order in orders {
        // The caller may have stopped waiting.
        let _ = order.done.send(is_complete);
    }
}

const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(300);
/// Cycles that ran for this long before a panic are restarted with the first pause again.
const STEADY: Duration = LONGEST_PAUSE;
