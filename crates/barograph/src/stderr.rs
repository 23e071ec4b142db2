//! The standard error, as log lines are written to it.
//!
//! It is the descriptor 2 at each moment, since a service may direct that elsewhere while it runs. What
//! `std` hides is told, so that lines are counted as what became of them: that it is closed. And a
//! service that has closed it may have got its number for a socket since, into which no log line must
//! go.

use std::io::{self, Write};

/// Writes to the standard error, without the lock of `std`.
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
            // Most likely no more descriptors.
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

/// Writes a line of a forked child, where the lock of `std` may be held for good.
pub(crate) fn write_in_child(line: &[u8]) {
    // There is nobody to tell.
    let _ = Stderr::new().write_all(line);
}

#[cfg(unix)]
mod unix {
    use std::fs::File;
    use std::io;
    use std::os::fd::AsFd as _;
    use std::os::unix::fs::FileTypeExt as _;

    /// What is the standard error now, whatever becomes of its number.
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
