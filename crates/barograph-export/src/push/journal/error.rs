//! Why a journal cannot be used, or does not take a request.

use std::error::Error;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// Why a journal cannot be used.
#[derive(Debug)]
#[non_exhaustive]
pub enum JournalError {
    /// Another process has it, or another part of this one.
    Locked {
        /// The journal's directory.
        directory: PathBuf,
    },
    /// A file could not be read or written.
    Io {
        /// The file or directory.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

impl JournalError {
    /// For `map_err`: says which file it was.
    pub(super) fn io(path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| JournalError::Io {
            path: path.to_owned(),
            source,
        }
    }
}

impl fmt::Display for JournalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            JournalError::Locked { directory } => write!(
                f,
                "another process holds the lock of the journal in {directory:?}; each needs a \
                 directory of its own"
            ),
            JournalError::Io { path, .. } => write!(f, "cannot use {path:?} for the journal"),
        }
    }
}

impl Error for JournalError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            JournalError::Locked { .. } => None,
            JournalError::Io { source, .. } => Some(source),
        }
    }
}

/// Why a journal did not take a request. Nothing of it is in the journal then.
#[derive(Debug)]
#[non_exhaustive]
pub enum AppendError {
    /// There is no room for it.
    Full {
        /// Bytes that it takes.
        needed: u64,
        /// Bytes that the journal's files take now.
        taken: u64,
        /// Bytes that they may take.
        max: u64,
    },
    /// It is larger than any request may be.
    TooLarge {
        /// Its bytes.
        bytes: usize,
        /// Bytes that a request may have.
        max: usize,
    },
    /// It could not be written: a disk that is full, most often.
    Io {
        /// Why not.
        source: io::Error,
    },
}

impl fmt::Display for AppendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AppendError::Full { needed, taken, max } => write!(
                f,
                "the journal is full: {taken} bytes of {max} are taken, {needed} are needed"
            ),
            AppendError::TooLarge { bytes, max } => write!(
                f,
                "a request of {bytes} bytes is too large for the journal, expected {max} at most"
            ),
            AppendError::Io { .. } => f.write_str("cannot write to the journal"),
        }
    }
}

impl Error for AppendError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            AppendError::Full { .. } | AppendError::TooLarge { .. } => None,
            AppendError::Io { source } => Some(source),
        }
    }
}
