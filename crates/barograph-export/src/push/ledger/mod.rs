//! What became of everything that was made to be pushed.
//!
//! Each pipeline, one signal for one reader, has a ledger. An item enters it when it is encoded, and
//! leaves `queued` exactly once, so that at every moment
//!
//! ```text
//! produced = exported + queued + dropped, the sum over all reasons
//! ```
//!
//! One lock covers all of these, so that no reader ever sees an item in two places, or in none; it is
//! taken for each request, not for each item.
//!
//! Records come from a queue, which counts what it took in and what it refused. Both are read while
//! the lock is held, once each: what the queue took in and nobody has encoded yet waits, whether it is
//! still in there or just on its way. A record is counted by the queue before it can be encoded, so
//! this is never negative, and needs no lock where records are made.
//!
//! `queued` is counted by itself and not worked out of the others: else the sum would be right
//! whatever was forgotten. The unit is one span, one log record, or one data point encoded for one
//! reader.

mod kinds;
mod show;

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use barograph_model::bounds::Bounds;

use crate::otlp::Signal;
use crate::push::inflow::Backlog;
use crate::push::transport::Target;

use kinds::{Durations, Kinds};

pub(super) use kinds::ErrorType;
pub use show::LedgerSource;

/// Why an item was not delivered.
///
/// The order stands in persistent queues: new reasons come last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Reason {
    /// A newer request tells what this one would have told: the state of metrics.
    Superseded,
    /// The receiver refused the request for good.
    Rejected,
    /// The receiver took the request and rejected this part of it.
    Partial,
    /// The request is larger than any may be.
    TooLarge,
    /// The queue in memory was full.
    QueueFull,
    /// The persistent queue was full.
    JournalFull,
    /// It was damaged in the persistent queue, or is no longer there. A file that cannot be opened or read now is
    /// no reason: what is in it waits.
    Corrupt,
    /// The program ended before it could be delivered.
    Shutdown,
    /// What should have carried it panicked.
    Panicked,
}

impl Reason {
    /// How many there are.
    pub const COUNT: usize = 9;

    /// Every reason; each stands at the place `reason as usize`.
    pub const ALL: [Reason; Self::COUNT] = [
        Reason::Superseded,
        Reason::Rejected,
        Reason::Partial,
        Reason::TooLarge,
        Reason::QueueFull,
        Reason::JournalFull,
        Reason::Corrupt,
        Reason::Shutdown,
        Reason::Panicked,
    ];

    /// The value of the label `reason`.
    pub fn as_str(self) -> &'static str {
        match self {
            Reason::Superseded => "superseded",
            Reason::Rejected => "rejected",
            Reason::Partial => "partial",
            Reason::TooLarge => "too_large",
            Reason::QueueFull => "queue_full",
            Reason::JournalFull => "journal_full",
            Reason::Corrupt => "corrupt",
            Reason::Shutdown => "shutdown",
            Reason::Panicked => "panicked",
        }
    }
}

/// What is done with a persistent queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum QueueOperation {
    Open,
    Read,
    Write,
}

impl QueueOperation {
    pub(super) const COUNT: usize = 3;

    /// Every one; each stands at the place `operation as usize`.
    pub(super) const ALL: [QueueOperation; Self::COUNT] = [
        QueueOperation::Open,
        QueueOperation::Read,
        QueueOperation::Write,
    ];

    /// The value of the label `operation`.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            QueueOperation::Open => "open",
            QueueOperation::Read => "read",
            QueueOperation::Write => "write",
        }
    }
}

/// The state of a persistent queue, for those who look at metrics.
#[derive(Debug, Default)]
struct QueueState {
    /// Whether the last try of every operation succeeded.
    is_usable: AtomicBool,
    /// Failed tries of each operation, by the kind of error.
    failures: [Kinds<u64>; QueueOperation::COUNT],
}

/// The sums of a ledger at one moment; what a persistent queue keeps of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Items that were made.
    pub produced: u64,
    /// Items that a receiver took.
    pub exported: u64,
    /// Items that will not be delivered, each reason at the place `reason as usize`.
    pub dropped: [u64; Reason::COUNT],
    /// Since when these count, in nanoseconds since the Unix epoch; 0 where nobody knows.
    pub start_unix_nano: u64,
}

