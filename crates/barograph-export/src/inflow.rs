//! The queues in which records wait until they are exported.

use std::vec::Drain;

/// The counts of a record queue, and the way to close it.
///
/// The consumer knows how many records it has taken out. So at every moment the number of waiting
/// records is `accepted` minus that number; the ledger counts them as queued.
pub trait Backlog: Send + Sync {
    /// Returns the number of records that the queue has accepted so far. A record is counted before it
    /// can be taken out. Neither this count nor `refused` ever decreases.
    fn accepted(&self) -> u64;

    /// Returns the number of records that the queue has refused so far, because it was full or closed.
    fn refused(&self) -> u64;

    /// Returns the number of records that the queue can hold.
    fn capacity(&self) -> u64;

    /// Refuses all further records and discards those in the queue. The counts are kept.
    fn close(&self);
}

/// A queue from which records are taken for export, each of them once.
///
/// The producer notifies the pipeline through its [`Wake`](crate::Wake) when a batch is waiting.
/// There is one consumer: two pipelines need two queues.
pub trait Inflow<T>: Backlog {
    /// Takes up to `at_most` of the oldest records, in the order in which they arrived, and appends
    /// them to `into`. Does not wait: a record that was accepted but is not stored yet may be missing.
    fn take(&self, at_most: usize, into: &mut Vec<Box<T>>);

    /// Takes back records that were encoded or left out, so that their memory can be reused; `bytes`
    /// is their encoded size. The default implementation drops them.
    fn give_back(&self, records: Drain<'_, Box<T>>, bytes: usize) {
        let _ = (records, bytes);
    }
}
