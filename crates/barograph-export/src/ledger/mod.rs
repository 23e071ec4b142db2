//! The account of all items that were produced for export.
//!
//! Each pipeline, which exports one signal for one reader, has a ledger. An item enters it when it is
//! encoded, and leaves `queued` exactly once, so that at every moment
//!
//! ```text
//! produced = exported + queued + dropped, the sum over all reasons
//! ```
//!
//! One lock covers all of these, so that no reader ever sees an item in two places, or in none. It is
//! taken once for each request, not for each item.
//!
//! Records come from a queue, which counts those that it accepted and those that it refused. Both
//! counts are read while the lock is held, once each: a record that was accepted and is not encoded
//! yet is waiting, whether it is still in the queue or has just been taken out. The queue counts a
//! record before it can be encoded, so the number of waiting records is never negative, and no lock is
//! needed where records are made.
//!
//! `queued` is counted independently and not derived from the other counts, because then the sum would
//! be right whatever was forgotten. The unit is one span, one log record, or one data point encoded
//! for one reader.

mod totals;
mod account;
mod by_error_type;
mod show;

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use barograph_core::record_queue::QueueHandle;
use barograph_model::bounds::Bounds;

use crate::transport::Target;
use barograph_encode::otlp::Signal;

use account::{grow, shrink};
use by_error_type::{ByErrorType, Durations};

pub(super) use account::Account;
pub(super) use by_error_type::ErrorType;
pub use show::LedgerSource;
pub use totals::{Reason, Totals};

/// An operation on a persistent queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum QueueOperation {
    Open,
    Read,
    Write,
}

impl QueueOperation {
    pub(super) const COUNT: usize = 3;

    /// All operations, each at the index `operation as usize`.
    pub(super) const ALL: [QueueOperation; Self::COUNT] = [
        QueueOperation::Open,
        QueueOperation::Read,
        QueueOperation::Write,
    ];

    /// Returns the value of the label `operation`.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            QueueOperation::Open => "open",
            QueueOperation::Read => "read",
            QueueOperation::Write => "write",
        }
    }
}

/// The state of a persistent queue, as shown in metrics.
#[derive(Debug, Default)]
struct QueueMetrics {
    /// True if the last attempt of every operation succeeded.
    is_usable: AtomicBool,
    /// Failed attempts of each operation, by kind of error.
    failures: [ByErrorType<u64>; QueueOperation::COUNT],
}

/// The account of one pipeline. Clones share the same account.
#[derive(Clone, Debug)]
pub struct Ledger {
    inner: Arc<Inner>,
}

struct Inner {
    signal: Signal,
    reader: Box<str>,
    target: Target,
    /// The time at which the ledger was created, in nanoseconds since the Unix epoch; totals from a
    /// persistent queue are older.
    born: u64,
    account: Mutex<Account>,
    /// The queue in which items wait before they are encoded.
    records: OnceLock<QueueHandle>,
    /// The number of items whose export is in progress.
    inflight: AtomicU64,
    /// The number of times that the pipeline was restarted.
    restarts: AtomicU64,
    /// The number of items whose export has failed, by kind of error. They may have been sent again
    /// since.
    failed: ByErrorType<u64>,
    operations: ByErrorType<Durations>,
    collections: ByErrorType<Durations>,
    bounds: Bounds,
    /// The state of the persistent queue, if there is one.
    queue: OnceLock<QueueMetrics>,
}

impl Ledger {
    /// Creates an empty account of one signal for one reader at `target`. The reader's name
    /// distinguishes pipelines in metrics.
    pub fn new(signal: Signal, reader: &str, target: &Target) -> Self {
        let start = SystemTime::now().duration_since(UNIX_EPOCH);
        let born = start.map_or(0, |start| start.as_nanos() as u64);
        let totals = Totals {
            start_unix_nano: born,
            ..Totals::default()
        };
        let account = Account {
            totals,
            ..Account::default()
        };
        Ledger {
            inner: Arc::new(Inner {
                signal,
                reader: reader.into(),
                target: target.clone(),
                born,
                account: Mutex::new(account),
                records: OnceLock::new(),
                inflight: AtomicU64::new(0),
                restarts: AtomicU64::new(0),
                failed: ByErrorType::default(),
                operations: ByErrorType::default(),
                collections: ByErrorType::default(),
                bounds: Bounds::http_seconds(),
                queue: OnceLock::new(),
            }),
        }
    }

    /// Returns the signal of the pipeline.
    pub fn signal(&self) -> Signal {
        self.inner.signal
    }

