//! Has a pipeline begin its round before its time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering, fence};

use tokio::sync::Notify;

/// Has a pipeline begin a round at once. Clones ring at the same one.
///
/// Ring when a record was put into a queue that then holds a batch, or more; again only when there
/// was less in between, if that is easier: at the end of a round the pipeline looks by itself whether
/// a batch waits. While it has not heard of a ring, the next one is a fence and a load. Rung while the
/// receiver is away, it does nothing; what waits then is sent when the receiver is back.
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

#[cfg(test)]
mod tests {
    use super::*;

    use std::sync::atomic::AtomicU64;
    use std::time::Duration;

    use tokio::time::timeout;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn it_is_heard_once_however_often_it_was_rung() {
        let wake = Wake::new();
        assert!(timeout(SECOND, wake.rung()).await.is_err());
        for _ in 0..3 {
            wake.clone().ring();
        }
        assert!(timeout(SECOND, wake.rung()).await.is_ok());
        wake.clear();
        assert!(timeout(SECOND, wake.rung()).await.is_err());
        wake.ring();
        assert!(timeout(SECOND, wake.rung()).await.is_ok());
    }

    #[test]
    fn no_ring_is_lost_concurrently() {
        const EACH: u64 = 50_000;
        let (wake, made) = (Wake::new(), AtomicU64::new(0));
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .unwrap();
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    for _ in 0..EACH {
                        made.fetch_add(1, Ordering::Relaxed);
                        wake.ring();
                    }
                });
            }
            let all_seen = async {
                let mut seen = 0;
                while seen < 2 * EACH {
                    wake.rung().await;
                    wake.clear();
                    seen = made.load(Ordering::Relaxed);
                }
            };
            runtime
                .block_on(async { timeout(60 * SECOND, all_seen).await })
                .unwrap();
        });
    }
}
