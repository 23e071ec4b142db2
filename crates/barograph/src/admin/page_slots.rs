//! Limits the pages sent at once and the requests that wait, and picks the slow client to disconnect.
//!
//! A client that does not read keeps its slot until another request needs one. Then the connection
//! that has kept the server waiting longest is closed, so that slow clients, however many, do not
//! take a slot from a client that reads.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep, timeout};

/// The activity on a connection: its pages, and the time that the client has kept the server waiting.
#[derive(Debug, Default)]
pub(super) struct Activity {
    /// The number of pages sent or waited for.
    pages: AtomicUsize,
    waits: Mutex<Waits>,
    cut: Notify,
}

/// The time that a connection has kept the server waiting.
#[derive(Clone, Copy, Debug, Default)]
struct Waits {
    before: Duration,
    since: Option<Instant>,
}

impl Activity {
    /// Returns true if a page is sent or waited for.
    pub(super) fn is_busy(&self) -> bool {
        self.pages.load(Ordering::Relaxed) > 0
    }

    /// Records that a write waits because the client does not read.
    pub(super) fn begin_wait(&self) {
        self.waits().since.get_or_insert_with(Instant::now);
    }

    /// Records that a write succeeded.
    pub(super) fn end_wait(&self) {
        let mut waits = self.waits();
        if let Some(since) = waits.since.take() {
            waits.before += since.elapsed();
        }
    }

    /// Returns the total time that the client has kept the server waiting.
    fn waited(&self) -> Duration {
        let waits = *self.waits();
        waits.before + waits.since.map_or(Duration::ZERO, |since| since.elapsed())
    }

    /// Completes when the connection has to be closed.
    pub(super) async fn cut(&self) {
        self.cut.notified().await;
    }

    fn waits(&self) -> MutexGuard<'_, Waits> {
        self.waits.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The slots for pages. Clones share them.
#[derive(Clone)]
pub(super) struct PageSlots {
    free: Arc<Semaphore>,
    waiting: Arc<AtomicUsize>,
    taken: Arc<Mutex<Vec<Taken>>>,
}

struct Taken {
    by: Arc<Activity>,
    /// The time that the connection had kept the server waiting before this page.
    waited: Duration,
}

impl PageSlots {
    pub(super) fn new() -> Self {
        PageSlots {
            free: Arc::new(Semaphore::new(MOST_PAGES)),
            waiting: Arc::default(),
            taken: Arc::default(),
        }
    }

    /// Returns a slot for a page on this connection, once one is free. None if none becomes free
    /// within the timeout of a scraper, or if too many requests wait already.
    pub(super) async fn take(&self, by: &Arc<Activity>) -> Option<PageSlot> {
        let page = Counted::new(by);
        let permit = match Arc::clone(&self.free).try_acquire_owned() {
            Ok(permit) => permit,
            Err(_) => self.wait().await?,
        };
        self.taken().push(Taken {
            by: Arc::clone(by),
            waited: by.waited(),
        });
        Some(PageSlot {
            slots: self.clone(),
            page,
            _permit: permit,
        })
    }

    async fn wait(&self) -> Option<OwnedSemaphorePermit> {
        let _waiting = Waiting::new(&self.waiting)?;
        let making_room = async {
            loop {
                self.cut_slowest();
                sleep(LOOK_INTERVAL).await;
            }
        };
        let permit = async {
            tokio::select! {
                permit = Arc::clone(&self.free).acquire_owned() => permit.ok(),
                () = making_room => None,
            }
        };
        timeout(QUEUE_TIME, permit).await.ok().flatten()
    }

    /// Closes the connection that has kept the server waiting longest, if that is longer than `SLOW`.
    fn cut_slowest(&self) {
        let mut taken = self.taken();
        let waited = |taken: &Taken| taken.by.waited().saturating_sub(taken.waited);
        let slow = taken.iter().enumerate().map(|(at, t)| (waited(t), at));
        if let Some((waited, at)) = slow.max()
            && waited >= SLOW
        {
            taken.swap_remove(at).by.cut.notify_one();
        }
    }

