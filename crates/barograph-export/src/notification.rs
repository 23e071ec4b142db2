//! A notification that starts an export cycle before its scheduled time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering, fence};

use tokio::sync::Notify;

/// A notification that makes a pipeline start an export cycle at once. Clones are the same
/// notification.
///
/// A record queue calls `notify` when it comes to hold a batch. It does so again only after it held
/// less: at the end of each cycle the pipeline itself checks whether a batch is waiting. While the
/// receiver is unavailable and no persistent queue can take requests, notifications have no effect;
/// the waiting records are sent when the receiver is back.
#[derive(Clone, Debug, Default)]
pub(crate) struct Notification {
    inner: Arc<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    is_pending: AtomicBool,
    notify: Notify,
}

impl Notification {
    /// Notifies the pipeline. It can be called from any thread, inside or outside a runtime, and never
    /// blocks.
    pub(crate) fn notify(&self) {
        // SeqCst: pairs with the fence in `clear`. Either the cycle that clears the flag sees the
        // record that this call is made for, or this call sees that the flag was cleared.
        fence(Ordering::SeqCst);
        if !self.inner.is_pending.swap(true, Ordering::Relaxed) {
            self.inner.notify.notify_one();
        }
    }

    /// Waits until `notify` has been called since the last `clear`.
    pub(crate) async fn notified(&self) {
        while !self.is_pending() {
            self.inner.notify.notified().await;
        }
    }

    /// Returns true if `notify` has been called since the last `clear`.
    pub(crate) fn is_pending(&self) -> bool {
        self.inner.is_pending.load(Ordering::Relaxed)
    }

    /// Resets the notification at the start of a cycle, which sees every record that was announced
    /// before.
    pub(crate) fn clear(&self) {
        self.inner.is_pending.store(false, Ordering::Relaxed);
        // SeqCst: pairs with the fence in `notify`.
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
    async fn it_is_received_once_however_often_it_was_sent() {
        let notification = Notification::default();
        assert!(timeout(SECOND, notification.notified()).await.is_err());
        for _ in 0..3 {
            notification.clone().notify();
        }
        assert!(timeout(SECOND, notification.notified()).await.is_ok());
        notification.clear();
        assert!(timeout(SECOND, notification.notified()).await.is_err());
        notification.notify();
        assert!(timeout(SECOND, notification.notified()).await.is_ok());
    }

    #[test]
    fn no_notification_is_lost_concurrently() {
        const EACH: u64 = 50_000;
        let (notification, made) = (Notification::default(), AtomicU64::new(0));
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .unwrap();
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    for _ in 0..EACH {
                        made.fetch_add(1, Ordering::Relaxed);
                        notification.notify();
                    }
                });
            }
            let all_seen = async {
                let mut seen = 0;
                while seen < 2 * EACH {
                    notification.notified().await;
                    notification.clear();
                    seen = made.load(Ordering::Relaxed);
                }
            };
            runtime
                .block_on(async { timeout(60 * SECOND, all_seen).await })
                .unwrap();
        });
    }
}
