//! Runs the feed and the persistent queue outside the driver's thread.
//!
//! Collecting runs callbacks of the service, and a persistent queue waits for the disk. Neither may
//! keep the driver from looking at the clock. So both live in a `Desk`, which is moved to a blocking
//! thread of the runtime for each job. The pipeline does not wait for a job that is late: it gives up
//! the cycle, and the next one begins with the result of the job.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::sync::oneshot;
use tokio::task::spawn_blocking;
use tokio::time::Instant;

use super::orders::{Orders, Stage};
use super::store::{Appended, Extent, Files, Store, StoreError};
use crate::feed::{Fate, Feed, Oversized};
use crate::ledger::{Ledger, QueueOperation, Reason, Totals};
use barograph_encode::otlp::Request;

/// A job for the blocking thread.
#[derive(Debug)]
pub(super) enum Job {
    /// Collect, and build the first request.
    Begin(SystemTime),
    /// Build the next request.
    Next,
    /// Append this request to the persistent queue.
    Append(Request),
    /// Read the oldest request of the persistent queue.
    Oldest,
    /// Remove the oldest request from the persistent queue, and read the next.
    RemoveOldest,
    /// Write the persistent queue to the disk.
    Sync,
    /// Open the persistent queue.
    Open,
}

/// The result of a job.
#[derive(Debug, Default)]
pub(super) struct Answer {
    /// The request that was built or read.
    pub(super) request: Option<Request>,
    /// The number of items in a request that the persistent queue did not take.
    pub(super) refused: u64,
    /// A request that could not be written to the persistent queue at present.
    pub(super) unwritten: Option<Request>,
    /// The results of the operations that were tried on the persistent queue.
    pub(super) tried: [Option<Result<(), StoreError>>; QueueOperation::COUNT],
    /// True if the persistent queue is open.
    pub(super) is_open: bool,
    /// True if `request` was built by the feed, and has to be settled.
    pub(super) is_new: bool,
    /// The number of items in the persistent queue now.
    pub(super) pending: u64,
    /// The number of items that were lost in the persistent queue; `None` if none of its files was
    /// found damaged.
    pub(super) damaged: Option<u64>,
    /// The duration of the job.
    pub(super) took: Duration,
    /// The items that the feed left out.
    pub(super) oversized: Oversized,
    /// True if the job panicked.
    pub(super) has_panicked: bool,
}

impl Answer {
    fn note(&mut self, operation: QueueOperation, result: Result<(), StoreError>) {
        self.tried[operation as usize] = Some(result);
    }
}

/// The error of a job that did not complete in time, or never will.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Away;

/// The feed and the persistent queue, on whichever thread they are.
pub(super) struct Worker {
    place: Place,
    /// The fate of the last request, which the feed learns with the next job.
    settle: Option<Fate>,
    /// True if the request that was built last is not settled.
    is_open: bool,
}

enum Place {
    Here(Box<Desk>),
    Away {
        errand: Waiting,
        answer: oneshot::Receiver<(Box<Desk>, Answer)>,
    },
    /// The desk is moving between the other two states, or was lost.
    Gone,
}

/// A job that no thread has begun, or `None` once one has. The thread that takes it out runs it: a
/// thread of the runtime, or the driver's thread if there is none.
type Waiting = Arc<Mutex<Option<Errand>>>;

struct Errand {
    desk: Box<Desk>,
    settle: Option<Fate>,
    job: Job,
    done: oneshot::Sender<(Box<Desk>, Answer)>,
}

impl Errand {
    /// Runs the job, if no thread has begun it.
    fn begin(waiting: &Waiting) {
        let errand = waiting
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(Errand {
            desk,
            settle,
            job,
            done,
        }) = errand
        {
            // The receiver may have been dropped with its pipeline.
            let _ = done.send(desk.work(settle, job));
        }
    }
}

/// The result of checking the persistent queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Checked {
    Usable,
    Unusable,
}

struct Desk {
    feed: Box<dyn Feed>,
    store: Option<Box<dyn Store>>,
    ledger: Ledger,
    /// The number of items that the persistent queue held after the last job.
    held: u64,
    /// The number of items in the request that it returned last.
    lent: u64,
    /// The number of items that had been dropped to make room for newer ones by then.
    overflowed: u64,
    /// The number of items that had been found in its directory by then.
    found: u64,
}

impl Worker {
    pub(super) fn new(feed: Box<dyn Feed>, store: Option<Box<dyn Store>>, ledger: Ledger) -> Self {
        let held = store.as_ref().map_or(0, |store| store.pending_items());
        let overflowed = store.as_ref().map_or(0, |store| store.overflowed_items());
        Worker {
            place: Place::Here(Box::new(Desk {
                feed,
                store,
                ledger,
                held,
                lent: 0,
                overflowed,
                found: 0,
            })),
            settle: None,
            is_open: false,
        }
    }

