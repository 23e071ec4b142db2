//! Runs the source and the persistent queue outside the driver's thread.
//!
//! Collecting runs callbacks of the service, and a persistent queue waits for the disk. Neither may keep
//! the driver from looking at the clock. So both are in a [`JobRunner`], which is moved to a blocking
//! thread of the runtime for each job. The pipeline does not wait for a job that is late: it gives up
//! the cycle, and the next one begins with the result of the job.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::sync::oneshot;
use tokio::task::spawn_blocking;

use super::commands::{Commands, Stage};
use super::store::{Appended, Extent, Store, StoreContents, StoreError};
use crate::ledger::{Ledger, QueueOperation, Reason, Totals};
use crate::moment::Instant;
use crate::persistent_queue::Integrity;
use crate::request_source::{Ack, Oversized, RequestSource};
use barograph_encode::otlp::Request;

/// A job for the blocking thread.
#[derive(Debug)]
pub(super) enum Job {
    /// Collect, and build the first request.
    Begin,
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
pub(super) struct JobResult {
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
    /// True if `request` was built by the source, and has to be acknowledged.
    pub(super) is_new: bool,
    /// The number of items in the persistent queue now.
    pub(super) pending: u64,
    /// The number of items that were lost in the persistent queue; `None` if none of its files was
    /// found damaged.
    pub(super) damaged: Option<u64>,
    /// The duration of the job.
    pub(super) took: Duration,
    /// The items that the source left out.
    pub(super) oversized: Oversized,
    /// True if the job panicked.
    pub(super) has_panicked: bool,
}

impl JobResult {
    fn note(&mut self, operation: QueueOperation, result: Result<(), StoreError>) {
        self.tried[operation as usize] = Some(result);
    }
}

/// The error of a job that did not complete in time, or never will.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Busy;

/// The request source and the persistent queue, on whichever thread they are.
pub(super) struct BlockingWorker {
    location: Location,
}

enum Location {
    Idle(Box<JobRunner>),
    Busy {
        job: JobSlot,
        done: oneshot::Receiver<(Box<JobRunner>, JobResult)>,
    },
    /// The runner is moving between the other two states, or was lost.
    Lost,
}

/// A job that no thread has begun, or `None` once one has. The thread that takes it out runs it: a
/// thread of the runtime, or the driver's thread if there is none.
type JobSlot = Arc<Mutex<Option<PendingJob>>>;

struct PendingJob {
    runner: Box<JobRunner>,
    ack: Option<Ack>,
    job: Job,
    done: oneshot::Sender<(Box<JobRunner>, JobResult)>,
}

impl PendingJob {
    /// Runs the job, if no thread has begun it.
    fn run(slot: &JobSlot) {
        let pending = slot.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(PendingJob {
            runner,
            ack,
            job,
            done,
        }) = pending
        {
            // The receiver may have been dropped with its pipeline.
            let _ = done.send(runner.run(ack, job));
        }
    }
}

/// Owns the request source and the persistent queue, and runs the jobs.
struct JobRunner {
    source: Box<dyn RequestSource>,
    store: Option<Box<dyn Store>>,
    ledger: Ledger,
    /// The contents of the persistent queue after the last job.
    contents: StoreContents,
    /// The number of items in the request that it returned last.
    peeked: u64,
}

impl BlockingWorker {
    pub(super) fn new(
        source: Box<dyn RequestSource>,
        store: Option<Box<dyn Store>>,
        ledger: Ledger,
    ) -> Self {
        let contents = store.as_ref().map(|store| store.contents());
        BlockingWorker {
            location: Location::Idle(Box::new(JobRunner {
                source,
                store,
                ledger,
                contents: contents.unwrap_or_default(),
                peeked: 0,
            })),
        }
    }

    /// Runs the pending job on this thread, if no thread has begun it: its thread was never started,
    /// or its runtime was shut down.
    pub(super) fn finish(&self) {
        if let Location::Busy { job, .. } = &self.location {
            PendingJob::run(job);
        }
    }

    /// Returns true while a job is pending that an earlier call stopped waiting for, or if the runner
    /// was lost.
    pub(super) fn is_busy(&self) -> bool {
        !matches!(self.location, Location::Idle(_))
    }

