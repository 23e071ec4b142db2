//! Where records wait until they are pushed.

use std::vec::Drain;

/// The counts of a queue of records, and its end.
///
/// What was taken out of it is known to whoever takes. So at every moment `accepted` less that is
/// what waits, which the ledger counts as queued.
pub trait Backlog: Send + Sync {
    /// Records that it has taken in so far. A record is counted before it can be taken out, and both
    /// counts never go back.
    fn accepted(&self) -> u64;

    /// Records that it has not taken in so far, because it was full or closed.
    fn refused(&self) -> u64;

    /// How many records it can hold.
    fn capacity(&self) -> u64;

    /// Refuses everything from now on, and forgets what is in it. Its counts stay.
    fn close(&self);
}

/// A queue from which records are taken to be pushed, each of them once.
///
/// Whoever puts records in rings the [`Wake`](crate::push::Wake) of the pipeline when a batch waits.
/// There is one that takes: two pipelines need two queues.
pub trait Inflow<T>: Backlog {
    /// Takes the oldest records out, in the order in which they came in, and puts them behind what is
    /// in `into`. Does not wait: what is accepted, and not in its place yet, may be missing.
    fn take(&self, at_most: usize, into: &mut Vec<Box<T>>);

    /// Takes records back that are written, for who uses their memory again; they are `bytes` long
    /// together in the request. Unless this is implemented, they are dropped.
    fn give_back(&self, records: Drain<'_, Box<T>>, bytes: usize) {
        let _ = (records, bytes);
    }
}
