//! Keeps on disk what could not be delivered: a queue of requests that survives the process.
//!
//! # What is kept, and what can be lost
//!
//! A request that [`append`](Journal::append) took is in a file when it returns: written with one
//! call, so that kill -9 loses only what was not yet written. A power cut loses what came after the
//! last sync, which [`SyncPolicy`] chooses. Requests come back in the order in which they were
//! appended, in this process or the next. Every record has checksums; one that is damaged is skipped
//! and counted in [`Lost`], and those behind it are read all the same. When the disk is full an append
//! fails and leaves nothing behind.
//!
//! The reader's place and the sums of the ledger are written together, by
//! [`set_totals`](Journal::set_totals), [`sync`](Journal::sync) and the persistent queue's end; not by
//! [`remove_oldest`](Journal::remove_oldest) alone. So whenever the process is killed, the sums agree
//! with what is read again. They are written after each request that goes to the disk or leaves it,
//! and at the end of each round. After a kill the next process goes on from there: what was in memory
//! only is lost and in no sum of it, and neither is what was exported since the last write. So
//! `barograph.push.produced` may begin lower than it was seen last.
//!
//! # What an error of the system means
//!
//! Nothing about what is on the disk. A file that cannot be opened or read now, because no descriptor is
//! left, the rights are missing or the disk errs, is tried again by the next call; what is in it is
//! neither lost nor counted as damaged, and no request behind it comes first. Only a file that is gone,
//! with the directory still there, or that has something in its place that is no regular file, counts as
//! [`unreadable`](Lost::unreadable).
//!
//! # Files that are removed while they are in use
//!
//! A file that was removed can be written as long as it is open, and nobody ever reads it. So the lock, the
//! sums and the segment that is written are compared with what stands at their paths before each
//! request, and all segments with each [`sync`](Journal::sync):
//!
//! * Where the directory was removed or moved, or the lock in it, it is made and locked again by the rules
//!   of [`open`](Journal::open). Requests that are no longer there count as
//!   [`unreadable`](Lost::unreadable). The directory of another queue that was put in its place is taken
//!   over.
//! * Where another process has taken the lock meanwhile, nothing is read, written or removed any more until
//!   that one ends. So two processes share a directory from the moment in which the lock is removed until
//!   the first of them looks again at the longest; a request that both read in this time is delivered twice.
//! * The sums are written anew, and the next request begins another segment, where these were removed.
//!
//! A directory should be moved while nobody uses it: what is written between the move and the next look is in
//! the files that were moved away.
//!
//! # A replay can repeat points
//!
//! What was delivered after the last of those writes is delivered a second time by the next process,
//! and so is a request that the receiver took without its answer coming through. What receivers do
//! with points that come twice, or late:
//!
//! * **Prometheus** (seen with 3.15) takes a sample again that has the time and the value of the
//!   newest one of its series, and nothing changes. One that is older is refused unless
//!   `storage.tsdb.out_of_order_time_window` covers it; inside of that window one that comes twice is
//!   taken, and the first stays. When it refuses one sample it refuses the whole request, with 400,
//!   which is never repeated: all its points are then dropped as rejected. So without that window, as
//!   long as the longest outage that is to be filled, a persistent queue brings Prometheus nothing that it can
//!   use once newer points of the same series have arrived.
//! * **The Collector** hands on what comes, with the times that it has; what is behind it decides. Its
//!   own `prometheus` exporter keeps the newest value of each series and leaves out older ones.
//! * **Delta points** that come twice are added twice by whoever sums without looking at their start
//!   times. Cumulative ones only say the same again.
//!
//! # Files
//!
//! One directory for each persistent queue, mode 0700, with files of mode 0600: `lock`, `state` and segments.
//! They are regular files: no symbolic link in the directory is followed, and nothing waits for the other
//! end of a FIFO. The directory itself may be a link, which is how one moves it to another disk.
//! The lock is the system's and goes with the process. Segments are removed when all in them is
//! delivered; other files are left alone, and so are segments that a newer version wrote, which are
//! counted and take their room. On a network file system locks and syncs are as good as that system makes them.
//!
//! Why not a database? What is asked for is a queue of blobs that are written once and read once, in
//! order. What a store of keys and values adds, such as indexes, compaction and threads, costs writes
//! and is more that a full disk or a flipped bit can stop.

mod config;
mod error;
mod lost;
mod record;
mod files;
mod state;
mod segment;
mod queue;

pub use config::{JournalConfig, SyncPolicy, WhenFull};
pub(super) use error::io_error_type;
pub use error::{AppendError, JournalError};
#[cfg(test)]
pub(super) use files::{Operation as FileOperation, faults::Fault};
pub use lost::{Count, Lost};
pub use queue::{Integrity, Journal};
pub use record::{Damage, Found, NewerVersion, Record, scan};
