//! Why a persistent queue cannot be used, or does not take a request.

use std::error::Error;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use crate::push::regular_file::NotRegular;

/// Why a persistent queue cannot be used.
#[derive(Debug)]
#[non_exhaustive]
pub enum JournalError {
    /// Another process has it, or another part of this one.
    Locked {
        /// The persistent queue's directory.
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

    /// What kind of error it is, in one word of few.
    pub(in crate::push) fn error_type(&self) -> &'static str {
        match self {
            JournalError::Locked { .. } => "locked",
            JournalError::Io { source, .. } => io_error_type(source),
        }
    }
}

impl fmt::Display for JournalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            JournalError::Locked { directory } => write!(
                f,
                "another process holds the lock of the persistent queue in {directory:?}; each needs a \
                 directory of its own"
            ),
            JournalError::Io { path, .. } => {
                write!(f, "cannot use {path:?} for the persistent queue")
            }
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

/// Why a persistent queue did not take a request. Nothing of it is in the persistent queue then.
#[derive(Debug)]
#[non_exhaustive]
pub enum AppendError {
    /// There is no room for it.
    Full {
        /// Bytes that it takes.
        needed: u64,
        /// Bytes that the persistent queue's files take now.
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
    /// The files were removed or replaced, and the directory cannot be opened anew.
    Unusable {
        /// Why not.
        source: JournalError,
    },
    /// It could not be written: a disk that is full, a process that has no file left to open.
    Io {
        /// Why not.
        source: io::Error,
    },
}

/// What kind of error of the system it is, in one word of few.
pub(in crate::push) fn io_error_type(error: &io::Error) -> &'static str {
    if NotRegular::is_in(error) {
        return "not_regular";
    }
    #[cfg(unix)]
    match error.raw_os_error() {
        Some(libc::EMFILE | libc::ENFILE) => return "too_many_open_files",
        Some(libc::EIO) => return "io",
        _ => {}
    }
    match error.kind() {
        io::ErrorKind::NotFound => "not_found",
        io::ErrorKind::PermissionDenied => "permission_denied",
        io::ErrorKind::ReadOnlyFilesystem => "read_only",
        io::ErrorKind::StorageFull => "storage_full",
        io::ErrorKind::QuotaExceeded => "quota_exceeded",
        io::ErrorKind::FileTooLarge => "file_too_large",
        io::ErrorKind::OutOfMemory => "out_of_memory",
        io::ErrorKind::NotADirectory => "not_a_directory",
        io::ErrorKind::AlreadyExists => "already_exists",
        // Source: OpenTelemetry semantic conventions, `error.type`.
        _ => "_OTHER",
    }
}

impl fmt::Display for AppendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AppendError::Full { needed, taken, max } => write!(
                f,
                "the persistent queue is full: {taken} bytes of {max} are taken, {needed} are needed"
            ),
            AppendError::TooLarge { bytes, max } => write!(
                f,
                "a request of {bytes} bytes is too large for the persistent queue, expected {max} at most"
            ),
            AppendError::Unusable { .. } => {
                f.write_str("the persistent queue cannot be opened anew")
            }
            AppendError::Io { .. } => f.write_str("cannot write to the persistent queue"),
        }
    }
}

impl Error for AppendError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            AppendError::Full { .. } | AppendError::TooLarge { .. } => None,
            AppendError::Unusable { source } => Some(source),
            AppendError::Io { source } => Some(source),
        }
    }
}