    /// Returns the name of the reader.
    pub fn reader(&self) -> &str {
        &self.inner.reader
    }

    /// Returns the current totals.
    pub fn snapshot(&self) -> Totals {
        self.account().totals
    }

    /// Returns the number of items that wait, in a queue, in memory or in the persistent queue.
    pub fn queued(&self) -> u64 {
        self.account().queued
    }

    /// Returns the totals and the number of waiting items, read at the same moment.
    pub fn balance(&self) -> (Totals, u64) {
        let account = self.account();
        (account.totals, account.queued)
    }

    /// Returns the destination of the requests.
    pub fn target(&self) -> &Target {
        &self.inner.target
    }

    /// Continues from the totals that a persistent queue stored, and the items that still wait in it.
    ///
    /// The persistent queue writes both together. If they disagree nevertheless, the missing items
    /// count as [`Reason::Corrupt`], so that the account balances from here on. Returns their number.
    pub fn restore(&self, totals: &Totals, pending: u64) -> u64 {
        let missing = self.take_over(totals, pending);
        let mut account = self.lock();
        let sums = &mut account.totals;
        if totals.start_unix_nano > 0 {
            sums.start_unix_nano = totals.start_unix_nano;
        }
        grow(&mut sums.produced, totals.settled());
        grow(&mut sums.exported, totals.exported);
        for (sum, count) in sums.dropped.iter_mut().zip(totals.dropped) {
            grow(sum, count);
        }
        missing
    }

    /// Takes over the items that wait in a persistent queue of another process that has ended. Its
    /// totals appeared in that process's own metrics and are not repeated here, where they would look
    /// like a burst; but the waiting items count as produced here, and so do missing ones. Returns
    /// the number of missing items.
    pub(super) fn take_over(&self, totals: &Totals, pending: u64) -> u64 {
        let missing = totals.missing(pending);
        let mut account = self.lock();
        grow(&mut account.queued, pending);
        let sums = &mut account.totals;
        grow(&mut sums.produced, pending.saturating_add(missing));
        grow(&mut sums.dropped[Reason::Corrupt as usize], missing);
        missing
    }

    /// Records that there is a persistent queue, and whether it can be used.
    pub(super) fn set_queue_usable(&self, is_usable: bool) {
        let queue = self.inner.queue.get_or_init(QueueMetrics::default);
        queue.is_usable.store(is_usable, Ordering::Relaxed);
    }

    #[cfg(test)]
    pub(super) fn is_queue_usable(&self) -> bool {
        let queue = self.inner.queue.get();
        queue.is_some_and(|queue| queue.is_usable.load(Ordering::Relaxed))
    }

    /// Counts a failed operation on the persistent queue.
    pub(super) fn queue_failed(&self, operation: QueueOperation, error_type: &'static str) {
        let queue = self.inner.queue.get_or_init(QueueMetrics::default);
        let kind = Some(error_type.into());
        queue.failures[operation as usize].change(&kind, |count| grow(count, 1));
    }

    /// Attaches the queue whose items are also counted. Only the first call has an effect.
    pub(super) fn attach(&self, records: QueueHandle) {
        // A ledger belongs to one pipeline.
        let _ = self.inner.records.set(records);
    }

    /// Counts items that were encoded and now wait.
    pub(super) fn produce(&self, items: u64) {
        self.lock().produce(items);
    }

    /// Counts waiting items that the receiver accepted.
    pub(super) fn export(&self, items: u64) {
        self.lock().export(items);
    }

    /// Counts waiting items that will not be delivered.
    pub(super) fn drop(&self, items: u64, reason: Reason) {
        self.lock().drop_items(items, reason);
    }

    /// Closes the queue. Encoded items that wait are lost except for `stored` of them, and so are
    /// records that are still in the queue. Returns the number of lost items.
    pub(super) fn end(&self, stored: u64) -> u64 {
        let records = self.inner.records.get();
        if let Some(records) = records {
            records.close();
        }
        let mut account = self.lock();
        account.ended = records.map(|records| records.counts().refused());
        let left = account.queued.saturating_sub(stored);
        shrink(&mut account.queued, left);
        grow(&mut account.totals.dropped[Reason::Shutdown as usize], left);
        let too_late = records.map(|records| account.with(records.counts()).too_late);
        left.saturating_add(too_late.unwrap_or(0))
    }

    /// Counts items whose export failed, by kind of error.
    pub(super) fn fail(&self, items: u64, kind: &ErrorType) {
        self.inner.failed.change(kind, |count| grow(count, items));
    }

