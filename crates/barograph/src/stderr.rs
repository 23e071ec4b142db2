//! The standard error stream, to which log lines are written.
//!
//! Each write uses the descriptor 2 of that moment, since a service may redirect it while it runs.
//! `std` hides that it is closed; this reports an error, so that lines are counted as dropped. And
//! after a service has closed it, its number may belong to a socket, into which no log line must be
//! written.

use std::io::{self, Write};

/// A writer to stderr that does not take the lock of `std`.
#[derive(Debug)]
pub(crate) struct Stderr {
    #[cfg(unix)]
    is_socket: bool,
}

impl Stderr {
    pub(crate) fn new() -> Self {
        Stderr {
            #[cfg(unix)]
            is_socket: unix::open().is_ok_and(|file| unix::is_socket(&file)),
        }
    }
}

impl Write for Stderr {
    #[cfg(unix)]
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut file = match unix::open() {
            Ok(file) => file,
            Err(error) if unix::is_closed(&error) => return Err(error),
            // Most likely no descriptor is free.
            Err(_) => return io::stderr().write(bytes),
        };
        if unix::is_socket(&file) && !self.is_socket {
            return Err(io::ErrorKind::NotConnected.into());
        }
        file.write(bytes)
    }

    #[cfg(not(unix))]
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        io::stderr().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Writes a line in a forked child, where the lock of `std` may be held forever.
pub(crate) fn write_in_child(line: &[u8]) {
    // An error cannot be reported.
    let _ = Stderr::new().write_all(line);
}

#[cfg(unix)]
mod unix {
    use std::fs::File;
    use std::io;
    use std::os::fd::AsFd as _;
    use std::os::unix::fs::FileTypeExt as _;

    /// Duplicates the descriptor of stderr, so that the file stays the same if its number is reused.
    pub(super) fn open() -> io::Result<File> {
        Ok(io::stderr().as_fd().try_clone_to_owned()?.into())
    }

    pub(super) fn is_socket(file: &File) -> bool {
        let metadata = file.metadata();
        metadata.is_ok_and(|metadata| metadata.file_type().is_socket())
    }

    pub(super) fn is_closed(error: &io::Error) -> bool {
        // The same number on every Unix.
        const EBADF: i32 = 9;
        error.raw_os_error() == Some(EBADF)
    }
}