    /// Sets the fate of the request that was built last.
    pub(super) fn settle(&mut self, fate: Fate) {
        self.settle = Some(fate);
        self.is_open = false;
    }

    /// Settles the request that was built last, unless its fate is set, so that it is not built again.
    pub(super) fn settle_open(&mut self) {
        if self.is_open {
            self.settle(Fate::Settled);
        }
    }

    /// Runs the pending job on this thread, if no thread has begun it: its thread was never started,
    /// or its runtime was shut down.
    pub(super) fn finish(&self) {
        if let Place::Away { errand, .. } = &self.place {
            Errand::begin(errand);
        }
    }

    /// Returns true while a job is pending that an earlier call stopped waiting for, or if the desk
    /// was lost.
    pub(super) fn is_away(&self) -> bool {
        !matches!(self.place, Place::Here(_))
    }

    /// Runs a job and waits for it until the given time. Fails while another job is pending.
    pub(super) async fn run(
        &mut self,
        job: Job,
        stage: Stage,
        until: Instant,
        orders: &mut Orders,
    ) -> Result<Answer, Away> {
        match std::mem::replace(&mut self.place, Place::Gone) {
            Place::Here(desk) => {
                let (done, answer) = oneshot::channel();
                let errand = Arc::new(Mutex::new(Some(Errand {
                    desk,
                    settle: self.settle.take(),
                    job,
                    done,
                })));
                let waiting = Arc::clone(&errand);
                self.place = Place::Away { errand, answer };
                // This panics if no thread can be started. Then the job runs on this thread.
                if catch_unwind(|| spawn_blocking(move || Errand::begin(&waiting))).is_err() {
                    self.finish();
                }
            }
            away => {
                self.place = away;
                return Err(Away);
            }
        }
        self.back(stage, until, orders).await
    }

    /// Waits for the pending job.
    pub(super) async fn back(
        &mut self,
        stage: Stage,
        until: Instant,
        orders: &mut Orders,
    ) -> Result<Answer, Away> {
        let Place::Away {
            answer: errand_done,
            ..
        } = &mut self.place
        else {
            return Err(Away);
        };
        match orders.within(stage, until, errand_done).await {
            Some(Ok((desk, answer))) => {
                self.place = Place::Here(desk);
                self.is_open |= answer.is_new && answer.request.is_some();
                Ok(answer)
            }
            Some(Err(_)) => {
                self.place = Place::Gone;
                Err(Away)
            }
            None => Err(Away),
        }
    }
}

impl Desk {
    fn work(mut self: Box<Self>, settle: Option<Fate>, job: Job) -> (Box<Self>, Answer) {
        let began = std::time::Instant::now();
        let refused = match &job {
            Job::Append(request) => request.items,
            _ => 0,
        };
        // A feed that panicked is used again; what it was about to do is done again next time.
        let settled = settle.is_none_or(|fate| {
            let settled = catch_unwind(AssertUnwindSafe(|| self.feed.settle(fate)));
            settled.is_ok()
        });
        let done = catch_unwind(AssertUnwindSafe(|| self.errand(job)));
        let mut answer = done.unwrap_or_else(|_| Answer {
            refused,
            has_panicked: true,
            ..Answer::default()
        });
        answer.has_panicked |= !settled;
        // A persistent queue that panics is assumed to hold what it held before.
        let held = catch_unwind(AssertUnwindSafe(|| {
            let store = self
                .store
                .as_ref()
                .filter(|store| store.closed_by().is_none());
            store.map(|store| store.pending_items())
        }));
        let held = held.unwrap_or(Some(self.held));
        answer.is_open = held.is_some();
        answer.pending = held.unwrap_or(0);
        answer.took = began.elapsed();
        (self, answer)
    }

