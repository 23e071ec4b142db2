//! The persistent queue of a pipeline: the place where requests outlive an outage, and the process.
//!
//! It is never what a pipeline depends on. One that cannot be opened, read or written now is a pipeline
//! without it: requests wait in memory as far as they may, and it is tried again. Such an error says
//! nothing about what is on the disk, so nothing is dropped for it.

use crate::otlp::Request;
use crate::push::ledger::{QueueOperation, Totals};
use crate::push::report::Event;

#[cfg(feature = "journal")]
use std::error::Error as _;
#[cfg(feature = "journal")]
use std::io;
#[cfg(feature = "journal")]
use std::path::PathBuf;

#[cfg(feature = "journal")]
use crate::push::journal::{
    AppendError, Integrity, Journal, JournalConfig, JournalError, io_error_type,
};

/// Keeps requests over an outage.
pub(in crate::push) trait Store: Send {
    /// Opens it, if it is not open. Takes as long as it takes to read all that is in it.
    fn open(&mut self) -> Result<(), StoreError>;
    /// Why it is not open; none where it is. One that is not holds nothing.
    fn closed_by(&self) -> Option<&StoreError>;
    /// Notices files that were removed or replaced, and makes them anew.
    fn check(&mut self, extent: Extent) -> Result<Files, StoreError>;
    /// Takes a request behind the others.
    fn append(&mut self, request: &Request) -> Appended;
    /// The request that came first.
    fn oldest(&mut self) -> Result<Option<Request>, StoreError>;
    /// Forgets it.
    fn remove_oldest(&mut self);
    /// Makes sure that all is on the disk.
    fn sync(&mut self) -> Result<(), StoreError>;
    /// Items in all requests.
    fn pending_items(&self) -> u64;
    /// Items in requests that gave way to newer ones, so far.
    fn overflowed_items(&self) -> u64;
    /// Items in requests that others have put there while it was open, so far.
    fn found_items(&self) -> u64;
    /// The sums that it keeps.
    fn totals(&self) -> Totals;
    /// Keeps the sums beside the requests.
    fn set_totals(&mut self, totals: &Totals) -> Result<(), StoreError>;
}

/// What became of a request that was to be kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::push) enum Appended {
    Kept,
    /// There is no room for it.
    Full,
    /// It could not be written now.
    Failed(StoreError),
}

/// How much of a persistent queue is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::push) enum Extent {
    /// What is written to.
    Written,
    /// All files.
    All,
}

/// How the files of a persistent queue were found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::push) enum Files {
    Unchanged,
    /// Some were removed or replaced.
    Changed,
}

/// Why the persistent queue cannot be used now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::push) struct StoreError {
    /// What was tried.
    pub(in crate::push) operation: QueueOperation,
    /// The kind, as in `error.type`.
    pub(in crate::push) error_type: &'static str,
    /// For people.
    pub(in crate::push) message: String,
}

impl StoreError {
    /// What people are told.
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

/// A queue in a directory, which is opened as soon as that can be done.
#[cfg(feature = "journal")]
pub(super) struct Persistent {
    directory: PathBuf,
    config: JournalConfig,
    journal: Result<Journal, StoreError>,
}

#[cfg(feature = "journal")]
impl Persistent {
    /// One that could not be opened.
    pub(super) fn closed(directory: PathBuf, config: JournalConfig, error: &JournalError) -> Self {
        Persistent {
            directory,
            config,
            journal: Err(failed(QueueOperation::Open, error)),
        }
    }
}

#[cfg(feature = "journal")]
impl From<Journal> for Persistent {
    fn from(journal: Journal) -> Self {
        Persistent {
            directory: journal.directory().to_owned(),
            config: journal.config().clone(),
            journal: Ok(journal),
        }
    }
}

#[cfg(feature = "journal")]
impl Store for Persistent {
    fn open(&mut self) -> Result<(), StoreError> {
        if self.journal.is_err() {
            let opened = Journal::open(&self.directory, self.config.clone());
            self.journal = opened.map_err(|error| failed(QueueOperation::Open, &error));
        }
        self.journal.as_ref().map(|_| ()).map_err(Clone::clone)
    }

    fn closed_by(&self) -> Option<&StoreError> {
        self.journal.as_ref().err()
    }

    fn check(&mut self, extent: Extent) -> Result<Files, StoreError> {
        let Ok(journal) = &mut self.journal else {
            return Ok(Files::Unchanged);
        };
        let checked = match extent {
            Extent::Written => journal.check_written_files(),
            Extent::All => journal.check(),
        };
        match checked {
            Ok(Integrity::Intact) => Ok(Files::Unchanged),
            Ok(Integrity::Repaired) => Ok(Files::Changed),
            Err(error) => Err(failed(QueueOperation::Write, &error)),
        }
    }

    fn append(&mut self, request: &Request) -> Appended {
        match self.journal.as_mut().map(|journal| journal.append(request)) {
            Ok(Ok(())) => Appended::Kept,
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
        let oldest = self.journal.as_mut().map_or(Ok(None), Journal::oldest);
        oldest.map_err(|error| failed(QueueOperation::Read, &error))
    }

    fn remove_oldest(&mut self) {
        if let Ok(journal) = &mut self.journal {
            journal.remove_oldest();
        }
    }

    fn sync(&mut self) -> Result<(), StoreError> {
        let synced = self.journal.as_mut().map_or(Ok(()), Journal::sync);
        synced.map_err(|error| failed(QueueOperation::Write, &error))
    }

    fn pending_items(&self) -> u64 {
        self.journal.as_ref().map_or(0, Journal::pending_items)
    }

    fn overflowed_items(&self) -> u64 {
        let lost = self.journal.as_ref().map(Journal::lost);
        lost.unwrap_or_default().overflow.items
    }

    fn found_items(&self) -> u64 {
        self.journal.as_ref().map_or(0, Journal::found_items)
    }

    fn totals(&self) -> Totals {
        self.journal
            .as_ref()
            .map(Journal::totals)
            .unwrap_or_default()
    }

    fn set_totals(&mut self, totals: &Totals) -> Result<(), StoreError> {
        let journal = self.journal.as_mut();
        let kept = journal.map_or(Ok(()), |journal| journal.set_totals(totals));
        kept.map_err(|error| failed_io(QueueOperation::Write, &error))
    }
}

#[cfg(feature = "journal")]
fn failed(operation: QueueOperation, error: &JournalError) -> StoreError {
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

#[cfg(feature = "journal")]
fn failed_io(operation: QueueOperation, error: &io::Error) -> StoreError {
    StoreError {
        operation,
        error_type: io_error_type(error),
        message: error.to_string(),
    }
}
