//! Opens regular files only. Opening another kind of file may block until another process opens it
//! too, as with a FIFO, or reading it may never end, as with a device.

use std::error::Error;
use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::Path;

/// The treatment of a symbolic link at the path of the file. Links in the directories above it are
/// always followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Links {
    /// The link is followed: Kubernetes mounts every certificate and key as a link.
    Followed,
    /// The link is refused: anyone who can put a link there could make this process write to a file of
    /// their choice.
    Refused,
}

/// Opens a regular file with these options. Never waits for another process to open it too.
///
/// # Errors
/// Returns the errors of the system. For anything that is not a regular file, the error contains
/// [`NotRegular`].
pub(super) fn open(path: &Path, options: &mut OpenOptions, links: Links) -> io::Result<File> {
    let opened = platform::open(path, options, links);
    let is_regular = match &opened {
        Ok(file) => file.metadata()?.is_file(),
        // The system's own message would mislead: "no such device" for a FIFO, "too many levels of
        // symbolic links" for a single link.
        Err(_) => look(path, links).map_or(true, |metadata| metadata.is_file()),
    };
    match is_regular {
        true => opened,
        false => Err(io::Error::other(NotRegular)),
    }
}

fn look(path: &Path, links: Links) -> io::Result<fs::Metadata> {
    match links {
        Links::Followed => fs::metadata(path),
        Links::Refused => fs::symlink_metadata(path),
    }
}

/// The error for a path at which there is a directory, a symbolic link, a FIFO, a socket or a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NotRegular;

impl NotRegular {
    /// Returns true if an error of [`open`] contains this one.
    pub(super) fn is_in(error: &io::Error) -> bool {
        error
            .get_ref()
            .is_some_and(|inner| inner.is::<NotRegular>())
    }
}

impl fmt::Display for NotRegular {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a regular file")
    }
}

impl Error for NotRegular {}

#[cfg(unix)]
mod platform {
    use std::fs::{File, OpenOptions};
    use std::io;
    use std::os::unix::fs::OpenOptionsExt;
    use std::path::Path;

    use super::Links;

    pub(super) fn open(path: &Path, options: &mut OpenOptions, links: Links) -> io::Result<File> {
        // A regular file never blocks, with or without `O_NONBLOCK`.
        let flags = libc::O_NONBLOCK | libc::O_NOCTTY;
        let flags = match links {
            Links::Followed => flags,
            Links::Refused => flags | libc::O_NOFOLLOW,
        };
        options.custom_flags(flags).open(path)
    }
}

/// Other systems have no such flags, so the file is checked before it is opened.
#[cfg(not(unix))]
mod platform {
    use std::fs::{File, OpenOptions};
    use std::io;
    use std::path::Path;

    use super::{Links, NotRegular, look};

    pub(super) fn open(path: &Path, options: &mut OpenOptions, links: Links) -> io::Result<File> {
        match look(path, links) {
            Ok(metadata) if !metadata.is_file() => Err(io::Error::other(NotRegular)),
            _ => options.open(path),
        }
    }
}

/// Creates a FIFO. No child process does it: until it runs `mkfifo`, it would hold the locks of the
/// persistent queues that other tests close in the meantime.
#[cfg(all(test, unix, not(target_vendor = "apple")))]
pub(super) fn make_fifo(path: &Path) {
    use rustix::fs::{CWD, FileType, Mode, mknodat};

    mknodat(CWD, path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).expect("a FIFO");
}

/// Creates a FIFO. This system has no call for it that the tests could use.
#[cfg(all(test, target_vendor = "apple"))]
pub(super) fn make_fifo(path: &Path) {
    let made = std::process::Command::new("mkfifo").arg(path).status();
    assert!(made.is_ok_and(|status| status.success()));
}
