//! What makes requests and what keeps them, apart from the thread of the loop.
//!
//! Collecting runs callbacks of the service, and a journal waits for the disk: neither must keep the
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
use crate::otlp::Request;
use crate::push::feed::{Fate, Feed, Oversized};
use crate::push::ledger::{Ledger, Reason, Totals};

/// Keeps requests over an outage.
pub(in crate::push) trait Store: Send {
    /// Takes a request behind the others. False: it cannot.
    fn append(&mut self, request: &Request) -> bool;
    /// The request that came first.
    fn oldest(&mut self) -> Option<Request>;
    /// Forgets it.
    fn remove_oldest(&mut self);
    /// Makes sure that all is on the disk.
    fn sync(&mut self);
    /// Items in all requests.
    fn pending_items(&self) -> u64;
    /// Items in requests that gave way to newer ones, so far.
    fn overflowed_items(&self) -> u64;
    /// Keeps the sums beside the requests.
    fn set_totals(&mut self, totals: &Totals);
}

/// Something to be done at the desk.
#[derive(Debug)]
pub(super) enum Job {
    /// Collect, and make the first request.
    Begin(SystemTime),
    /// Make the next request.
    Next,
    /// Keep this request in the journal.
    Append(Request),
    /// Read the oldest request of the journal.
    Oldest,
    /// Take the oldest request out of the journal, and read the next.
    RemoveOldest,
    /// Write the journal to the disk.
    Sync,
}

/// What an errand brings back.
#[derive(Debug, Default)]
pub(super) struct Answer {
    /// The request that was made or read.
    pub(super) request: Option<Request>,
    /// Items of a request that the journal did not take.
    pub(super) refused: u64,
    /// Whether `request` was made by the feed, and has to be settled.
    pub(super) is_new: bool,
    /// Items in the journal now.
    pub(super) pending: u64,
    /// How long it took.
    pub(super) took: Duration,
    /// What the feed left out.
    pub(super) oversized: Oversized,
    /// Whether the feed panicked.
    pub(super) has_panicked: bool,
}

/// The desk was not back in time, or will never be.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Away;

/// The feed and the journal, wherever they are just now.
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

struct Desk {
    feed: Box<dyn Feed>,
    store: Option<Box<dyn Store>>,
    ledger: Ledger,
    /// Items that the journal held after the errand before.
    held: u64,
    /// Items of the request that it gave last.
    lent: u64,
    /// Items that had given way to newer ones by then.
    overflowed: u64,
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
        let pending = catch_unwind(AssertUnwindSafe(|| {
            self.store.as_ref().map_or(0, |store| store.pending_items())
        }));
        answer.pending = pending.unwrap_or(self.held);
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
                let store = self.store.as_mut();
                if store.is_some_and(|store| store.append(&request)) {
                    self.held = self.held.saturating_add(request.items);
                } else {
                    answer.refused = request.items;
                }
                self.reconcile();
                self.keep_totals();
            }
            Job::Oldest => answer.request = self.oldest(),
            Job::RemoveOldest => {
                if let Some(store) = &mut self.store {
                    store.remove_oldest();
                    self.held = self.held.saturating_sub(self.lent);
                    answer.request = self.oldest();
                }
                self.keep_totals();
            }
            Job::Sync => {
                self.keep_totals();
                if let Some(store) = &mut self.store {
                    store.sync();
                }
            }
        }
        answer
    }

    fn oldest(&mut self) -> Option<Request> {
        let request = self.store.as_mut().and_then(|store| store.oldest());
        self.lent = request.as_ref().map_or(0, |request| request.items);
        self.reconcile();
        request
    }

    /// Takes what the journal has lost out of the account: what gave way to newer requests, and what
    /// it could not read back.
    fn reconcile(&mut self) {
        let Some(store) = &self.store else {
            return;
        };
        let (holds, overflowed) = (store.pending_items(), store.overflowed_items());
        let lost = self.held.saturating_sub(holds);
        let gave_way = lost.min(overflowed.saturating_sub(self.overflowed));
        if gave_way > 0 {
            self.ledger.drop(gave_way, Reason::JournalFull);
        }
        if lost > gave_way {
            let corrupt = lost.saturating_sub(gave_way);
            self.ledger.drop(corrupt, Reason::Corrupt);
        }
        (self.held, self.overflowed) = (holds, overflowed);
    }

    /// The sums of what is settled or in the journal. What is only in memory is left out: it will
    /// not be there after the process was killed.
    fn keep_totals(&mut self) {
        if let Some(store) = &mut self.store {
            let mut totals = self.ledger.snapshot();
            totals.produced = totals.settled().saturating_add(store.pending_items());
            store.set_totals(&totals);
        }
    }
}

#[cfg(feature = "journal")]
impl Store for crate::push::journal::Journal {
    fn append(&mut self, request: &Request) -> bool {
        self.append(request).is_ok()
    }

    fn oldest(&mut self) -> Option<Request> {
        self.oldest()
    }

    fn remove_oldest(&mut self) {
        self.remove_oldest();
    }

    fn sync(&mut self) {
        // A disk that fails refuses the next request too, which is counted.
        let _ = self.sync();
    }

    fn pending_items(&self) -> u64 {
        self.pending_items()
    }

    fn overflowed_items(&self) -> u64 {
        self.lost().overflow.items
    }

    fn set_totals(&mut self, totals: &Totals) {
        // As with `sync`.
        let _ = self.set_totals(totals);
    }
}
