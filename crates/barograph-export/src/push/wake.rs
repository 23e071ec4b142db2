//! Has a pipeline begin its round before its time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering, fence};

use tokio::sync::Notify;

/// Has a pipeline begin a round at once. Clones ring at the same one.
///
/// Ring whenever a record was put into a queue that then holds a batch or more: while the pipeline
/// has not heard of it, that is a fence and a load. Rung while the receiver is away, it does nothing;
/// what waits then is sent when the receiver is back.
#[derive(Clone, Debug, Default)]
pub struct Wake {
    inner: Arc<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    is_rung: AtomicBool,
    notify: Notify,
}

impl Wake {
    /// One that nobody listens to yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Rings. From any thread, inside of any runtime or outside of all; never waits.
    #[inline]
    pub fn ring(&self) {
        // SeqCst: pairs with the fence in `clear`. Either the round that clears sees the record that
        // this is rung for, or this sees that it was cleared.
        fence(Ordering::SeqCst);
        if !self.inner.is_rung.load(Ordering::Relaxed) {
            self.wake();
        }
    }

    #[cold]
    fn wake(&self) {
        if !self.inner.is_rung.swap(true, Ordering::Relaxed) {
            self.inner.notify.notify_one();
        }
    }

    /// Waits until it was rung since it was cleared.
    pub(super) async fn rung(&self) {
        while !self.is_rung() {
            self.inner.notify.notified().await;
        }
    }

    /// Whether it was rung since it was cleared.
    pub(super) fn is_rung(&self) -> bool {
        self.inner.is_rung.load(Ordering::Relaxed)
    }

    /// A round begins, which will see all that it was rung for.
    pub(super) fn clear(&self) {
        self.inner.is_rung.store(false, Ordering::Relaxed);
        // SeqCst: pairs with the fence in `ring`.
        fence(Ordering::SeqCst);
    }
}
