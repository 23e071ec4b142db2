//! The errors of a persistent queue.

use std::error::Error;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use crate::regular_file::NotRegular;

/// The reason why a persistent queue cannot be used.
#[derive(Debug)]
#[non_exhaustive]
pub enum PersistentQueueError {
    /// Another process, or another part of this one, holds the lock.
    Locked {
        /// The directory of the persistent queue.
        directory: PathBuf,
    },
    /// A file could not be read or written.
    Io {
        /// The file or directory.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
}

impl PersistentQueueError {
    /// Returns a function for `map_err` that adds the path.
    pub(super) fn io(path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| PersistentQueueError::Io {
            path: path.to_owned(),
            source,
        }
    }

    /// Returns the kind of the error, one of a few words.
    pub(crate) fn error_type(&self) -> &'static str {
        match self {
            PersistentQueueError::Locked { .. } => "locked",
            PersistentQueueError::Io { source, .. } => io_error_type(source),
        }
    }
}

impl fmt::Display for PersistentQueueError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PersistentQueueError::Locked { directory } => write!(
                f,
                "another process holds the lock of the persistent queue in {directory:?}; each needs a \
                 directory of its own"
            ),
            PersistentQueueError::Io { path, .. } => {
                write!(f, "cannot use {path:?} for the persistent queue")
            }
        }
    }
}

impl Error for PersistentQueueError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            PersistentQueueError::Locked { .. } => None,
            PersistentQueueError::Io { source, .. } => Some(source),
        }
    }
}

/// The reason why a persistent queue did not take a request. No part of the request is in the queue
/// then.
#[derive(Debug)]
#[non_exhaustive]
pub enum AppendError {
    /// There is no room for the request.
    Full {
        /// The number of bytes that it needs.
        needed: u64,
        /// The number of bytes that the files of the persistent queue take now.
        taken: u64,
        /// The number of bytes that they may take.
        max: u64,
    },
    /// The request exceeds the maximum size.
    TooLarge {
        /// Its size in bytes.
        bytes: usize,
        /// The maximum size in bytes.
        max: usize,
    },
    /// The files were removed or replaced, and the directory cannot be reopened.
    Unusable {
        /// The cause.
        source: PersistentQueueError,
    },
    /// The request could not be written, for example because the disk is full or the process has no
    /// file descriptors left.
    Io {
        /// The cause.
        source: io::Error,
    },
}

/// Returns the kind of a system error, one of a few words.
pub(crate) fn io_error_type(error: &io::Error) -> &'static str {
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