    /// Counts the items of a request as being exported until the returned guard is dropped.
    pub(super) fn begin_operation(&self, items: u64) -> InFlight<'_> {
        self.inner.inflight.fetch_add(items, Ordering::Relaxed);
        InFlight {
            ledger: self,
            items,
        }
    }

    /// Records the end of an export after all its attempts. `failed` items did not arrive, for the
    /// given reason; the operation itself may still have succeeded.
    pub(super) fn end_operation(
        &self,
        took: Duration,
        operation: &ErrorType,
        failed: (u64, &ErrorType),
    ) {
        let observe = |durations: &mut Durations| durations.observe(&self.inner.bounds, took);
        self.inner.operations.change(operation, observe);
        let (failed, kind) = failed;
        if failed > 0 {
            self.fail(failed, kind);
        }
    }

    /// Records the time that collecting and encoding took in one cycle.
    pub(super) fn collected(&self, took: Duration, error: &ErrorType) {
        let observe = |durations: &mut Durations| durations.observe(&self.inner.bounds, took);
        self.inner.collections.change(error, observe);
    }

    /// Counts a panic, after which the pipeline is restarted.
    pub(super) fn restart(&self) {
        self.inner.restarts.fetch_add(1, Ordering::Relaxed);
    }

    /// Returns the number of times that the pipeline panicked and was restarted.
    pub fn restarts(&self) -> u64 {
        self.inner.restarts.load(Ordering::Relaxed)
    }

    fn inflight(&self) -> u64 {
        self.inner.inflight.load(Ordering::Relaxed)
    }

    /// Returns the current state of all items.
    pub(super) fn account(&self) -> Account {
        let account = self.lock();
        match self.inner.records.get() {
            Some(records) => account.with(records.counts()),
            None => *account,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Account> {
        // Nothing that runs under the lock panics.
        let account = self.inner.account.lock();
        account.unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inner")
            .field("signal", &self.signal)
            .field("reader", &self.reader)
            .field("target", &self.target)
            .field("account", &self.account)
            .finish_non_exhaustive()
    }
}

/// A guard that counts items as being exported until it is dropped.
pub(super) struct InFlight<'a> {
    ledger: &'a Ledger,
    items: u64,
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        let inner = &self.ledger.inner;
        inner.inflight.fetch_sub(self.items, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_that_leave_the_queue_are_accounted_for() {
        let ledger = Ledger::new(Signal::Metrics, "otlp", &Target::default());
        ledger.produce(10);
        ledger.export(6);
        ledger.drop(3, Reason::Partial);
        let totals = ledger.snapshot();
        assert_eq!((totals.produced, totals.exported), (10, 6));
        assert_eq!(totals.dropped[Reason::Partial as usize], 3);
        assert_eq!(ledger.queued(), 1);
        assert_eq!(totals.produced, totals.settled() + ledger.queued());
    }

    #[test]
    fn stored_totals_may_have_any_value() {
        for stored in [0, 1, u64::MAX - 1, u64::MAX] {
            for pending in [0, 1, u64::MAX] {
                let totals = Totals {
                    produced: stored,
                    exported: stored,
                    dropped: [stored; Reason::COUNT],
                    start_unix_nano: stored,
                };
                let ledger = Ledger::new(Signal::Metrics, "otlp", &Target::default());
                ledger.restore(&totals, pending);
                ledger.produce(10);
                ledger.export(6);
                ledger.drop(4, Reason::Partial);
                ledger.end(pending);
                let totals = ledger.snapshot();
                assert!(totals.produced >= 10 && totals.exported >= 6);
                assert_eq!(
                    totals.produced,
                    totals.settled().saturating_add(ledger.queued())
                );
            }
        }
    }

    #[test]
    fn restored_totals_balance_whatever_was_stored() {
        for (produced, corrupt) in [(10, 0), (15, 5), (3, 0)] {
            let mut stored = Totals {
                produced,
                exported: 4,
                ..Totals::default()
            };
            stored.dropped[Reason::Rejected as usize] = 2;
            let ledger = Ledger::new(Signal::Metrics, "otlp", &Target::default());
            ledger.restore(&stored, 4);
            let totals = ledger.snapshot();
            assert_eq!(totals.dropped[Reason::Corrupt as usize], corrupt);
            assert_eq!(ledger.queued(), 4);
            assert_eq!(totals.produced, totals.settled() + ledger.queued());
        }
    }
}
