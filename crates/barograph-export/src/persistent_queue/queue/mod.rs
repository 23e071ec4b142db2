//! The queue itself, and its public methods. Making room and reading are in submodules.

use std::collections::VecDeque;
use std::fmt;
use std::fs::File;
use std::io;
use std::path::{self, Path, PathBuf};
use std::time::Instant;

use super::config::PersistentQueueConfig;
use super::error::{AppendError, PersistentQueueError};
use super::files::{self, Name};
use super::lost::Lost;
use super::record::MAX_BODY;
use super::segment::{Pending, Reader, Segment, Writer, record_length};
use super::state::{self, State, StateFile};
use crate::ledger::Totals;
use barograph_encode::otlp::Request;

mod recovery;
mod persist;
mod append;
mod read;
mod integrity;
#[cfg(test)]
mod tests;

pub use integrity::Integrity;

/// A queue of requests on disk. See the [module](super) for its guarantees.
///
/// Its methods block on disk I/O.
///
/// ```
/// # use barograph_encode::otlp::{Encoding, Request, Signal};
/// use barograph_export::persistent_queue::{PersistentQueue, PersistentQueueConfig};
///
/// # let directory = tempfile::tempdir()?;
/// # let directory = directory.path().join("queue");
/// # let request = Request {
/// #     signal: Signal::Metrics,
/// #     encoding: Encoding::Protobuf,
/// #     body: vec![1, 2, 3].into(),
/// #     items: 1,
/// # };
/// let mut queue = PersistentQueue::open(&directory, PersistentQueueConfig::new())?;
/// queue.append(&request)?;
/// drop(queue); // Or the process was killed.
///
/// let mut queue = PersistentQueue::open(&directory, PersistentQueueConfig::new())?;
/// assert_eq!(queue.oldest()?, Some(request));
/// queue.remove_oldest();
/// assert_eq!(queue.oldest()?, None);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct PersistentQueue {
    directory: PathBuf,
    config: PersistentQueueConfig,
    /// The segments, the oldest first.
    segments: VecDeque<Segment>,
    /// Reads the first segment, once it was opened.
    reader: Option<Reader>,
    /// Writes the last segment, as long as it may grow.
    writer: Option<Writer>,
    next_number: u64,
    pending: Pending,
    /// The request that `oldest` returned last.
    peeked: Option<Peeked>,
    state: State,
    state_file: StateFile,
    /// True if `state` is not yet in the file.
    is_dirty: bool,
    /// Segments that are removed once the state is written without them.
    removable: Vec<(Name, u64)>,
    /// The number of bytes of all files. It is wider than the length of a file, so that the sum cannot
    /// overflow, whatever lengths a disk reports.
    taken: u128,
    /// The part of `taken` that cannot be freed: the state, and the segments of newer versions.
    fixed: u128,
    lost: Lost,
    /// The number of items in requests from a directory that was put in the place of this one.
    found: u64,
    last_sync: Instant,
    has_new_names: bool,
    /// Held as long as the persistent queue exists.
    lock: File,
}

/// A request that was returned to the caller, who may be sending it.
struct Peeked {
    segment: Name,
    pending: Pending,
    /// The reason why its segment is no longer there. The request stays pending until it is known
    /// whether it was delivered.
    loss: Option<Loss>,
}

/// The reason why a segment is no longer there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Loss {
    /// It was dropped to make room for newer requests.
    Overflow,
    /// It was removed from outside.
    Unreadable,
}

impl PersistentQueue {
    /// Opens the persistent queue in its own directory, which is created if it does not exist. Reads
    /// all segments once.
    ///
    /// # Errors
    /// [`PersistentQueueError`] if another process holds the lock, or if the directory or a segment in
    /// it cannot be used at present. Nothing is lost then, and the call can be repeated.
    pub fn open(
        directory: impl AsRef<Path>,
        config: PersistentQueueConfig,
    ) -> Result<Self, PersistentQueueError> {
        // The service may change its working directory later.
        let directory =
            &path::absolute(&directory).map_err(PersistentQueueError::io(directory.as_ref()))?;
        files::make_private(directory).map_err(PersistentQueueError::io(directory))?;
        let lock = files::lock(directory)?;
        let (state_file, state) = StateFile::open_in(directory)?;
        let names = files::segments(directory).map_err(PersistentQueueError::io(directory))?;
        let mut queue = PersistentQueue {
            directory: directory.to_owned(),
            config,
            segments: VecDeque::new(),
            reader: None,
            writer: None,
            // Never the number in the position, which may be deep in a segment that was removed:
            // records in a new segment with that number would count as delivered.
            next_number: state.position.segment.saturating_add(1),
            pending: Pending::default(),
            peeked: None,
            state,
            state_file,
            is_dirty: false,
            removable: Vec::new(),
            taken: state::BYTES.into(),
            fixed: state::BYTES.into(),
            lost: Lost::default(),
            found: 0,
            last_sync: Instant::now(),
            has_new_names: false,
            lock,
        };
        let mut valid = None;
        for name in names {
            valid = queue.recover_segment(name)?;
        }
        if let Some(valid) = valid {
            queue.resume(valid);
        }
        // According to the state on the disk, nothing waits in them.
        queue.remove_segments();
        Ok(queue)
    }

