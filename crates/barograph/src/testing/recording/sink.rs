//! The records of one signal, in a queue and then in a list without a limit.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use barograph_core::record_queue::RecordQueue;

/// All records that a layer pushed into a queue. The threads that push also move them to the list.
pub(super) struct Sink<T> {
    queue: RecordQueue<T>,
    taken: Mutex<Vec<Arc<T>>>,
}

impl<T> Sink<T> {
    pub(super) fn new() -> Self {
        Sink {
            queue: RecordQueue::new(CAPACITY),
            taken: Mutex::default(),
        }
    }

    pub(super) fn queue(&self) -> &RecordQueue<T> {
        &self.queue
    }

    /// Moves the records if many are in the queue. A thread calls this after each of its pushes. It waits
    /// while the queue is half full, so it never is full: a push that is in progress on another thread
    /// holds up the records behind it.
    pub(super) fn pushed(&self) {
        if self.queue.len() >= BATCH {
            drop(self.take());
        }
        while self.queue.len() >= CAPACITY / 2 {
            thread::yield_now();
            drop(self.take());
        }
    }

    /// Returns all records there ever were.
    pub(super) fn records(&self) -> Vec<Arc<T>> {
        self.take().clone()
    }

    /// Returns the number of records for which the queue had no room.
    pub(super) fn lost(&self) -> u64 {
        self.queue.counts().refused()
    }

    /// Moves the records from the queue to the list.
    fn take(&self) -> MutexGuard<'_, Vec<Arc<T>>> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some(record) = self.queue.pop() {
            taken.push(record.into());
        }
        taken
    }
}

/// The number of records at which they are moved, and those for which there is room.
const BATCH: usize = 64;
const CAPACITY: usize = 4_096;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_of_several_threads_are_all_there_concurrently() {
        let sink = Sink::new();
        thread::scope(|threads| {
            for _ in 0..4 {
                threads.spawn(|| {
                    for number in 0..10_000 {
                        assert!(sink.queue().push(Box::new(number)).is_ok());
                        sink.pushed();
                    }
                });
            }
        });
        let records = sink.records();
        assert_eq!((records.len(), sink.lost()), (40_000, 0));
        assert_eq!(records.iter().filter(|record| ***record == 7).count(), 4);
    }

    #[test]
    fn records_that_found_no_room_are_counted() {
        let sink = Sink::new();
        for number in 0..CAPACITY + 2 {
            let _ = sink.queue().push(Box::new(number));
        }
        assert_eq!((sink.records().len(), sink.lost()), (CAPACITY, 2));
    }
}
