//! The files of a persistent queue: their names, their permissions and the lock.

use std::fmt;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io;
use std::path::{Path, PathBuf};

use super::error::PersistentQueueError;
use crate::regular_file::{self, Links, NotRegular};

/// The name of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Name {
    /// Its place in the order of the segments.
    pub(super) number: u64,
    /// A random number that goes into the segment's checksums. It is in the name and not in the
    /// segment, where a flipped bit in it would make everything unreadable.
    pub(super) salt: u64,
}

impl Name {
    /// Creates a name that no other segment with this number ever had.
    pub(super) fn new(number: u64) -> Self {
        Name {
            number,
            // The keys of the standard library's hash maps are random.
            salt: RandomState::new().build_hasher().finish(),
        }
    }

    /// Parses the name of a file. Returns `None` if it is not the name of a segment.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (number, salt) = text.strip_suffix(".segment")?.split_once('-')?;
        let name = Name {
            number: u64::from_str_radix(number, 16).ok()?,
            salt: u64::from_str_radix(salt, 16).ok()?,
        };
        (name.to_string() == text).then_some(name)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}-{:016x}.segment", self.number, self.salt)
    }
}

/// Creates the directory, and ensures that no other user can access it.
///
/// It may be a symbolic link: operators move it to another disk that way, and a user who can replace
/// the link can replace the directory that it leads to as well. Links inside the directory are never
/// followed.
pub(super) fn make_private(directory: &Path) -> io::Result<()> {
    access::private_directory()
        .recursive(true)
        .create(directory)?;
    access::make_private(directory)
}

/// Takes the lock of the directory, which is held as long as the file is open. The system releases it
/// when the process ends, however it ends.
pub(super) fn lock(directory: &Path) -> Result<File, PersistentQueueError> {
    let path = lock_path(directory);
    let mut options = private();
    let options = options.write(true).create(true).truncate(false);
    let file = open(&path, options).map_err(PersistentQueueError::io(&path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(PersistentQueueError::Locked {
            directory: directory.to_owned(),
        }),
        Err(TryLockError::Error(error)) => Err(PersistentQueueError::io(&path)(error)),
    }
}

/// Opens a file of the persistent queue, which must be a regular file and not a link to one.
pub(super) fn open(path: &Path, options: &mut OpenOptions) -> io::Result<File> {
    fault(Operation::Open, path)?;
    regular_file::open(path, options, Links::Refused)
}

/// Returns the path of the lock file.
pub(super) fn lock_path(directory: &Path) -> PathBuf {
    directory.join(LOCK)
}

/// The relation between an open file and its path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Presence {
    /// The file itself is at the path, as far as this can be known.
    Present,
    /// Nothing is at the path.
    Missing,
    /// Another file is at the path.
    Replaced,
}

/// Compares an open file with what is at its path.
pub(super) fn presence(path: &Path, file: &File) -> Presence {
    match (fs::symlink_metadata(path), file.metadata()) {
        (Ok(at_path), Ok(open)) if !access::is_same(&at_path, &open) => Presence::Replaced,
        (Err(error), _) if is_absent(&error) => Presence::Missing,
        _ => Presence::Present,
    }
}

/// Returns true if the error means that nothing is at a path, not only that it cannot be accessed at
/// present.
pub(super) fn is_absent(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}

/// Returns true if a file was removed permanently: no path of this system leads to it.
pub(super) fn is_unlinked(file: &File) -> bool {
    file.metadata()
        .is_ok_and(|metadata| access::is_unlinked(&metadata))
}

/// Returns true if a file that could not be opened was removed permanently, or was replaced by
/// something that is not a regular file. Any other error may be temporary, and so may be the absence
/// of the whole directory, as when its disk is not mounted.
pub(super) fn is_gone(directory: &Path, error: &io::Error) -> bool {
    NotRegular::is_in(error)
        || error.kind() == io::ErrorKind::NotFound
            && fs::symlink_metadata(lock_path(directory)).is_ok()
}

/// Returns options for files that no other user can read.
pub(super) fn private() -> OpenOptions {
    access::private_file()
}

/// Ensures that created and removed entries of a directory are on the disk.
pub(super) fn sync_directory(directory: &Path) -> io::Result<()> {
    fault(Operation::Sync, directory)?;
    access::sync_directory(directory)
}

/// Returns the segments in a directory, the oldest first. Other files are ignored.
pub(super) fn segments(directory: &Path) -> io::Result<Vec<Name>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(directory)? {
        names.extend(entry?.file_name().to_str().and_then(Name::parse));
    }
    names.sort();
    Ok(names)
}

/// An operation on a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    Open,
    Read,
    Write,
    Sync,
}

