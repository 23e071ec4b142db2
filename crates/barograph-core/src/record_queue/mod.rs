//! The queues between the code that makes spans and log records and the pipelines that export them.
//!
//! A [`RecordQueue`] is what both sides share. The layers that make records push them. A pipeline is
//! notified when a batch is waiting, pops the records, and returns them for reuse when they are
//! encoded. Its ledger reads the counts through a [`QueueHandle`]. If a signal has several exporters,
//! the layers push into a [`Fanout`] of one queue for each.

mod fanout;

use std::fmt;
use std::sync::{Arc, OnceLock};

pub use self::fanout::{Fanout, Room};
use crate::queue::Queue;
pub use crate::queue::{Counts, Refused};

/// A bounded queue of records, for any number of producers and one pipeline. Clones share the queue.
///
/// A push never blocks and never allocates: a record that finds no room is refused, counted and given
/// back.
///
/// ```
/// use barograph_core::record_queue::{RecordQueue, Refused};
/// let queue = RecordQueue::new(2);
/// assert!(queue.push(Box::new("a")).is_ok() && queue.push(Box::new("b")).is_ok());
/// assert_eq!(queue.push(Box::new("c")), Err(Refused::Full(Box::new("c"))));
/// assert_eq!(queue.pop().as_deref(), Some(&"a"));
/// assert_eq!((queue.counts().accepted, queue.counts().refused()), (2, 1));
/// ```
pub struct RecordQueue<T> {
    shared: Arc<Shared<T>>,
}

struct Shared<T> {
    queue: Queue<Box<T>>,
    /// Exported records, for reuse. It exists once a producer has asked for some.
    recycled: OnceLock<Queue<Vec<Box<T>>>>,
}

impl<T> RecordQueue<T> {
    /// Creates a queue for `capacity` records, at least one.
    pub fn new(capacity: usize) -> Self {
        RecordQueue {
            shared: Arc::new(Shared {
                queue: Queue::new(capacity),
                recycled: OnceLock::new(),
            }),
        }
    }

    /// Adds a record at the end.
    ///
    /// # Errors
    /// [`Refused`] if there is no room, or the queue is closed; both are counted.
    #[inline]
    pub fn push(&self, record: Box<T>) -> Result<(), Refused<Box<T>>> {
        self.shared.queue.push(record)
    }

    /// Takes the oldest record. Returns `None` if there is none, or its push is still in progress.
    #[inline]
    pub fn pop(&self) -> Option<Box<T>> {
        self.shared.queue.pop()
    }

    /// Moves the oldest records, at most `at_most`, to the end of `records`, and returns their number.
    pub fn pop_into(&self, records: &mut Vec<Box<T>>, at_most: usize) -> usize {
        self.shared.queue.pop_into(records, at_most)
    }

    /// Returns the number of records accepted and not taken, including those whose push is still in
    /// progress.
    #[inline]
    pub fn len(&self) -> usize {
        self.shared.queue.len()
    }

    /// Returns true if every accepted record was taken.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.shared.queue.is_empty()
    }

    /// Returns true if a record pushed now would find no room.
    pub fn is_full(&self) -> bool {
        self.len() >= self.capacity()
    }

    /// Returns the number of records that the queue can hold.
    pub fn capacity(&self) -> usize {
        self.shared.queue.capacity()
    }

    /// Returns the counts of all pushed records.
    ///
    /// A record is counted as accepted before it can be taken. No count ever decreases.
    pub fn counts(&self) -> Counts {
        self.shared.queue.counts()
    }

    /// Refuses all further records and drops those in the queue. The counts are kept.
    pub fn close(&self) {
        self.shared.queue.close();
        while self.pop().is_some() {}
    }

    /// Calls `notify` when `batch` records are waiting: at once if they already are, and then whenever
    /// the length reaches `batch` after it was less. No crossing is missed. Only the first call has an
    /// effect.
    ///
    /// `notify` is called by the thread that pushes, so it must not block. After each call the consumer
    /// has to pop until less than a batch is waiting or a pop returns `None`; while it does not, there
    /// is no further call. A call may be late: the consumer has to pop even if less than a batch is
    /// waiting by then.
    pub fn on_batch(&self, batch: usize, notify: impl Fn() + Send + Sync + 'static) {
        self.shared.queue.set_alarm(batch, notify);
    }

    /// Returns exported records, unchanged, so that new ones can reuse their memory. `bytes` is their
    /// total encoded size: the memory of large records is freed instead. So is that of all records if
    /// no producer has asked for some, or if there are already enough.
    pub fn recycle(&self, mut records: impl ExactSizeIterator<Item = Box<T>>, bytes: usize) {
        // The records are not read here, because memory that one processor reads makes another one,
        // which writes it, wait.
        if bytes > LARGE * records.len() {
            return;
        }
        let Some(recycled) = self.shared.recycled.get() else {
            return;
        };
        while records.len() > 0 {
            let mut chunk = Vec::with_capacity(CHUNK + SLACK);
            chunk.extend(records.by_ref().take(CHUNK));
            let _ = recycled.push(chunk);
        }
    }

    /// Takes some exported records, whose memory a producer can reuse: a thread takes many at once, so
    /// that the two sides seldom meet.
    ///
    /// The vector has room for a few more, so that the thread can add those that it still has.
    #[inline]
    pub fn take_recycled(&self) -> Option<Vec<Box<T>>> {
        let recycled = &self.shared.recycled;
        recycled
            .get_or_init(|| Queue::new(MOST_RECYCLED / CHUNK))
            .pop()
    }
}

