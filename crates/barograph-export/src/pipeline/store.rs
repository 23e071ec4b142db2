//! The persistent queue of a pipeline, in which requests survive an outage and the end of the process.
//!
//! A pipeline never depends on it. If it cannot be opened, read or written at present, the pipeline
//! works without it: requests wait in memory as far as there is room, and the operation is retried.
//! Such an error says nothing about the contents of the disk, so nothing is dropped because of it.

use std::error::Error as _;
use std::io;
use std::path::PathBuf;

use crate::ledger::{QueueOperation, Totals};
use crate::persistent_queue::{
    AppendError, Integrity, PersistentQueue, PersistentQueueConfig, PersistentQueueError,
    io_error_type,
};
use crate::report::Event;
use barograph_encode::otlp::Request;

/// Stores requests during an outage.
pub(crate) trait Store: Send {
    /// Opens the store, if it is not open. Takes as long as it takes to read all its contents.
    fn open(&mut self) -> Result<(), StoreError>;
    /// Returns the reason why it is not open, or `None` if it is open. A store that is not open holds
    /// nothing.
    fn closed_by(&self) -> Option<&StoreError>;
    /// Detects files that were removed or replaced, and recreates them.
    fn check(&mut self, extent: Extent) -> Result<Integrity, StoreError>;
    /// Appends a request.
    fn append(&mut self, request: &Request) -> Appended;
    /// Returns the oldest request.
    fn oldest(&mut self) -> Result<Option<Request>, StoreError>;
    /// Removes the oldest request.
    fn remove_oldest(&mut self);
    /// Ensures that everything is on the disk.
    fn sync(&mut self) -> Result<(), StoreError>;
    /// Returns what it holds and has lost; nothing if it is not open.
    fn contents(&self) -> StoreContents;
    /// Returns the stored totals.
    fn totals(&self) -> Totals;
    /// Stores the totals along with the requests.
    fn set_totals(&mut self, totals: &Totals) -> Result<(), StoreError>;
}

/// The numbers of items that a store holds, and has lost and found since it was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct StoreContents {
    /// The items in all requests.
    pub(crate) pending: u64,
    /// The items in requests that were dropped to make room for newer ones.
    pub(crate) overflowed: u64,
    /// The items in requests that another process put there.
    pub(crate) found: u64,
    /// True if damage was found, then or since.
    pub(crate) is_damaged: bool,
}

/// The result of appending a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Appended {
    Stored,
    /// There is no room for it.
    Full,
    /// It could not be written at present.
    Failed(StoreError),
}

/// The files of a persistent queue to check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Extent {
    /// The files that are being written.
    Written,
    /// All files.
    All,
}

/// The reason why the persistent queue cannot be used at present.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StoreError {
    /// The operation that failed.
    pub(crate) operation: QueueOperation,
    /// The kind of error, as in `error.type`.
    pub(crate) error_type: &'static str,
    /// A message for people.
    pub(crate) message: String,
}

impl StoreError {
    /// Returns the event that reports this error.
    pub(super) fn event(&self) -> Event {
        let tried = match self.operation {
            QueueOperation::Open => "opened",
            QueueOperation::Read => "read",
            QueueOperation::Write => "written",
        };
        Event::PersistentQueueFailed {
            error_type: self.error_type.into(),
            message: format!("the persistent queue cannot be {tried}: {}", self.message),
        }
    }
}

/// A queue in a directory, which is opened as soon as that is possible.
pub(super) struct DirectoryStore {
    directory: PathBuf,
    config: PersistentQueueConfig,
    queue: Result<PersistentQueue, StoreError>,
}

impl DirectoryStore {
    /// Creates a queue that could not be opened.
    pub(super) fn closed(
        directory: PathBuf,
        config: PersistentQueueConfig,
        error: &PersistentQueueError,
    ) -> Self {
        DirectoryStore {
            directory,
            config,
            queue: Err(failed(QueueOperation::Open, error)),
        }
    }
}

impl From<PersistentQueue> for DirectoryStore {
    fn from(queue: PersistentQueue) -> Self {
        DirectoryStore {
            directory: queue.directory().to_owned(),
            config: queue.config().clone(),
            queue: Ok(queue),
        }
    }
}

impl Store for DirectoryStore {
    fn open(&mut self) -> Result<(), StoreError> {
        if self.queue.is_err() {
            let opened = PersistentQueue::open(&self.directory, self.config.clone());
            self.queue = opened.map_err(|error| failed(QueueOperation::Open, &error));
        }
        self.queue.as_ref().map(|_| ()).map_err(Clone::clone)
    }

    fn closed_by(&self) -> Option<&StoreError> {
        self.queue.as_ref().err()
    }

    fn check(&mut self, extent: Extent) -> Result<Integrity, StoreError> {
        let Ok(queue) = &mut self.queue else {
            return Ok(Integrity::Intact);
        };
        let checked = match extent {
            Extent::Written => queue.check_written_files(),
            Extent::All => queue.check(),
        };
        checked.map_err(|error| failed(QueueOperation::Write, &error))
    }

    fn append(&mut self, request: &Request) -> Appended {
        match self.queue.as_mut().map(|queue| queue.append(request)) {
            Ok(Ok(())) => Appended::Stored,
            Ok(Err(AppendError::Full { .. } | AppendError::TooLarge { .. })) => Appended::Full,
            Ok(Err(AppendError::Unusable { source })) => {
                Appended::Failed(failed(QueueOperation::Write, &source))
            }
            Ok(Err(AppendError::Io { source })) => {
                Appended::Failed(failed_io(QueueOperation::Write, &source))
            }
            Err(error) => Appended::Failed(error.clone()),
        }
    }

    fn oldest(&mut self) -> Result<Option<Request>, StoreError> {
        let oldest = self
            .queue
            .as_mut()
            .map_or(Ok(None), PersistentQueue::oldest);
        oldest.map_err(|error| failed(QueueOperation::Read, &error))
    }

    fn remove_oldest(&mut self) {
        if let Ok(queue) = &mut self.queue {
            queue.remove_oldest();
        }
    }

    fn sync(&mut self) -> Result<(), StoreError> {
        let synced = self.queue.as_mut().map_or(Ok(()), PersistentQueue::sync);
        synced.map_err(|error| failed(QueueOperation::Write, &error))
    }

    fn contents(&self) -> StoreContents {
        let Ok(queue) = &self.queue else {
            return StoreContents::default();
        };
        let lost = queue.lost();
        StoreContents {
            pending: queue.pending_items(),
            overflowed: lost.overflow.items,
            found: queue.found_items(),
            is_damaged: lost.is_damaged(),
        }
    }

    fn totals(&self) -> Totals {
        self.queue
            .as_ref()
            .map(PersistentQueue::totals)
            .unwrap_or_default()
    }

    fn set_totals(&mut self, totals: &Totals) -> Result<(), StoreError> {
        let queue = self.queue.as_mut();
        let kept = queue.map_or(Ok(()), |queue| queue.set_totals(totals));
        kept.map_err(|error| failed_io(QueueOperation::Write, &error))
    }
}

fn failed(operation: QueueOperation, error: &PersistentQueueError) -> StoreError {
    let message = match error.source() {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    };
    StoreError {
        operation,
        error_type: error.error_type(),
        message,
    }
}

fn failed_io(operation: QueueOperation, error: &io::Error) -> StoreError {
    StoreError {
        operation,
        error_type: io_error_type(error),
        message: error.to_string(),
    }
}