    /// Appends a request.
    ///
    /// # Errors
    /// [`AppendError`] if there is no room for it, or if the disk failed. No part of the request is in
    /// the queue then. Files of the queue that were removed or replaced are recreated first, as by
    /// [`check`](Self::check).
    pub fn append(&mut self, request: &Request) -> Result<(), AppendError> {
        if request.body.len() > MAX_BODY {
            return Err(AppendError::TooLarge {
                bytes: request.body.len(),
                max: MAX_BODY,
            });
        }
        self.check_written_files()
            .map_err(|source| AppendError::Unusable { source })?;
        self.make_room(record_length(request))?;
        let entry = self
            .write(request)
            .map_err(|source| AppendError::Io { source })?;
        self.note(entry);
        Ok(())
    }

    /// Returns the request that waits longest; the same one again until it is removed. Damaged records
    /// are skipped, and counted in [`lost`](Self::lost).
    ///
    /// # Errors
    /// [`PersistentQueueError`] if the system does not open or read the file. That is not damage: the
    /// request stays where it is and is read by a later call, once the cause is removed.
    pub fn oldest(&mut self) -> Result<Option<Request>, PersistentQueueError> {
        if let Some(peeked) = self.peeked.take_if(|peeked| peeked.loss.is_some()) {
            let Pending { records, items, .. } = peeked.pending;
            let lost = match peeked.loss {
                Some(Loss::Unreadable) => &mut self.lost.unreadable,
                _ => &mut self.lost.overflow,
            };
            lost.add(records, items);
            self.pending.subtract(peeked.pending);
        }
        loop {
            let Some(entry) = self.first()? else {
                return Ok(None);
            };
            if let Some(request) = self.peek(entry)? {
                return Ok(Some(request));
            }
            self.lost.corrupt.add(1, entry.items);
            self.advance(entry);
        }
    }

    /// Removes the request that [`oldest`](Self::oldest) returned last, or would return. The next
    /// process knows this once [`set_totals`](Self::set_totals) or [`sync`](Self::sync) was called, or
    /// the queue was dropped. If `oldest` would fail, nothing is removed.
    pub fn remove_oldest(&mut self) {
        match self.peeked.take() {
            Some(peeked) if peeked.loss.is_some() => self.pending.subtract(peeked.pending),
            _ => {
                if let Ok(Some(entry)) = self.first() {
                    self.advance(entry);
                }
            }
        }
    }

    /// Stores the totals of the ledger along with the read position, so that the next process knows
    /// both.
    ///
    /// # Errors
    /// Fails if they cannot be written; they are written with the next ones.
    pub fn set_totals(&mut self, totals: &Totals) -> io::Result<()> {
        self.state.totals = *totals;
        self.is_dirty = true;
        self.persist()?;
        self.sync_when_due()
    }

    /// Ensures that everything in the queue survives a power cut. Files that were removed or replaced
    /// are recreated first, as by [`check`](Self::check).
    ///
    /// # Errors
    /// [`PersistentQueueError`] if [`check`](Self::check) or the disk failed. After a failure of the
    /// disk its contents are unknown.
    pub fn sync(&mut self) -> Result<(), PersistentQueueError> {
        self.check()?;
        self.sync_files()
            .map_err(PersistentQueueError::io(&self.directory))
    }

    fn sync_files(&mut self) -> io::Result<()> {
        self.last_sync = Instant::now();
        if let Some(writer) = &mut self.writer {
            writer.sync()?;
        }
        if self.has_new_names {
            files::sync_directory(&self.directory)?;
            self.has_new_names = false;
        }
        self.persist()?;
        self.state_file.sync()
    }

    /// Returns the totals that were stored last, by this process or an earlier one; zeros if there are
    /// none.
    pub fn totals(&self) -> Totals {
        self.state.totals
    }

    /// Returns the directory of its files.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Returns the configuration that it was opened with.
    pub fn config(&self) -> &PersistentQueueConfig {
        &self.config
    }

    /// Returns the number of data points, spans or log records in all waiting requests.
    pub fn pending_items(&self) -> u64 {
        self.pending.items
    }

    /// Returns the number of waiting requests.
    pub fn pending_requests(&self) -> u64 {
        self.pending.records
    }

    /// Returns the number of bytes that they take on disk.
    pub fn buffered_bytes(&self) -> u64 {
        self.pending.bytes
    }

    /// Returns the number of bytes that all files take on disk.
    pub fn taken_bytes(&self) -> u64 {
        u64::try_from(self.taken).unwrap_or(u64::MAX)
    }

    /// Returns the number of items in requests that were not appended here: they came from a directory
    /// that was put in the place of this one.
    pub fn found_items(&self) -> u64 {
        self.found
    }

    /// Returns the counts of what was lost since the persistent queue was opened.
    pub fn lost(&self) -> Lost {
        self.lost
    }
}

impl Drop for PersistentQueue {
    fn drop(&mut self) {
        // Without this, the last deliveries would be repeated by the next process.
        let _ = self.persist();
    }
}

impl fmt::Debug for PersistentQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PersistentQueue")
            .field("directory", &self.directory)
            .field("pending", &self.pending)
            .field("lost", &self.lost)
            .finish_non_exhaustive()
    }
}
