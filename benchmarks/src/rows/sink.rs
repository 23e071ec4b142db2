//! A queue of barograph's records, and the thread that empties it, for the rows of spans and log
//! records.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use barograph_core::record_queue::RecordQueue;

use crate::measure::expect;

/// A queue whose records another thread discards unread, `BATCH` at a time.
pub(crate) struct RecordSink<T> {
    queue: RecordQueue<T>,
    is_over: Arc<AtomicBool>,
}

impl<T: Send + 'static> RecordSink<T> {
    pub(crate) fn new() -> Self {
        let is_over = Arc::new(AtomicBool::new(false));
        let (wake, woken) = std::sync::mpsc::sync_channel(1);
        let alarm = move || {
            // One notification is enough.
            let _ = wake.try_send(());
        };
        let queue = RecordQueue::new(CAPACITY);
        queue.on_batch(BATCH, alarm);
        let (taken, over) = (queue.clone(), is_over.clone());
        thread::spawn(move || {
            let mut batch = Vec::with_capacity(BATCH);
            while !over.load(Ordering::Relaxed) {
                if taken.pop_into(&mut batch, BATCH) == 0 {
                    let _ = woken.recv_timeout(Duration::from_millis(100));
                }
                // As the push loop does.
                let bytes = WRITTEN * batch.len();
                taken.recycle(batch.drain(..), bytes);
            }
        });
        Self { queue, is_over }
    }

    pub(crate) fn queue(&self) -> RecordQueue<T> {
        self.queue.clone()
    }

    /// Fails unless the queue accepted this number of records, and refused none.
    pub(crate) fn expect(&self, records: u64) -> Result<(), String> {
        let counts = self.queue.counts();
        expect("records refused", 0.0, counts.refused_full as f64)?;
        expect(
            "records in the queue",
            records as f64,
            counts.accepted as f64,
        )
    }
}

impl<T> Drop for RecordSink<T> {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
    }
}

/// The capacity of the queue of each library: enough that no record is dropped.
pub(crate) const CAPACITY: usize = 1 << 18;
/// The number of records in an export.
pub(crate) const BATCH: usize = 512;
/// The encoded size of one of these records in bytes.
const WRITTEN: usize = 150;