impl Totals {
    /// Items that will not be delivered, for whatever reason.
    pub fn dropped_in_all(&self) -> u64 {
        self.dropped
            .iter()
            .fold(0, |sum, items| sum.saturating_add(*items))
    }

    /// Items whose fate is known.
    pub fn settled(&self) -> u64 {
        self.exported.saturating_add(self.dropped_in_all())
    }

    /// Whether these could have been counted. What a disk says may be anything, and must not be so near
    /// to the end of the numbers that a sum of it overflows.
    #[cfg(feature = "journal")]
    pub(super) fn is_plausible(&self) -> bool {
        let all = self.dropped.iter().chain([&self.produced, &self.exported]);
        let sum = all.fold(0_u64, |sum, count| sum.saturating_add(*count));
        sum <= u64::MAX / 4
    }
}

/// The account of one pipeline. Clones are the same account.
#[derive(Clone, Debug)]
pub struct Ledger {
    inner: Arc<Inner>,
}

struct Inner {
    signal: Signal,
    reader: Box<str>,
    target: Target,
    /// When this was made, in nanoseconds since the Unix epoch; sums that a persistent queue kept are older.
    born: u64,
    account: Mutex<Account>,
    /// Where items wait before they are encoded.
    backlog: OnceLock<Arc<dyn Backlog>>,
    /// Items whose export is under way.
    inflight: AtomicU64,
    /// How often the pipeline was begun again.
    restarts: AtomicU64,
    /// Items whose export has failed, which may have been tried again since, by the kind of error.
    failed: Kinds<u64>,
    operations: Kinds<Durations>,
    collections: Kinds<Durations>,
    bounds: Bounds,
    /// Of the persistent queue, if there is one.
    queue: OnceLock<QueueState>,
}

/// Where all items are at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Account {
    pub(super) totals: Totals,
    /// Items that wait, in memory or in the persistent queue.
    pub(super) queued: u64,
    /// Items that were encoded since this was made.
    pub(super) taken: u64,
    /// What the queue had refused when it was closed; none while it is open.
    ended: Option<u64>,
    /// Items in the queue, or just taken out of it.
    pub(super) waiting: u64,
    /// Items that the queue refused because it was full.
    refused: u64,
    /// Items that nobody took out of the queue before it was closed, or that came later.
    too_late: u64,
}

impl Account {
    /// The same with what the queue counts.
    fn with(mut self, backlog: &dyn Backlog) -> Self {
        let waiting = backlog.accepted().saturating_sub(self.taken);
        let refused = backlog.refused();
        (self.waiting, self.refused, self.too_late) = match self.ended {
            None => (waiting, refused, 0),
            Some(before) => {
                let later = refused.saturating_sub(before);
                (0, before.min(refused), waiting.saturating_add(later))
            }
        };
        grow(&mut self.queued, self.waiting);
        grow(&mut self.totals.produced, waiting.saturating_add(refused));
        let dropped = &mut self.totals.dropped;
        grow(&mut dropped[Reason::QueueFull as usize], self.refused);
        grow(&mut dropped[Reason::Shutdown as usize], self.too_late);
        self
    }
}

