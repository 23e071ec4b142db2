//! The pipeline, which exports one signal to one receiver.
//!
//! A pipeline begins an export cycle every interval: its source collects, and it sends one request
//! after the other. A request that could not be sent is handled according to its contents:
//!
//! * **State of metrics** is superseded: the next cycle reports it again, and its items are then
//!   dropped as [`Superseded`](crate::Reason::Superseded).
//! * **Deltas that may have arrived** are sent again unchanged, before anything newer. The receiver
//!   may see them twice; as part of a newer request they would certainly be counted twice.
//! * **Spans and log records**, which are reported only once, are also sent again unchanged.
//! * **With a persistent queue** all of these are written to it, and are sent from there, in order,
//!   when the receiver is back.
//!
//! While the receiver is unavailable nothing is collected, except for the one request that shows
//! whether it is back; with a persistent queue, collection continues. Memory holds one request at a
//! time, and one that has to be sent again.
//!
//! A cycle starts early when a batch waits in the queue of its source and the producer notifies the
//! pipeline.
//!
//! [`state`] decides all of this, without I/O and without a clock; [`task`] performs it. Whatever panics
//! in a pipeline, its task continues.

mod catch_panic;
mod commands;
mod send;
mod store;
mod blocking;
mod breaker;
mod queue_state;
mod reports;
mod actions;
mod state;
mod task;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::ledger::Ledger;
use crate::moment::LONGEST;
use crate::notification::Notification;
use crate::persistent_queue::{PersistentQueue, PersistentQueueConfig};
use crate::report::Report;
use crate::request_source::RequestSource;
use crate::retry::RetryPolicy;
use crate::transport::Transport;

use store::DirectoryStore;

pub(super) use commands::{Command, CommandKind};
pub(super) use store::Store;
#[cfg(test)]
pub(super) use store::{Appended, Extent, StoreContents, StoreError};
pub(super) use task::Task;

/// The hook that receives reports. It runs on the driver's thread and must not block.
pub(crate) type Hook = Arc<dyn Fn(&Report) + Send + Sync>;

/// The times at which a pipeline acts, and its time limits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schedule {
    interval: Duration,
    timeout: Duration,
    request_timeout: Duration,
}

impl Schedule {
    /// Creates the default schedule: a cycle every 60 s, which may take 30 s; a request may take 10 s,
    /// including all its attempts.
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

    /// Sets the time between two cycles. The first cycle begins at a random moment within the first
    /// interval, so that a fleet that starts at once does not push at once.
    #[must_use]
    pub fn with_interval(mut self, interval: Duration) -> Self {
        self.interval = interval.clamp(SHORTEST, LONGEST);
        self
    }

    /// Sets the time limit of a cycle.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout.clamp(SHORTEST, LONGEST);
        self
    }

    /// Sets the time limit of a request, which covers all its attempts and the pauses between them.
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

/// A source and a transport, with the schedule, the retry policy and the persistent queue between them.
#[must_use = "nothing is pushed until a driver runs it"]
pub struct Pipeline {
    ledger: Ledger,
    source: Box<dyn RequestSource>,
    transport: Box<dyn Transport>,
    schedule: Schedule,
    retry: RetryPolicy,
    store: Option<Box<dyn Store>>,
    /// The number of items that were missing when the persistent queue was opened; `None` if it was
    /// not damaged.
    damaged: Option<u64>,
    notification: Option<Notification>,
}

impl Pipeline {
    /// Creates a pipeline with the default schedule and retry policy. It records everything it does in
    /// the ledger, which also counts the record queue of its source. A full batch in that queue
    /// starts an export cycle.
    pub fn new(
        ledger: Ledger,
        source: Box<dyn RequestSource>,
        transport: Box<dyn Transport>,
    ) -> Self {
        let notification = source.queue().map(|queue| {
            let notification = Notification::default();
            let notify = notification.clone();
            let batch = usize::try_from(source.batch()).unwrap_or(usize::MAX);
            queue.on_batch(batch, move || notify.notify());
            ledger.attach(queue);
            notification
        });
        Pipeline {
            ledger,
            source,
            transport,
            schedule: Schedule::new(),
            retry: RetryPolicy::new(),
            store: None,
            damaged: None,
            notification,
        }
    }

    /// Sets the schedule.
    pub fn with_schedule(mut self, schedule: Schedule) -> Self {
        self.schedule = schedule;
        self
    }

    /// Sets the retry policy.
    pub fn with_retry(mut self, retry: RetryPolicy) -> Self {
        self.retry = retry;
        self
    }

    /// Stores requests that cannot be delivered in this persistent queue, and continues from the
    /// totals stored in it.
    pub fn with_persistent_queue(mut self, persistent_queue: PersistentQueue) -> Self {
        let (totals, pending) = (persistent_queue.totals(), persistent_queue.pending_items());
        let missing = self.ledger.restore(&totals, pending);
        let is_damaged = missing > 0 || persistent_queue.lost().is_damaged();
        self.damaged = is_damaged.then_some(missing);
        self.with_store(Box::new(DirectoryStore::from(persistent_queue)))
    }

    /// Does the same as [`with_persistent_queue`](Self::with_persistent_queue), with the persistent
    /// queue in this directory. If it cannot be opened, requests that cannot be delivered wait in
    /// memory, as far as there is room, until it can: a read-only disk, or another process that uses
    /// the directory, does not prevent the start. The failure is reported, and counted in
    /// `barograph.export.persistent_queue.failures`.
    ///
    /// When a service is replaced by its next version, both use the same directory for a while. The
    /// new process takes it over within a minute after the old one has ended, with everything that
    /// waits in it.
    pub fn with_persistent_queue_in(
        self,
        directory: impl Into<PathBuf>,
        config: PersistentQueueConfig,
    ) -> Self {
        let directory = directory.into();
        match PersistentQueue::open(&directory, config.clone()) {
            Ok(persistent_queue) => self.with_persistent_queue(persistent_queue),
            Err(error) => {
                self.with_store(Box::new(DirectoryStore::closed(directory, config, &error)))
            }
        }
    }

    /// Stores requests that cannot be delivered in this store.
    pub(super) fn with_store(mut self, store: Box<dyn Store>) -> Self {
        let closed_by = store.closed_by();
        self.ledger.set_queue_usable(closed_by.is_none());
        if let Some(error) = closed_by {
            self.ledger.queue_failed(error.operation, error.error_type);
        }
        self.store = Some(store);
        self
    }

    /// Returns the account of the pipeline.
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

/// The shortest time that a schedule can contain.
const SHORTEST: Duration = Duration::from_millis(1);
