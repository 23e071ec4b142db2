//! One signal on its way to one reader.
//!
//! A pipeline begins a round every interval: it has its feed collect, and sends one request after the
//! other. What could not be sent decides what comes next:
//!
//! * **State of metrics** is overtaken: the next round tells it anew, and what it told is dropped as
//!   [`Superseded`](crate::push::Reason::Superseded) then.
//! * **Differences that may have arrived** are sent again as they were, before anything newer. The
//!   receiver may see them twice; told in other words they would count twice for certain.
//! * **Events**, which come once only, are sent again as they were, too.
//! * **With a journal** all of it goes there, and from there, in order, when the receiver is back.
//!
//! While the receiver is away nothing is collected, but for the one request that shows whether it is
//! back; with a journal, collecting goes on. Memory holds one request at a time, and one that is kept.
//!
//! A round comes early when a batch waits in the queue of its feed and whoever put it there rings.

mod orders;
mod tell;
mod send;
mod worker;
mod line;
mod round;

use std::fmt;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::push::feed::Feed;
#[cfg(feature = "journal")]
use crate::push::journal::Journal;
use crate::push::ledger::Ledger;
use crate::push::moment::{LONGEST, after};
use crate::push::retry::{Chance, RetryPolicy};
use crate::push::transport::Transport;
use crate::push::wake::Wake;

use line::Line;
use orders::{Orders, Stage};
use round::Waited;

pub(super) use orders::{Order, OrderKind};
pub(super) use tell::Hook;
pub(super) use worker::Store;

/// When a pipeline acts, and how long it may take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schedule {
    interval: Duration,
    timeout: Duration,
    request_timeout: Duration,
}

impl Schedule {
    /// A round every 60 s, which may take 30 s; a request may take 10 s, all its tries together.
    ///
    /// Source: OpenTelemetry 1.60, `OTEL_METRIC_EXPORT_INTERVAL`, `OTEL_METRIC_EXPORT_TIMEOUT` and
    /// `OTEL_EXPORTER_OTLP_TIMEOUT`.
    pub fn new() -> Self {
        Schedule {
            interval: Duration::from_secs(60),
            timeout: Duration::from_secs(30),
            request_timeout: Duration::from_secs(10),
        }
    }

    /// The time between two rounds. The first comes at a moment by chance within the first interval,
    /// so that a fleet that starts at once does not push at once.
    #[must_use]
    pub fn with_interval(mut self, interval: Duration) -> Self {
        self.interval = interval.clamp(SHORTEST, LONGEST);
        self
    }

    /// How long a round may take.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout.clamp(SHORTEST, LONGEST);
        self
    }

    /// How long a request may take, all its tries and the pauses between them together.
    #[must_use]
    pub fn with_request_timeout(mut self, timeout: Duration) -> Self {
        self.request_timeout = timeout.clamp(SHORTEST, LONGEST);
        self
    }
}

impl Default for Schedule {
    fn default() -> Self {
        Self::new()
    }
}

/// A feed, a transport, and how to bring the one's requests to the other.
#[must_use = "nothing is pushed until a driver runs it"]
pub struct Pipeline {
    ledger: Ledger,
    feed: Box<dyn Feed>,
    transport: Box<dyn Transport>,
    schedule: Schedule,
    retry: RetryPolicy,
    store: Option<Box<dyn Store>>,
    wake: Option<Wake>,
}

impl Pipeline {
    /// A pipeline with the default schedule and retries. Everything it does is in the ledger, and so is
    /// the queue that its feed takes from.
    pub fn new(ledger: Ledger, feed: Box<dyn Feed>, transport: Box<dyn Transport>) -> Self {
        if let Some(backlog) = feed.backlog() {
            ledger.attach(backlog);
        }
        Pipeline {
            ledger,
            feed,
            transport,
            schedule: Schedule::new(),
            retry: RetryPolicy::new(),
            store: None,
            wake: None,
        }
    }

    /// When it acts.
    pub fn with_schedule(mut self, schedule: Schedule) -> Self {
        self.schedule = schedule;
        self
    }

    /// How it tries again.
    pub fn with_retry(mut self, retry: RetryPolicy) -> Self {
        self.retry = retry;
        self
    }

    /// Begins a round whenever this is rung.
    pub fn with_wake(mut self, wake: Wake) -> Self {
        self.wake = Some(wake);
        self
    }

    /// Keeps in this journal what cannot be delivered, and goes on from the sums that are in it.
    #[cfg(feature = "journal")]
    pub fn with_journal(mut self, journal: Journal) -> Self {
        self.ledger
            .restore(&journal.totals(), journal.pending_items());
        self.store = Some(Box::new(journal));
        self
    }

    /// Keeps here what cannot be delivered.
    #[cfg(test)]
    pub(super) fn with_store(mut self, store: Box<dyn Store>) -> Self {
        self.store = Some(store);
        self
    }

    /// Its account.
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Goes about its rounds until it is told to shut down.
    pub(super) async fn run(self, hook: Hook, orders: mpsc::UnboundedReceiver<Order>) {
        let mut chance = Chance::new();
        let interval = self.schedule.interval;
        let mut due = after(Instant::now(), interval.mul_f64(chance.fraction()));
        let mut orders = Orders::new(orders);
        let mut line = Line::new(self, hook, chance);
        loop {
            // While the receiver is away, only some of the rounds that are due are made.
            let wakes = match line.rests_until() {
                Some(until) => next_due(due, interval, until),
                None => due,
            };
            let waited = line.between(wakes, &mut orders).await;
            let now = Instant::now();
            let last = orders.take(OrderKind::Shutdown);
            if let Some(deadline) = latest(&last) {
                let is_complete = line.last(deadline, &mut orders).await;
                // Whoever asked for a flush meanwhile got more than that.
                let flushes = orders.take(OrderKind::Flush);
                answer(last.into_iter().chain(flushes), is_complete);
                return;
            }
            let flushes = orders.take(OrderKind::Flush);
            if let Some(deadline) = latest(&flushes) {
                let is_complete = line.round(Stage::Flush, now, deadline, &mut orders).await;
                answer(flushes, is_complete);
                due = next_due(due, interval, Instant::now());
            } else if wakes <= now {
                let until = after(now, line.timeout);
                line.round(Stage::Scheduled, wakes, until, &mut orders)
                    .await;
                due = next_due(after(wakes, interval), interval, Instant::now());
            } else if waited == Waited::Rung {
                let until = after(now, line.timeout);
                line.round(Stage::Scheduled, now, until, &mut orders).await;
                due = next_due(due, interval, Instant::now());
            }
        }
    }
}

impl fmt::Debug for Pipeline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pipeline")
            .field("ledger", &self.ledger)
            .field("target", self.transport.target())
            .field("schedule", &self.schedule)
            .field("retry", &self.retry)
            .finish_non_exhaustive()
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

/// The shortest time that makes sense.
const SHORTEST: Duration = Duration::from_millis(1);