    fn errand(&mut self, job: Job) -> Answer {
        let mut answer = Answer::default();
        match job {
            Job::Begin(now) => {
                self.feed.begin(now);
                answer.request = self.feed.next();
                answer.oversized = self.feed.oversized();
                answer.is_new = true;
            }
            Job::Next => {
                answer.request = self.feed.next();
                answer.oversized = self.feed.oversized();
                answer.is_new = true;
            }
            Job::Append(request) => {
                let checked = self.check(Extent::Written, QueueOperation::Write, &mut answer);
                if checked == Checked::Unusable {
                    answer.unwritten = Some(request);
                    return answer;
                }
                let store = self.store.as_mut();
                match store.map_or(Appended::Full, |store| store.append(&request)) {
                    Appended::Kept => {
                        self.held = self.held.saturating_add(request.items);
                        answer.note(QueueOperation::Write, Ok(()));
                    }
                    Appended::Full => answer.refused = request.items,
                    Appended::Failed(error) => {
                        answer.unwritten = Some(request);
                        answer.note(QueueOperation::Write, Err(error));
                    }
                }
                self.reconcile(&mut answer);
                self.keep_totals(&mut answer);
            }
            Job::Oldest => {
                let checked = self.check(Extent::Written, QueueOperation::Read, &mut answer);
                if checked == Checked::Usable {
                    self.oldest(&mut answer);
                }
            }
            Job::RemoveOldest => {
                let checked = self.check(Extent::Written, QueueOperation::Read, &mut answer);
                if let Some(store) = &mut self.store {
                    store.remove_oldest();
                    self.held = self.held.saturating_sub(self.lent);
                }
                if checked == Checked::Usable {
                    self.oldest(&mut answer);
                    self.keep_totals(&mut answer);
                }
            }
            Job::Sync => {
                let checked = self.check(Extent::All, QueueOperation::Write, &mut answer);
                if checked == Checked::Unusable {
                    return answer;
                }
                self.keep_totals(&mut answer);
                if let Some(store) = self.open_store() {
                    answer.note(QueueOperation::Write, store.sync());
                }
                self.reconcile(&mut answer);
            }
            Job::Open => self.open(&mut answer),
        }
        answer
    }

    /// Opens the persistent queue, and takes over its contents.
    fn open(&mut self, answer: &mut Answer) {
        let Some(store) = self
            .store
            .as_mut()
            .filter(|store| store.closed_by().is_some())
        else {
            return;
        };
        let opened = store.open();
        if opened.is_ok() {
            let (holds, overflowed) = (store.pending_items(), store.overflowed_items());
            self.ledger.take_over(&store.totals(), holds);
            (self.held, self.overflowed) = (holds, overflowed);
            self.found = 0;
        }
        answer.note(QueueOperation::Open, opened);
        self.keep_totals(answer);
    }

    /// Detects files of the persistent queue that were removed or replaced, and accounts for their
    /// contents. An error is attributed to `operation`, for which the check is made.
    fn check(&mut self, extent: Extent, operation: QueueOperation, answer: &mut Answer) -> Checked {
        let Some(store) = self.open_store() else {
            return Checked::Usable;
        };
        let checked = store.check(extent);
        if checked == Ok(Files::Changed) {
            answer.damaged = Some(0);
        }
        self.reconcile(answer);
        match checked {
            Ok(_) => Checked::Usable,
            Err(error) => {
                answer.note(operation, Err(StoreError { operation, ..error }));
                Checked::Unusable
            }
        }
    }

    fn open_store(&mut self) -> Option<&mut Box<dyn Store>> {
        let store = self.store.as_mut();
        store.filter(|store| store.closed_by().is_none())
    }

    fn oldest(&mut self, answer: &mut Answer) {
        let Some(store) = &mut self.store else {
            return;
        };
        let oldest = store.oldest();
        answer.note(
            QueueOperation::Read,
            oldest.as_ref().map(|_| ()).map_err(Clone::clone),
        );
        answer.request = oldest.unwrap_or_default();
        self.lent = answer.request.as_ref().map_or(0, |request| request.items);
        self.reconcile(answer);
    }

    /// Removes from the account what the persistent queue has lost: items that were dropped to make
    /// room for newer requests, and items that could not be read back. Adds the items that others put
    /// there.
    fn reconcile(&mut self, answer: &mut Answer) {
        let Some(store) = &self.store else {
            return;
        };
        let (holds, overflowed) = (store.pending_items(), store.overflowed_items());
        let found = store.found_items().saturating_sub(self.found);
        self.found = self.found.saturating_add(found);
        self.held = self.held.saturating_add(found);
        if found > 0 {
            self.ledger.take_over(&Totals::default(), found);
        }
        let lost = self.held.saturating_sub(holds);
        let gave_way = lost.min(overflowed.saturating_sub(self.overflowed));
        if gave_way > 0 {
            self.ledger.drop(gave_way, Reason::JournalFull);
        }
        if lost > gave_way {
            let corrupt = lost.saturating_sub(gave_way);
            self.ledger.drop(corrupt, Reason::Corrupt);
            let damaged = answer.damaged.get_or_insert(0);
            *damaged = damaged.saturating_add(corrupt);
        }
        (self.held, self.overflowed) = (holds, overflowed);
    }

    /// Stores the totals of the items that are settled or in the persistent queue. Items that are only
    /// in memory are left out, because they would be lost if the process were killed.
    fn keep_totals(&mut self, answer: &mut Answer) {
        let mut totals = self.ledger.snapshot();
        if let Some(store) = self.open_store() {
            totals.produced = totals.settled().saturating_add(store.pending_items());
            if let Err(error) = store.set_totals(&totals) {
                answer.note(QueueOperation::Write, Err(error));
            }
        }
    }
}