    /// Passes `ack` to the request source, runs a job, and waits for it until the given time. Fails
    /// while another job is pending.
    pub(super) async fn run(
        &mut self,
        job: Job,
        ack: Option<Ack>,
        stage: Stage,
        until: Instant,
        commands: &mut Commands,
    ) -> Result<JobResult, Busy> {
        match std::mem::replace(&mut self.location, Location::Lost) {
            Location::Idle(runner) => {
                let (sender, done) = oneshot::channel();
                let job = Arc::new(Mutex::new(Some(PendingJob {
                    runner,
                    ack,
                    job,
                    done: sender,
                })));
                let slot = Arc::clone(&job);
                self.location = Location::Busy { job, done };
                // This panics if no thread can be started. Then the job runs on this thread.
                if catch_unwind(|| spawn_blocking(move || PendingJob::run(&slot))).is_err() {
                    self.finish();
                }
            }
            busy => {
                self.location = busy;
                return Err(Busy);
            }
        }
        self.join(stage, until, commands).await
    }

    /// Waits for the pending job.
    pub(super) async fn join(
        &mut self,
        stage: Stage,
        until: Instant,
        commands: &mut Commands,
    ) -> Result<JobResult, Busy> {
        let Location::Busy { done, .. } = &mut self.location else {
            return Err(Busy);
        };
        match commands.within(stage, until, done).await {
            Some(Ok((runner, result))) => {
                self.location = Location::Idle(runner);
                Ok(result)
            }
            Some(Err(_)) => {
                self.location = Location::Lost;
                Err(Busy)
            }
            None => Err(Busy),
        }
    }
}

impl JobRunner {
    fn run(mut self: Box<Self>, ack: Option<Ack>, job: Job) -> (Box<Self>, JobResult) {
        let began = Instant::now();
        let refused = match &job {
            Job::Append(request) => request.items,
            _ => 0,
        };
        // A source that panicked is used again; what it was about to do is done again next time.
        let acknowledged =
            ack.is_none_or(|ack| catch_unwind(AssertUnwindSafe(|| self.source.ack(ack))).is_ok());
        let done = catch_unwind(AssertUnwindSafe(|| self.perform(job)));
        let mut result = done.unwrap_or_else(|_| JobResult {
            refused,
            has_panicked: true,
            ..JobResult::default()
        });
        result.has_panicked |= !acknowledged;
        // A persistent queue that panics is assumed to hold what it held before.
        let held = catch_unwind(AssertUnwindSafe(|| {
            let store = self
                .store
                .as_ref()
                .filter(|store| store.closed_by().is_none());
            store.map(|store| store.contents().pending)
        }));
        let held = held.unwrap_or(Some(self.contents.pending));
        result.is_open = held.is_some();
        result.pending = held.unwrap_or(0);
        result.took = began.elapsed();
        (self, result)
    }

    fn perform(&mut self, job: Job) -> JobResult {
        let mut result = JobResult::default();
        match job {
            Job::Begin => {
                self.source.begin(SystemTime::now());
                self.build(&mut result);
            }
            Job::Next => self.build(&mut result),
            Job::Append(request) => {
                if !self.check(Extent::Written, QueueOperation::Write, &mut result) {
                    result.unwritten = Some(request);
                    return result;
                }
                let store = self.store.as_mut();
                match store.map_or(Appended::Full, |store| store.append(&request)) {
                    Appended::Stored => {
                        self.contents.pending = self.contents.pending.saturating_add(request.items);
                        result.note(QueueOperation::Write, Ok(()));
                    }
                    Appended::Full => result.refused = request.items,
                    Appended::Failed(error) => {
                        result.unwritten = Some(request);
                        result.note(QueueOperation::Write, Err(error));
                    }
                }
                self.reconcile(&mut result);
                self.keep_totals(&mut result);
            }
            Job::Oldest => {
                if self.check(Extent::Written, QueueOperation::Read, &mut result) {
                    self.oldest(&mut result);
                }
            }
            Job::RemoveOldest => {
                let is_usable = self.check(Extent::Written, QueueOperation::Read, &mut result);
                if let Some(store) = &mut self.store {
                    store.remove_oldest();
                    let pending = &mut self.contents.pending;
                    *pending = pending.saturating_sub(self.peeked);
                }
                if is_usable {
                    self.oldest(&mut result);
                    self.keep_totals(&mut result);
                }
            }
            Job::Sync => {
                if !self.check(Extent::All, QueueOperation::Write, &mut result) {
                    return result;
                }
                self.keep_totals(&mut result);
                if let Some(store) = self.open_store() {
                    result.note(QueueOperation::Write, store.sync());
                }
                self.reconcile(&mut result);
            }
            Job::Open => self.open(&mut result),
        }
        result
    }

