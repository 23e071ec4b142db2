//! The exported records whose memory a thread reuses for new ones.
//!
//! A record is written by one thread and read by another, mostly on two different processors.
//! Memory that one thread allocates and another frees costs both several times as much as memory
//! that stays on one thread; and a write to memory that another processor has read waits for that
//! processor. Together that was more than half of the cost of a sampled span. So the exporter
//! returns records to the queue unchanged, several at a time
//! ([`RecordQueue::recycle`](barograph_core::record_queue::RecordQueue::recycle)). A thread that
//! makes records also takes several at a time; it takes the records apart on the processor that will
//! use them, reuses most of their memory, and prefetches the memory of the next records before it
//! needs it.

use barograph_core::record_queue::Fanout;

/// The number of records that a thread keeps in reserve, so that it can prefetch their memory.
const AHEAD: usize = 4;

/// The exported records that a thread has taken.
pub(crate) struct Recycled<T> {
    records: Vec<Box<T>>,
}

impl<T> Recycled<T> {
    pub(crate) const fn new() -> Self {
        Recycled {
            records: Vec::new(),
        }
    }

    /// Takes an exported record, as it was exported.
    #[inline(always)]
    pub(crate) fn take(&mut self, queues: &Fanout<T>) -> Option<Box<T>> {
        if self.records.len() < AHEAD
            && let Some(mut more) = queues.take_recycled()
        {
            more.append(&mut self.records);
            self.records = more;
        }
        self.records.pop()
    }

    /// Returns the records that are taken after this one; the last one is the next.
    #[inline(always)]
    pub(crate) fn waiting(&self) -> &[Box<T>] {
        &self.records
    }
}