impl<T: Send + 'static> RecordQueue<T> {
    /// Returns a handle that does not depend on the type of the records.
    pub fn handle(&self) -> QueueHandle {
        QueueHandle {
            queue: Arc::new(self.clone()),
        }
    }
}

impl<T> Clone for RecordQueue<T> {
    fn clone(&self) -> Self {
        RecordQueue {
            shared: Arc::clone(&self.shared),
        }
    }
}

impl<T> fmt::Debug for RecordQueue<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecordQueue")
            .field("capacity", &self.capacity())
            .field("counts", &self.counts())
            .finish_non_exhaustive()
    }
}

/// A handle to a record queue of any type: its counts, its notification, and the way to close it.
#[derive(Clone)]
pub struct QueueHandle {
    queue: Arc<dyn AnyQueue>,
}

impl QueueHandle {
    /// Returns the counts of all pushed records; see [`RecordQueue::counts`].
    pub fn counts(&self) -> Counts {
        self.queue.counts()
    }

    /// Returns the number of records that the queue can hold.
    pub fn capacity(&self) -> usize {
        self.queue.capacity()
    }

    /// Refuses all further records and drops those in the queue; see [`RecordQueue::close`].
    pub fn close(&self) {
        self.queue.close();
    }

    /// Calls `notify` when `batch` records are waiting; see [`RecordQueue::on_batch`].
    pub fn on_batch(&self, batch: usize, notify: impl Fn() + Send + Sync + 'static) {
        self.queue.on_batch(batch, Box::new(notify));
    }
}

impl fmt::Debug for QueueHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QueueHandle")
            .field("capacity", &self.capacity())
            .field("counts", &self.counts())
            .finish_non_exhaustive()
    }
}

/// A record queue of any type, behind a [`QueueHandle`].
trait AnyQueue: Send + Sync {
    fn counts(&self) -> Counts;
    fn capacity(&self) -> usize;
    fn close(&self);
    fn on_batch(&self, batch: usize, notify: Box<dyn Fn() + Send + Sync>);
}

impl<T: Send> AnyQueue for RecordQueue<T> {
    fn counts(&self) -> Counts {
        self.counts()
    }

    fn capacity(&self) -> usize {
        self.capacity()
    }

    fn close(&self) {
        self.close();
    }

    fn on_batch(&self, batch: usize, notify: Box<dyn Fn() + Send + Sync>) {
        self.on_batch(batch, notify);
    }
}

/// The maximum number of recycled records: two batches of an exporter, typically 0.7 MB of spans.
const MOST_RECYCLED: usize = 1024;
/// The maximum number of recycled records that a producer takes at once.
const CHUNK: usize = 32;
/// The room in a chunk for records that the producer still has.
const SLACK: usize = 4;
/// The encoded size, in bytes, above which the memory of a record is not reused. Most records are
/// smaller, and [`MOST_RECYCLED`] records of this size are still a small amount of memory.
const LARGE: usize = 1024;

#[cfg(all(test, not(loom)))]
mod tests;
