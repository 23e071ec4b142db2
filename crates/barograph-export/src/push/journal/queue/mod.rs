//! The queue itself: what it is asked from outside. How it makes room, and how it reads, is next door.

use std::collections::VecDeque;
use std::fmt;
use std::fs::File;
use std::io;
use std::path::{self, Path, PathBuf};
use std::time::Instant;

use super::config::JournalConfig;
use super::error::{AppendError, JournalError};
use super::files::{self, Name};
use super::lost::Lost;
use super::record::MAX_BODY;
use super::segment::{Pending, Reader, Segment, Writer, record_length};
use super::state::{self, State, StateFile};
use crate::otlp::Request;
use crate::push::ledger::Totals;

mod start;
mod disk;
mod room;
mod front;
mod integrity;
#[cfg(test)]
mod tests;

pub use integrity::Integrity;

/// A queue of requests on disk. See the [module](super) for what it promises.
///
/// Its calls wait for the disk.
///
/// ```
/// # use barograph_export::otlp::{Encoding, Request, Signal};
/// use barograph_export::push::journal::{Journal, JournalConfig};
///
/// # let directory = tempfile::tempdir()?;
/// # let directory = directory.path().join("journal");
/// # let request = Request {
/// #     signal: Signal::Metrics,
/// #     encoding: Encoding::Protobuf,
/// #     body: vec![1, 2, 3].into(),
/// #     items: 1,
/// # };
/// let mut journal = Journal::open(&directory, JournalConfig::new())?;
/// journal.append(&request)?;
/// drop(journal); // Or the process was killed.
///
/// let mut journal = Journal::open(&directory, JournalConfig::new())?;
/// assert_eq!(journal.oldest()?, Some(request));
/// journal.remove_oldest();
/// assert_eq!(journal.oldest()?, None);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Journal {
    directory: PathBuf,
    config: JournalConfig,
    /// Oldest first.
    segments: VecDeque<Segment>,
    /// Of the first segment, once it was read.
    reader: Option<Reader>,
    /// Of the last segment, as long as it may grow.
    writer: Option<Writer>,
    next_number: u64,
    pending: Pending,
    /// The request that `oldest` gave last.
    lent: Option<Lent>,
    state: State,
    state_file: StateFile,
    /// Whether `state` is not yet in the file.
    is_dirty: bool,
    /// Segments to be removed when the state says that they are not needed.
    spent: Vec<(Name, u64)>,
    /// Bytes of all files. Wider than any length of a file, so that no sum of lengths overflows that a
    /// disk may claim.
    taken: u128,
    /// Those of them that cannot be had back: of the state, and of newer versions.
    fixed: u128,
    lost: Lost,
    /// Items in requests that lay in a directory that was put in the place of this one's.
    found: u64,
    last_sync: Instant,
    has_new_names: bool,
    /// Held as long as the persistent queue.
    lock: File,
}

/// A request that somebody was given and may be sending.
struct Lent {
    segment: Name,
    pending: Pending,
    /// Why its segment is no longer there. Until it is known whether it was delivered, it is pending
    /// all the same.
    gone: Option<Gone>,
}

/// Why a segment is no longer there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Gone {
    /// It gave way to newer requests.
    Overflow,
    /// Somebody else removed it.
    Unreadable,
}

impl Journal {
    /// Opens the persistent queue in a directory of its own, which is made if it is not there. Reads all
    /// segments once.
    ///
    /// # Errors
    /// [`JournalError`], when another process has it, or when the directory or a segment in it cannot
    /// be used now. Nothing is lost then: it may be tried again.
    pub fn open(directory: impl AsRef<Path>, config: JournalConfig) -> Result<Self, JournalError> {
        // A service may change its working directory later.
        let directory =
            &path::absolute(&directory).map_err(JournalError::io(directory.as_ref()))?;
        files::make_private(directory).map_err(JournalError::io(directory))?;
        let lock = files::lock(directory)?;
        let (state_file, state) = StateFile::open_in(directory)?;
        let names = files::segments(directory).map_err(JournalError::io(directory))?;
        let mut journal = Journal {
            directory: directory.to_owned(),
            config,
            segments: VecDeque::new(),
            reader: None,
            writer: None,
            // Never that of the place, which may lie deep in a segment that is gone: what began there
            // anew would count as delivered.
            next_number: state.position.segment.saturating_add(1),
            pending: Pending::default(),
            lent: None,
            state,
            state_file,
            is_dirty: false,
            spent: Vec::new(),
            taken: state::BYTES.into(),
            fixed: state::BYTES.into(),
            lost: Lost::default(),
            found: 0,
            last_sync: Instant::now(),
            has_new_names: false,
            lock,
        };
        let mut sound = None;
        for name in names {
            sound = journal.take_up(name)?;
        }
        if let Some(sound) = sound {
            journal.resume(sound);
        }
        // Nothing waits in them, by the state that is on the disk.
        journal.remove_spent();
        Ok(journal)
    }