    fn taken(&self) -> MutexGuard<'_, Vec<Taken>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The slot of one page, freed when dropped.
pub(super) struct PageSlot {
    slots: PageSlots,
    page: Counted,
    _permit: OwnedSemaphorePermit,
}

impl Drop for PageSlot {
    fn drop(&mut self) {
        let mut taken = self.slots.taken();
        taken.retain(|taken| !Arc::ptr_eq(&taken.by, &self.page.0));
    }
}

/// Counts a page on a connection, until dropped.
struct Counted(Arc<Activity>);

impl Counted {
    fn new(on: &Arc<Activity>) -> Self {
        on.pages.fetch_add(1, Ordering::Relaxed);
        Counted(Arc::clone(on))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.pages.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Counts a waiting request, until dropped.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn new(count: &'a AtomicUsize) -> Option<Self> {
        let waiting = Waiting(count);
        (count.fetch_add(1, Ordering::Relaxed) < MOST_WAITING).then_some(waiting)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The maximum number of pages at once; further requests wait.
pub(super) const MOST_PAGES: usize = 8;
/// The maximum number of waiting requests; further ones are refused.
pub(super) const MOST_WAITING: usize = 128;
/// The time that a request waits before it is refused. Scrapers give up after 10 s.
const QUEUE_TIME: Duration = Duration::from_secs(5);
/// The time that a client may keep the server waiting while another request waits for a slot.
const SLOW: Duration = Duration::from_secs(1);
/// The interval at which a waiting request looks for a slow client.
const LOOK_INTERVAL: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests {
    use super::*;

    async fn taken(slots: &PageSlots, by: &Arc<Activity>) -> PageSlot {
        slots.take(by).await.expect("there is a slot")
    }

    fn connections(count: usize) -> Vec<Arc<Activity>> {
        (0..count).map(|_| Arc::default()).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn the_slowest_reader_makes_room_when_a_connection_waits() {
        let slots = PageSlots::new();
        let (readers, next) = (connections(MOST_PAGES), connections(1).remove(0));
        let mut open = Vec::new();
        for reader in &readers {
            open.push(taken(&slots, reader).await);
        }
        // Two are slow, one of them for longer. Before its page it was slower still.
        readers[3].begin_wait();
        sleep(Duration::from_millis(300)).await;
        readers[5].begin_wait();
        let began = Instant::now();
        let waiting = slots.take(&next);
        tokio::pin!(waiting);
        tokio::select! {
            _ = &mut waiting => panic!("there is no slot yet"),
            () = readers[5].cut() => panic!("it is not the slowest"),
            () = readers[3].cut() => {}
        }
        assert!(began.elapsed() <= SLOW);
        drop(open.remove(3));
        assert!(waiting.await.is_some());
        assert!(readers[3].waited() >= SLOW);
    }

    #[tokio::test(start_paused = true)]
    async fn a_reader_that_is_fast_keeps_its_place() {
        let slots = PageSlots::new();
        let (readers, next) = (connections(MOST_PAGES), connections(1).remove(0));
        let mut open = Vec::new();
        for reader in &readers {
            reader.begin_wait();
            sleep(2 * SLOW).await;
            reader.end_wait();
            // Waits before this page do not count.
            open.push(taken(&slots, reader).await);
        }
        let began = Instant::now();
        assert!(slots.take(&next).await.is_none());
        assert_eq!(began.elapsed(), QUEUE_TIME);
        assert!(readers.iter().all(|reader| reader.is_busy()) && !next.is_busy());
        open.pop();
        assert!(slots.take(&next).await.is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn no_more_wait_than_may() {
        let slots = PageSlots::new();
        let holder = connections(1).remove(0);
        let mut open = Vec::new();
        for _ in 0..MOST_PAGES {
            open.push(taken(&slots, &holder).await);
        }
        for by in connections(MOST_WAITING) {
            let slots = slots.clone();
            tokio::spawn(async move { slots.take(&by).await.is_some() });
        }
        sleep(LOOK_INTERVAL).await;
        let began = Instant::now();
        assert!(slots.take(&Arc::default()).await.is_none());
        assert_eq!(began.elapsed(), Duration::ZERO);
    }
}
