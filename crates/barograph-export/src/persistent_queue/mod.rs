//! A persistent queue: requests that could not be delivered are kept on disk and survive the process.
//!
//! # What is stored, and what can be lost
//!
//! A request that [`append`](PersistentQueue::append) accepted is in a file when it returns: it is
//! written with one call, so that kill -9 loses only what was not yet written. A power cut loses what
//! was written after the last sync, which [`SyncPolicy`] chooses. Requests come back in the order in
//! which they were appended, in this process or the next. Every record has checksums; a damaged one is
//! skipped and counted in [`Lost`], and those behind it are still read. When the disk is full an append
//! fails and leaves nothing behind.
//!
//! The read position and the totals of the ledger are written together, by
//! [`set_totals`](PersistentQueue::set_totals), by [`sync`](PersistentQueue::sync) and when the
//! persistent queue is dropped; not by [`remove_oldest`](PersistentQueue::remove_oldest) alone. So
//! whenever the process is killed, the totals agree with what is read again. They are written after
//! each request that goes to the disk or leaves it, and at the end of each export cycle. After a kill
//! the next process continues from there: what was only in memory is lost and in none of the totals,
//! and neither is what was exported since the last write. So `barograph.export.produced` may begin lower
//! than it was seen last.
//!
//! # What a system error means
//!
//! It says nothing about what is on the disk. If a file cannot be opened or read at present, because
//! no file descriptor is left, the permissions are missing or the disk fails, the next call tries
//! again. The contents of the file are neither lost nor counted as damaged, and no request behind it
//! is returned first. A file counts as [`unreadable`](Lost::unreadable) only if it was removed while
//! the directory still exists, or if something that is not a regular file is in its place.
//!
//! # Files that are removed while they are in use
//!
//! A file that was removed can still be written as long as it is open, and nothing ever reads it. So
//! the lock, the state file and the segment that is being written are compared with what is at their
//! paths before each request, and all segments with each [`sync`](PersistentQueue::sync):
//!
//! * If the directory or the lock in it was removed or moved, it is created and locked again by the
//!   rules of [`open`](PersistentQueue::open). Requests that are no longer there count as
//!   [`unreadable`](Lost::unreadable). The directory of another queue that was put in its place is
//!   taken over.
//! * If another process has taken the lock in the meantime, nothing is read, written or removed until
//!   that process ends. So two processes share a directory from the moment in which the lock is
//!   removed until the first of them checks again at the latest; a request that both read in this time
//!   is delivered twice.
//! * If the state file was removed, it is written again; if the segment was removed, the next request
//!   begins another one.
//!
//! A directory should be moved while no process uses it: what is written between the move and the next
//! check is in the files that were moved away.
//!
//! # A replay can repeat points
//!
//! What was delivered after the last of those writes is delivered a second time by the next process,
//! and so is a request that the receiver accepted without its response arriving. Receivers treat points
//! that come twice, or late, in different ways:
//!
//! * **Prometheus** (seen with 3.15) accepts a sample again that has the time and the value of the
//!   newest one of its series, and nothing changes. An older one is refused unless
//!   `storage.tsdb.out_of_order_time_window` covers it; inside that window one that comes twice is
//!   accepted, and the first stays. When it refuses one sample it refuses the whole request, with 400,
//!   which is never repeated: all its points are then dropped as rejected. So without that window, as
//!   long as the longest outage that is to be filled, a persistent queue brings Prometheus nothing
//!   that it can use once newer points of the same series have arrived.
//! * **The Collector** passes points on with the times that they have; what is behind it decides. Its
//!   own `prometheus` exporter keeps the newest value of each series and leaves out older ones.
//! * **Delta points** that come twice are added twice by a consumer that sums without looking at their
//!   start times. Cumulative ones only repeat the same value.
//!
//! # Files
//!
//! There is one directory for each persistent queue, mode 0700, with files of mode 0600: `lock`,
//! `state` and segments. They are regular files: no symbolic link in the directory is followed, and
//! nothing waits for the other end of a FIFO. The directory itself may be a link, which is a way to
//! move it to another disk. The lock is the system's and is released with the process. Segments are
//! removed when everything in them is delivered; other files are left alone, and so are segments that
//! a newer version wrote, which are counted and take up space. On a network file system locks and
//! syncs are as good as that system makes them.
//!
//! Why not a database? What is needed is a queue of blobs that are written once and read once, in
//! order. What a key-value store adds, such as indexes, compaction and threads, costs writes and is
//! more that a full disk or a flipped bit can stop.

mod config;
mod error;
mod lost;
mod record;
mod files;
mod state;
mod segment;
mod queue;
#[cfg(feature = "inspect")]
pub mod inspect;

pub use config::{PersistentQueueConfig, SyncPolicy, WhenFull};
pub(super) use error::io_error_type;
pub use error::{AppendError, PersistentQueueError};
#[cfg(test)]
pub(super) use files::{Operation as FileOperation, faults::Fault};
pub use lost::{Count, Lost};
pub use queue::{Integrity, PersistentQueue};
pub use record::{Damage, Found, NewerVersion, Record, scan};
