//! The record queues between the application and the export loop.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::vec::Drain;

use barograph_core::queue::Queue;
use barograph_export::{Backlog, Inflow, Wake};
use barograph_model::log::LogRecord;
use barograph_model::span::SpanRecord;
use barograph_tracing::log::LogSink;
use barograph_tracing::trace::SpanSink;

/// A record queue that one pipeline reads.
pub(crate) struct Waiting<T> {
    queue: Arc<Queue<Box<T>>>,
    /// Receives the records that have been encoded.
    give_back: GiveBack<T>,
}

/// Receives records that have been encoded, with their total size in bytes in the request.
type GiveBack<T> = fn(Drain<'_, Box<T>>, usize);

impl<T: 'static> Waiting<T> {
    /// Creates an empty queue, which notifies `wake` when a batch is full.
    pub(crate) fn new(capacity: usize, batch: usize, wake: Wake) -> Self {
        let queue = Queue::new(capacity).with_alarm(batch, move || wake.ring());
        Waiting {
            queue: Arc::new(queue),
            give_back: |records, _| drop(records),
        }
    }

    /// Passes encoded records to a function that reuses their memory.
    pub(crate) fn with_give_back(self, give_back: GiveBack<T>) -> Self {
        Waiting { give_back, ..self }
    }
}

impl<T> Clone for Waiting<T> {
    fn clone(&self) -> Self {
        Waiting {
            queue: Arc::clone(&self.queue),
            give_back: self.give_back,
        }
    }
}

impl<T: Send> Backlog for Waiting<T> {
    fn accepted(&self) -> u64 {
        self.queue.counts().accepted
    }

    fn refused(&self) -> u64 {
        let counts = self.queue.counts();
        counts.refused_full.saturating_add(counts.refused_closed)
    }

    fn capacity(&self) -> u64 {
        self.queue.capacity() as u64
    }

    fn close(&self) {
        self.queue.close();
        while self.queue.pop().is_some() {}
    }
}

impl<T: Send> Inflow<T> for Waiting<T> {
    fn take(&self, at_most: usize, into: &mut Vec<Box<T>>) {
        self.queue.pop_into(into, at_most);
    }

    fn give_back(&self, records: Drain<'_, Box<T>>, bytes: usize) {
        (self.give_back)(records, bytes);
    }
}

/// The queues of all exporters of one signal.
pub(crate) struct Outlets<T> {
    queues: Vec<Waiting<T>>,
    notes: Notes,
}

/// Flags and counters of the outlets of one signal, shared with code that has no access to them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Notes {
    /// The number of log records dropped by the rate limit.
    suppressed: Arc<AtomicU64>,
    /// True once the outlets count as full only when all of their queues are.
    leaves_behind: Arc<AtomicBool>,
}

impl Notes {
    /// Returns the counter of log records dropped by the rate limit.
    pub(crate) fn suppressed(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.suppressed)
    }

    /// Stops waiting for a full queue while another one is not full.
    pub(crate) fn leave_behind(&self) {
        self.leaves_behind.store(true, Ordering::Relaxed);
    }

    /// Returns true after `leave_behind` was called.
    pub(crate) fn leaves_behind(&self) -> bool {
        self.leaves_behind.load(Ordering::Relaxed)
    }
}

impl<T: Clone> Outlets<T> {
    pub(crate) fn new(queues: Vec<Waiting<T>>, notes: Notes) -> Self {
        Outlets { queues, notes }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.queues.is_empty()
    }

    /// Puts a record into every queue. A full queue counts it as refused.
    fn put(&self, record: Box<T>) {
        let Some((last, others)) = self.queues.split_last() else {
            return;
        };
        for queue in others {
            let _ = queue.queue.push(record.clone());
        }
        let _ = last.queue.push(record);
    }
}

impl SpanSink for Outlets<SpanRecord> {
    fn offer(&self, span: Box<SpanRecord>) {
        self.put(span);
    }

    fn is_full(&self) -> bool {
        let mut queues = self.queues.iter();
        let is_full = |queue: &Waiting<_>| queue.queue.len() >= queue.queue.capacity();
        match self.notes.leaves_behind() {
            true => !queues.any(|queue| !is_full(queue)),
            false => queues.any(is_full),
        }
    }

    fn takes_spans(&self) -> bool {
        !self.queues.is_empty()
    }
}

impl LogSink for Outlets<LogRecord> {
    fn offer(&self, record: LogRecord) {
        self.put(Box::new(record));
    }

    fn suppress(&self) {
        self.notes.suppressed.fetch_add(1, Ordering::Relaxed);
    }
}
