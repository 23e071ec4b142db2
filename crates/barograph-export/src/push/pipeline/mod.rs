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
//! * **With a persistent queue** all of it goes there, and from there, in order, when the receiver is back.
//!
//! While the receiver is away nothing is collected, but for the one request that shows whether it is
//! back; with a persistent queue, collecting goes on. Memory holds one request at a time, and one that is kept.
//!
//! A round comes early when a batch waits in the queue of its feed and whoever put it there rings.
//!
//! Whatever panics in a pipeline, its task goes on: see [`task`].

mod caught;
mod orders;
mod tell;
mod send;
#[cfg_attr(
    not(any(test, feature = "journal")),
    expect(dead_code, reason = "nobody makes one")
)]
mod store;
mod worker;
mod line;
mod round;
mod task;

use std::fmt;
#[cfg(feature = "journal")]
use std::path::PathBuf;
use std::time::Duration;

use crate::push::feed::Feed;
#[cfg(feature = "journal")]
use crate::push::journal::{Journal, JournalConfig};
use crate::push::ledger::Ledger;
use crate::push::moment::LONGEST;
use crate::push::retry::RetryPolicy;
use crate::push::transport::Transport;
use crate::push::wake::Wake;

#[cfg(feature = "journal")]
use store::Persistent;

pub(super) use orders::{Order, OrderKind};
pub(super) use store::Store;
#[cfg(test)]
pub(super) use store::{Appended, Extent, Files, StoreError};
pub(super) use task::Task;
pub(super) use tell::Hook;

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

    /// Keeps in this persistent queue what cannot be delivered, and goes on from the sums that are in it.
    #[cfg(feature = "journal")]
    pub fn with_journal(self, journal: Journal) -> Self {
        self.ledger
            .restore(&journal.totals(), journal.pending_items());
        self.with_store(Box::new(Persistent::from(journal)))
    }

    /// As [`with_journal`](Self::with_journal), with the persistent queue in this directory. Where it cannot be
    /// opened, what cannot be delivered waits in memory, as far as there is room for it, until it can: a
    /// read-only disk, or another process that has it, keeps nobody from starting. That is told, and
    /// counted in `barograph.push.persistent_queue.failures`.
    ///
    /// When a service is replaced by its next version, both have the same directory for a while. The one
    /// that comes takes it over within a minute after the one that goes has ended, with all that waits in
    /// it.
    #[cfg(feature = "journal")]
    pub fn with_journal_in(self, directory: impl Into<PathBuf>, config: JournalConfig) -> Self {
        let directory = directory.into();
        match Journal::open(&directory, config.clone()) {
            Ok(journal) => self.with_journal(journal),
            Err(error) => self.with_store(Box::new(Persistent::closed(directory, config, &error))),
        }
    }

    /// Keeps here what cannot be delivered.
    #[cfg(any(test, feature = "journal"))]
    pub(super) fn with_store(mut self, store: Box<dyn Store>) -> Self {
        let closed_by = store.closed_by();
        self.ledger.set_queue_usable(closed_by.is_none());
        if let Some(error) = closed_by {
            self.ledger.queue_failed(error.operation, error.error_type);
        }
        self.store = Some(store);
        self
    }

    /// Its account.
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
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

/// The shortest time that makes sense.
const SHORTEST: Duration = Duration::from_millis(1);