    /// Keeps a request behind the others.
    ///
    /// # Errors
    /// [`AppendError`], when there is no room for it, or the disk failed. Nothing of the request is
    /// in the queue then. Where files of the queue were removed or replaced they are made again first, as
    /// by [`check`](Self::check).
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

    /// The request that waits longest; the same again until it is removed. What is found to be damaged
    /// is passed over, and counted in [`lost`](Self::lost).
    ///
    /// # Errors
    /// [`JournalError`], when the system refuses to open or to read the file. That is no damage: the
    /// request stays where it is and is read by a later call, when the cause has gone.
    pub fn oldest(&mut self) -> Result<Option<Request>, JournalError> {
        if let Some(lent) = self.lent.take_if(|lent| lent.gone.is_some()) {
            let Pending { records, items, .. } = lent.pending;
            let lost = match lent.gone {
                Some(Gone::Unreadable) => &mut self.lost.unreadable,
                _ => &mut self.lost.overflow,
            };
            lost.add(records, items);
            self.pending.subtract(lent.pending);
        }
        loop {
            let Some(entry) = self.first()? else {
                return Ok(None);
            };
            if let Some(request) = self.lend(entry)? {
                return Ok(Some(request));
            }
            self.lost.corrupt.add(1, entry.items);
            self.advance(entry);
        }
    }

    /// Forgets the request that [`oldest`](Self::oldest) gave last, or would give. That is known to
    /// the next process once [`set_totals`](Self::set_totals) or [`sync`](Self::sync) was called. Where
    /// `oldest` would fail, nothing is forgotten.
    pub fn remove_oldest(&mut self) {
        match self.lent.take() {
            Some(lent) if lent.gone.is_some() => self.pending.subtract(lent.pending),
            _ => {
                if let Ok(Some(entry)) = self.first() {
                    self.advance(entry);
                }
            }
        }
    }

    /// Keeps the sums of the ledger beside the reader's place, and makes both known to the next
    /// process.
    ///
    /// # Errors
    /// When they could not be written; they are written with the next ones.
    pub fn set_totals(&mut self, totals: &Totals) -> io::Result<()> {
        self.state.totals = *totals;
        self.is_dirty = true;
        self.persist()?;
        self.sync_when_due()
    }

    /// Makes sure that all there is survives a power cut. Files that were removed or replaced are made
    /// again first, as by [`check`](Self::check).
    ///
    /// # Errors
    /// When the disk failed. What it holds then is not known.
    pub fn sync(&mut self) -> Result<(), JournalError> {
        self.check()?;
        self.sync_files().map_err(JournalError::io(&self.directory))
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

    /// The sums that were kept last, in this process or one before; zeros where none were.
    pub fn totals(&self) -> Totals {
        self.state.totals
    }

    /// Where its files are.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// How it was opened.
    pub fn config(&self) -> &JournalConfig {
        &self.config
    }

    /// Data points, spans or log records in all requests that wait.
    pub fn pending_items(&self) -> u64 {
        self.pending.items
    }

    /// Requests that wait.
    pub fn pending_requests(&self) -> u64 {
        self.pending.records
    }

    /// Bytes that they take on disk.
    pub fn pending_bytes(&self) -> u64 {
        self.pending.bytes
    }

    /// Bytes that all files take on disk.
    pub fn taken_bytes(&self) -> u64 {
        u64::try_from(self.taken).unwrap_or(u64::MAX)
    }

    /// Items in requests that were not appended here: they lay in a directory that was put in the place
    /// of this one's.
    pub fn found_items(&self) -> u64 {
        self.found
    }

    /// What could not be given back since the persistent queue was opened.
    pub fn lost(&self) -> Lost {
        self.lost
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        // Without it, what was delivered last would be delivered again.
        let _ = self.persist();
    }
}

impl fmt::Debug for Journal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Journal")
            .field("directory", &self.directory)
            .field("pending", &self.pending)
            .field("lost", &self.lost)
            .finish_non_exhaustive()
    }
}
