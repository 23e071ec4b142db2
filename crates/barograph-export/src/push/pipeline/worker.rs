//! What makes requests and what keeps them, apart from the thread of the loop.
//!
//! Collecting runs callbacks of the service, and a persistent queue waits for the disk: neither must keep the
//! loop from looking at the clock. So both live in a desk, which is handed to a blocking thread of the
//! runtime for each errand. An errand that is not back in time is not waited for; its round is given
//! up, and the next one begins with what it brings.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::sync::oneshot;
use tokio::task::spawn_blocking;
use tokio::time::Instant;

use super::orders::{Orders, Stage};
use super::store::{Appended, Extent, Files, Store, StoreError};
use crate::otlp::Request;
use crate::push::feed::{Fate, Feed, Oversized};
use crate::push::ledger::{Ledger, QueueOperation, Reason, Totals};

/// Something to be done at the desk.
#[derive(Debug)]
pub(super) enum Job {
    /// Collect, and make the first request.
    Begin(SystemTime),
    /// Make the next request.
    Next,
    /// Keep this request in the persistent queue.
    Append(Request),
    /// Read the oldest request of the persistent queue.
    Oldest,
    /// Take the oldest request out of the persistent queue, and read the next.
    RemoveOldest,
    /// Write the persistent queue to the disk.
    Sync,
    /// Open the persistent queue.
    Open,
}

/// What an errand brings back.
#[derive(Debug, Default)]
pub(super) struct Answer {
    /// The request that was made or read.
    pub(super) request: Option<Request>,
    /// Items of a request that the persistent queue has no room for.
    pub(super) refused: u64,
    /// A request that could not be written to the persistent queue now.
    pub(super) unwritten: Option<Request>,
    /// What was tried with the persistent queue, and how it went.
    pub(super) tried: [Option<Result<(), StoreError>>; QueueOperation::COUNT],
    /// Whether the persistent queue is open.
    pub(super) is_open: bool,
    /// Whether `request` was made by the feed, and has to be settled.
    pub(super) is_new: bool,
    /// Items in the persistent queue now.
    pub(super) pending: u64,
    /// Items that were lost in the persistent queue; none where none of its files was seen to be damaged.
    pub(super) damaged: Option<u64>,
    /// How long it took.
    pub(super) took: Duration,
    /// What the feed left out.
    pub(super) oversized: Oversized,
    /// Whether the feed panicked.
    pub(super) has_panicked: bool,
}

impl Answer {
    fn note(&mut self, operation: QueueOperation, result: Result<(), StoreError>) {
        self.tried[operation as usize] = Some(result);
    }
}

/// The desk was not back in time, or will never be.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Away;

/// The feed and the persistent queue, wherever they are just now.
pub(super) struct Worker {
    place: Place,
    /// How the request before was settled; told at the next errand.
    settle: Option<Fate>,
    /// Whether the request that was made last is not settled.
    is_open: bool,
}

enum Place {
    Here(Box<Desk>),
    Away {
        errand: Waiting,
        answer: oneshot::Receiver<(Box<Desk>, Answer)>,
    },
    /// It is on its way from one of the others to another.
    Gone,
}

/// An errand that nobody has begun; none where somebody has. Whoever takes it out does it: a thread of
/// the runtime, or the loop where there is none.
type Waiting = Arc<Mutex<Option<Errand>>>;

struct Errand {
    desk: Box<Desk>,
    settle: Option<Fate>,
    job: Job,
    done: oneshot::Sender<(Box<Desk>, Answer)>,
}

impl Errand {
    /// Does what nobody has begun yet.
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
            // Without a pipeline nobody waits.
            let _ = done.send(desk.work(settle, job));
        }
    }
}

/// Whether the persistent queue can be used now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Checked {
    Usable,
    Unusable,
}

struct Desk {
    feed: Box<dyn Feed>,
    store: Option<Box<dyn Store>>,
    ledger: Ledger,
    /// Items that the persistent queue held after the errand before.
    held: u64,
    /// Items of the request that it gave last.
    lent: u64,
    /// Items that had given way to newer ones by then.
    overflowed: u64,
    /// Items that had been found in its place by then.
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

    /// Says what became of the request that was made last.
    pub(super) fn settle(&mut self, fate: Fate) {
        self.settle = Some(fate);
        self.is_open = false;
    }

    /// Says that the request that was made last is not to be made again, unless its fate was said.
    pub(super) fn settle_open(&mut self) {
        if self.is_open {
            self.settle(Fate::Settled);
        }
    }

    /// Does the errand that is out here and now, if nobody has begun it: where its thread never came,
    /// or its runtime is gone.
    pub(super) fn finish(&self) {
        if let Place::Away { errand, .. } = &self.place {
            Errand::begin(errand);
        }
    }

    /// Whether an errand is out that was not waited for.
    pub(super) fn is_away(&self) -> bool {
        !matches!(self.place, Place::Here(_))
    }

    /// Does an errand and waits for it until then. Not while another one is out.
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
                // It panics where no thread can be had. Better late than never.
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

    /// Waits for the errand that is out.
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
        // A feed that panicked goes on as it is; what it was about to do is done again next time.
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
        // A journal that panics holds what it held before.
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

    /// Opens the persistent queue, and takes over what waits in it.
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

    /// Notices files of the persistent queue that were removed or replaced, and accounts for what was in them.
    /// An error is one of the operation that this is done for.
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

    /// Takes what the persistent queue has lost out of the account: what gave way to newer requests, and what
    /// it could not read back. What others have put there comes in.
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

    /// The sums of what is settled or in the persistent queue. What is only in memory is left out: it will
    /// not be there after the process was killed.
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