/// Fails if a test wants it to.
#[cfg(test)]
pub(super) use faults::fault;

#[cfg(not(test))]
#[expect(clippy::unnecessary_wraps, reason = "tests have it fail")]
pub(super) fn fault(_: Operation, _: &Path) -> io::Result<()> {
    Ok(())
}

/// The name of the lock file.
const LOCK: &str = "lock";

#[cfg(unix)]
mod access {
    use std::fs::{self, DirBuilder, File, Metadata, OpenOptions, Permissions};
    use std::io;
    use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
    use std::path::Path;

    pub(super) fn private_directory() -> DirBuilder {
        let mut builder = DirBuilder::new();
        builder.mode(0o700);
        builder
    }

    pub(super) fn make_private(directory: &Path) -> io::Result<()> {
        match fs::metadata(directory)?.permissions().mode() & 0o777 {
            0o700 => Ok(()),
            _ => fs::set_permissions(directory, Permissions::from_mode(0o700)),
        }
    }

    pub(super) fn private_file() -> OpenOptions {
        let mut options = OpenOptions::new();
        options.mode(0o600);
        options
    }

    pub(super) fn sync_directory(directory: &Path) -> io::Result<()> {
        File::open(directory)?.sync_all()
    }

    pub(super) fn is_same(one: &Metadata, other: &Metadata) -> bool {
        (one.dev(), one.ino()) == (other.dev(), other.ino())
    }

    pub(super) fn is_unlinked(metadata: &Metadata) -> bool {
        metadata.nlink() == 0
    }
}

/// On other systems, files have the permissions of the directory that they are created in.
#[cfg(not(unix))]
mod access {
    use std::fs::{DirBuilder, Metadata, OpenOptions};
    use std::io;
    use std::path::Path;

    pub(super) fn private_directory() -> DirBuilder {
        DirBuilder::new()
    }

    pub(super) fn make_private(_: &Path) -> io::Result<()> {
        Ok(())
    }

    pub(super) fn private_file() -> OpenOptions {
        OpenOptions::new()
    }

    pub(super) fn sync_directory(_: &Path) -> io::Result<()> {
        Ok(())
    }

    /// Only the existence of a file can be determined here.
    pub(super) fn is_same(_: &Metadata, _: &Metadata) -> bool {
        true
    }

    pub(super) fn is_unlinked(_: &Metadata) -> bool {
        false
    }
}

#[cfg(test)]
pub(crate) mod faults {
    //! Simulates errors of the system below one directory.

    use std::io;
    use std::path::{Path, PathBuf};
    use std::sync::{Mutex, PoisonError};

    use super::Operation;

    static FAULTS: Mutex<Vec<(PathBuf, Operation, i32)>> = Mutex::new(Vec::new());

    /// Makes an operation fail below a directory until it is dropped.
    pub(crate) struct Fault(PathBuf, Operation);

    impl Fault {
        pub(crate) fn new(below: &Path, operation: Operation, errno: i32) -> Self {
            change(|faults| faults.push((below.to_owned(), operation, errno)));
            Fault(below.to_owned(), operation)
        }
    }

    impl Drop for Fault {
        fn drop(&mut self) {
            change(|faults| faults.retain(|(below, of, _)| (below, of) != (&self.0, &self.1)));
        }
    }

    pub(in crate::persistent_queue) fn fault(operation: Operation, path: &Path) -> io::Result<()> {
        change(|faults| {
            let mut faults = faults.iter();
            let found = faults.find(|(below, of, _)| path.starts_with(below) && *of == operation);
            match found {
                Some((_, _, errno)) => Err(io::Error::from_raw_os_error(*errno)),
                None => Ok(()),
            }
        })
    }

    fn change<T>(change: impl FnOnce(&mut Vec<(PathBuf, Operation, i32)>) -> T) -> T {
        change(&mut FAULTS.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back_and_others_are_not() {
        let name = Name::new(255);
        assert_eq!(Name::parse(&name.to_string()), Some(name));
        assert_ne!(Name::new(255), name, "salts are random");
        let (low, high) = (
            Name { salt: 0, ..name },
            Name {
                number: 256,
                ..name
            },
        );
        assert!(low.to_string() < high.to_string(), "sorted as numbers are");
        for other in [
            "",
            "lock",
            "1-2.segment",
            "00000000000000ff-0000000000000001",
            "00000000000000FF-0000000000000001.segment",
            "+0000000000000ff-0000000000000001.segment",
            "00000000000000ff-0000000000000001.segment.bak",
            "00000000000000ff-00000000000000011.segment",
        ] {
            assert_eq!(Name::parse(other), None, "{other}");
        }
    }
}