    /// Builds the next request.
    fn build(&mut self, result: &mut JobResult) {
        result.request = self.source.next();
        result.oversized = self.source.oversized();
        result.is_new = true;
    }

    /// Opens the persistent queue, and takes over its contents.
    fn open(&mut self, result: &mut JobResult) {
        let Some(store) = self
            .store
            .as_mut()
            .filter(|store| store.closed_by().is_some())
        else {
            return;
        };
        let opened = store.open();
        if opened.is_ok() {
            self.contents = store.contents();
            let missing = self
                .ledger
                .take_over(&store.totals(), self.contents.pending);
            let is_damaged = missing > 0 || self.contents.is_damaged;
            result.damaged = is_damaged.then_some(missing);
        }
        result.note(QueueOperation::Open, opened);
        self.keep_totals(result);
    }

    /// Detects files of the persistent queue that were removed or replaced, and accounts for their
    /// contents. An error is attributed to `operation`, for which the check is made. Returns true if the
    /// persistent queue can be used.
    fn check(&mut self, extent: Extent, operation: QueueOperation, result: &mut JobResult) -> bool {
        let Some(store) = self.open_store() else {
            return true;
        };
        let checked = store.check(extent);
        if checked == Ok(Integrity::Repaired) {
            result.damaged = Some(0);
        }
        self.reconcile(result);
        let error = checked.err();
        let is_usable = error.is_none();
        if let Some(error) = error {
            result.note(operation, Err(StoreError { operation, ..error }));
        }
        is_usable
    }

    fn open_store(&mut self) -> Option<&mut Box<dyn Store>> {
        let store = self.store.as_mut();
        store.filter(|store| store.closed_by().is_none())
    }

    fn oldest(&mut self, result: &mut JobResult) {
        let Some(store) = &mut self.store else {
            return;
        };
        let oldest = store.oldest();
        result.note(
            QueueOperation::Read,
            oldest.as_ref().map(|_| ()).map_err(Clone::clone),
        );
        result.request = oldest.unwrap_or_default();
        self.peeked = result.request.as_ref().map_or(0, |request| request.items);
        self.reconcile(result);
    }

    /// Removes from the account what the persistent queue has lost: items that were dropped to make
    /// room for newer requests, and items that could not be read back. Adds the items that others put
    /// there.
    fn reconcile(&mut self, result: &mut JobResult) {
        let Some(store) = &self.store else {
            return;
        };
        let (before, now) = (self.contents, store.contents());
        let found = now.found.saturating_sub(before.found);
        if found > 0 {
            self.ledger.take_over(&Totals::default(), found);
        }
        let lost = before.pending.saturating_add(found);
        let lost = lost.saturating_sub(now.pending);
        let overflowed = now.overflowed.saturating_sub(before.overflowed);
        let overflowed = overflowed.min(lost);
        if overflowed > 0 {
            self.ledger.drop(overflowed, Reason::PersistentQueueFull);
        }
        let corrupt = lost.saturating_sub(overflowed);
        if corrupt > 0 {
            self.ledger.drop(corrupt, Reason::Corrupt);
            let damaged = result.damaged.get_or_insert(0);
            *damaged = damaged.saturating_add(corrupt);
        }
        self.contents = now;
    }

    /// Stores the totals of the items that are settled or in the persistent queue. Items that are only
    /// in memory are left out, because they would be lost if the process were killed.
    fn keep_totals(&mut self, result: &mut JobResult) {
        let mut totals = self.ledger.snapshot();
        if let Some(store) = self.open_store() {
            totals.produced = totals.settled().saturating_add(store.contents().pending);
            if let Err(error) = store.set_totals(&totals) {
                result.note(QueueOperation::Write, Err(error));
            }
        }
    }
}
