//! Opens regular files and nothing else. Whatever else a path may lead to waits for somebody, as a FIFO
//! does, or never ends, as a device does.

use std::error::Error;
use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::Path;

/// Whether a symbolic link in the place of the file is followed. Links in the directories above it
/// always are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Links {
    /// It is: Kubernetes mounts every certificate and key as a link.
    Followed,
    /// It is not: whoever can put a link there would have us write to a file of their choice.
    #[cfg_attr(
        not(feature = "journal"),
        expect(dead_code, reason = "files that are only read may be links")
    )]
    Refused,
}

/// Opens a regular file with these options. Never waits for somebody else to open it, too.
///
/// # Errors
/// Those of the system, and [`NotRegular`] inside of an error for anything that is no regular file.
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

/// What stands at the path is a directory, a symbolic link, a FIFO, a socket or a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NotRegular;

impl NotRegular {
    /// Whether an error of [`open`] says so.
    #[cfg(feature = "journal")]
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
        // A regular file never waits, with this flag or without it.
        let flags = libc::O_NONBLOCK | libc::O_NOCTTY;
        let flags = match links {
            Links::Followed => flags,
            Links::Refused => flags | libc::O_NOFOLLOW,
        };
        options.custom_flags(flags).open(path)
    }
}

/// Elsewhere the system cannot be told so: it is looked at before it is opened.
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