impl Ledger {
    /// An empty account of one signal for one reader, who is at `target`. The reader's name tells
    /// pipelines apart in metrics.
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
                backlog: OnceLock::new(),
                inflight: AtomicU64::new(0),
                restarts: AtomicU64::new(0),
                failed: Kinds::default(),
                operations: Kinds::default(),
                collections: Kinds::default(),
                bounds: Bounds::http_seconds(),
                queue: OnceLock::new(),
            }),
        }
    }

    /// What is accounted for.
    pub fn signal(&self) -> Signal {
        self.inner.signal
    }

    /// For whom.
    pub fn reader(&self) -> &str {
        &self.inner.reader
    }

    /// The sums now.
    pub fn snapshot(&self) -> Totals {
        self.account().totals
    }

    /// Items that wait, in a queue, in memory or in the persistent queue.
    pub fn queued(&self) -> u64 {
        self.account().queued
    }

    /// The sums and what waits, at one and the same moment.
    pub fn balance(&self) -> (Totals, u64) {
        let account = self.account();
        (account.totals, account.queued)
    }

    /// Where the reader is.
    pub fn target(&self) -> &Target {
        &self.inner.target
    }

    /// Goes on from the sums that a persistent queue kept, and what still waits in it.
    ///
    /// The persistent queue writes both together. Where they do not agree all the same, the items that are
    /// missing count as [`Reason::Corrupt`], so that the account is right from here on.
    pub fn restore(&self, totals: &Totals, pending: u64) {
        let accounted = totals.settled().saturating_add(pending);
        let missing = missing(totals, pending);
        let mut account = self.lock();
        grow(&mut account.queued, pending);
        let sums = &mut account.totals;
        if totals.start_unix_nano > 0 {
            sums.start_unix_nano = totals.start_unix_nano;
        }
        grow(&mut sums.produced, accounted.saturating_add(missing));
        grow(&mut sums.exported, totals.exported);
        for (sum, count) in sums.dropped.iter_mut().zip(totals.dropped) {
            grow(sum, count);
        }
        grow(&mut sums.dropped[Reason::Corrupt as usize], missing);
    }

    /// Takes over what waits in a persistent queue of another process that has ended meanwhile. Its sums were on
    /// that process's own pages and are not repeated here, where they would look like a burst; but what
    /// waits counts as produced here, and so does what is missing.
    pub(super) fn take_over(&self, totals: &Totals, pending: u64) {
        let missing = missing(totals, pending);
        let mut account = self.lock();
        grow(&mut account.queued, pending);
        let sums = &mut account.totals;
        grow(&mut sums.produced, pending.saturating_add(missing));
        grow(&mut sums.dropped[Reason::Corrupt as usize], missing);
    }

    /// There is a persistent queue, which can be used or not.
    pub(super) fn set_queue_usable(&self, is_usable: bool) {
        let queue = self.inner.queue.get_or_init(QueueState::default);
        queue.is_usable.store(is_usable, Ordering::Relaxed);
    }

    #[cfg(test)]
    pub(super) fn is_queue_usable(&self) -> bool {
        let queue = self.inner.queue.get();
        queue.is_some_and(|queue| queue.is_usable.load(Ordering::Relaxed))
    }

    /// The persistent queue could not be used.
    pub(super) fn queue_failed(&self, operation: QueueOperation, error_type: &'static str) {
        let queue = self.inner.queue.get_or_init(QueueState::default);
        let kind = Some(error_type.into());
        queue.failures[operation as usize].change(&kind, |count| grow(count, 1));
    }

    /// Counts what is in this queue, too. Only the first one counts.
    pub(super) fn attach(&self, backlog: Arc<dyn Backlog>) {
        // A ledger is that of one pipeline.
        let _ = self.inner.backlog.set(backlog);
    }

    /// Items were made, and wait.
    pub(super) fn produce(&self, items: u64) {
        let mut account = self.lock();
        grow(&mut account.queued, items);
        grow(&mut account.taken, items);
        grow(&mut account.totals.produced, items);
    }

    /// Items that waited were taken by the receiver.
    pub(super) fn export(&self, items: u64) {
        let mut account = self.lock();
        shrink(&mut account.queued, items);
        grow(&mut account.totals.exported, items);
    }

    /// Items that waited will not be delivered.
    pub(super) fn drop(&self, items: u64, reason: Reason) {
        let mut account = self.lock();
        shrink(&mut account.queued, items);
        grow(&mut account.totals.dropped[reason as usize], items);
    }

    /// Closes the queue. What waits is lost but for `kept` items, and so is what the queue has taken
    /// in all the same. Returns how many are lost.
    pub(super) fn end(&self, kept: u64) -> u64 {
        let backlog = self.inner.backlog.get();
        if let Some(backlog) = backlog {
            backlog.close();
        }
        let mut account = self.lock();
        account.ended = backlog.map(|backlog| backlog.refused());
        let left = account.queued.saturating_sub(kept);
        shrink(&mut account.queued, left);
        grow(&mut account.totals.dropped[Reason::Shutdown as usize], left);
        let too_late = backlog.map(|backlog| account.with(&**backlog).too_late);
        left.saturating_add(too_late.unwrap_or(0))
    }

    /// Items that the queue has refused.
    pub(super) fn refused(&self) -> u64 {
        let backlog = self.inner.backlog.get();
        backlog.map_or(0, |backlog| backlog.refused())
    }

    /// Items will never be exported, which was seen before that was tried.
    pub(super) fn fail(&self, items: u64, kind: &ErrorType) {
        self.inner.failed.change(kind, |count| grow(count, items));
    }

    /// The export of a request with this many items is under way until this is dropped.
    pub(super) fn begin_operation(&self, items: u64) -> InFlight<'_> {
        self.inner.inflight.fetch_add(items, Ordering::Relaxed);
        InFlight {
            ledger: self,
            items,
        }
    }

    /// It has ended after all its tries. `failed` items did not arrive, for the given reason; the
    /// operation itself may have worked all the same.
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

    /// Collecting and encoding for one round took this long.
    pub(super) fn collected(&self, took: Duration, error: &ErrorType) {
        let observe = |durations: &mut Durations| durations.observe(&self.inner.bounds, took);
        self.inner.collections.change(error, observe);
    }

    /// The pipeline panicked, and is begun again.
    pub(super) fn restart(&self) {
        self.inner.restarts.fetch_add(1, Ordering::Relaxed);
    }

    /// How often the pipeline panicked and was begun again.
    pub fn restarts(&self) -> u64 {
        self.inner.restarts.load(Ordering::Relaxed)
    }

    /// Items that were encoded, and wait in memory or in the persistent queue.
    pub(super) fn encoded(&self) -> u64 {
        self.lock().queued
    }

    fn inflight(&self) -> u64 {
        self.inner.inflight.load(Ordering::Relaxed)
    }

    /// Where all items are now.
    pub(super) fn account(&self) -> Account {
        let account = self.lock();
        match self.inner.backlog.get() {
            Some(backlog) => account.with(&**backlog),
            None => *account,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Account> {
        // Nothing under the lock panics.
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

/// Sums come out of persistent queues too, and may be anything.
fn grow(sum: &mut u64, items: u64) {
    *sum = sum.saturating_add(items);
}

/// What is taken out twice is a fault of this library, which the account shows at the end.
fn shrink(sum: &mut u64, items: u64) {
    debug_assert!(*sum >= items, "{items} of {sum} items");
    *sum = sum.saturating_sub(items);
}

/// Items whose export is under way.
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

/// Items that should wait in a persistent queue by its own sums, and do not.
fn missing(totals: &Totals, pending: u64) -> u64 {
    let accounted = totals.settled().saturating_add(pending);
    totals.produced.saturating_sub(accounted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_stands_at_its_place() {
        for (place, reason) in Reason::ALL.into_iter().enumerate() {
            assert_eq!(reason as usize, place);
        }
    }

    #[test]
    fn what_leaves_the_queue_is_accounted_for() {
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
    fn sums_that_a_journal_kept_may_be_anything() {
        for kept in [0, 1, u64::MAX - 1, u64::MAX] {
            for pending in [0, 1, u64::MAX] {
                let totals = Totals {
                    produced: kept,
                    exported: kept,
                    dropped: [kept; Reason::COUNT],
                    start_unix_nano: kept,
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
    fn restored_sums_agree_whatever_was_kept() {
        for (produced, corrupt) in [(10, 0), (15, 5), (3, 0)] {
            let mut kept = Totals {
                produced,
                exported: 4,
                ..Totals::default()
            };
            kept.dropped[Reason::Rejected as usize] = 2;
            let ledger = Ledger::new(Signal::Metrics, "otlp", &Target::default());
            ledger.restore(&kept, 4);
            let totals = ledger.snapshot();
            assert_eq!(totals.dropped[Reason::Corrupt as usize], corrupt);
            assert_eq!(ledger.queued(), 4);
            assert_eq!(totals.produced, totals.settled() + ledger.queued());
        }
    }
}
