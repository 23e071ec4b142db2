//! A notification that starts an export cycle before its scheduled time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering, fence};

use tokio::sync::Notify;

/// A notification that makes a pipeline start an export cycle at once. Clones are the same
/// notification.
///
/// Call `ring` after a record was put into a queue that then holds a batch or more. It is enough to
/// call it again only after the queue held less than a batch: at the end of each cycle the pipeline
/// itself checks whether a batch is waiting. While a notification is pending, a further call costs a
/// fence and a load. While the receiver is unavailable and no persistent queue can take requests,
/// notifications have no effect; the waiting records are sent when the receiver is back.
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
    /// Creates a notification that no pipeline waits for yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Notifies the pipeline. It can be called from any thread, inside or outside a runtime, and never
    /// blocks.
    #[inline]
    pub fn ring(&self) {
        // SeqCst: pairs with the fence in `clear`. Either the cycle that clears the flag sees the
        // record that this call is made for, or this call sees that the flag was cleared.
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

    /// Waits until `ring` has been called since the last `clear`.
    pub(super) async fn rung(&self) {
        while !self.is_rung() {
            self.inner.notify.notified().await;
        }
    }

    /// Returns true if `ring` has been called since the last `clear`.
    pub(super) fn is_rung(&self) -> bool {
        self.inner.is_rung.load(Ordering::Relaxed)
    }

    /// Resets the notification at the start of a cycle, which sees every record that was announced
    /// before.
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
