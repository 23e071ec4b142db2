//! Reads the files of a persistent queue that another process may be using.
//!
//! It takes no lock and changes nothing, so that the owner of the queue does not notice it. The files may
//! change meanwhile: what the owner delivers and removes in the meantime is left out, and a record that is
//! being written is damage at the end of its segment, as it is after a kill.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use barograph_encode::otlp::{Encoding, Request, Signal};

use super::error::PersistentQueueError;
use super::files::{self, Name};
use super::record::{self, Damage, Found, Record};
use super::segment::MOST;
use super::state::{self, Position};
use crate::ledger::Totals;

/// The contents of a persistent queue.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Inspection {
    /// Its directory.
    pub directory: PathBuf,
    /// The process that uses it.
    pub owner: Owner,
    /// The totals that the owner stored last; `None` if the state file is missing or damaged. Without it
    /// all records count as waiting.
    pub totals: Option<Totals>,
    /// The segments, the oldest first.
    pub segments: Vec<InspectedSegment>,
}

/// The process that holds the lock of a persistent queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Owner {
    /// None that this process can see. One in another container is not seen.
    None,
    /// The process with this id.
    Process(u32),
    /// This system does not tell who holds a lock.
    Unknown,
}

/// The contents of a segment.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct InspectedSegment {
    /// The name of the file.
    pub file: String,
    /// Its length in bytes.
    pub bytes: u64,
    /// The version of its format, if a newer version wrote it; nothing else is known then.
    pub newer_version: Option<u16>,
    /// The number of records that were delivered or dropped, and only wait to be removed.
    pub settled: u64,
    /// The records that wait, in their order.
    pub waiting: Vec<WaitingRecord>,
    /// The damaged parts behind the read position.
    pub damages: Vec<Damage>,
    /// The error of the system, if it cannot be read.
    pub error: Option<String>,
}

/// A record that waits to be delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct WaitingRecord {
    /// The signal of the request.
    pub signal: Signal,
    /// The encoding of its body.
    pub encoding: Encoding,
    /// The number of data points, spans or log records in it.
    pub items: u64,
    /// The number of bytes that it takes on disk.
    pub bytes: u64,
    /// The time of its newest item, in nanoseconds since 1970. It is read for the first and for the last
    /// record of a segment only.
    pub newest_unix_nano: Option<u64>,
}

/// Returns true if a directory has files of a persistent queue.
pub fn is_queue(directory: &Path) -> bool {
    files::lock_path(directory).symlink_metadata().is_ok()
        || files::segments(directory).is_ok_and(|segments| !segments.is_empty())
}

/// Reads the files of a persistent queue. Takes as much memory as its longest segment.
///
/// # Errors
/// [`PersistentQueueError`] if the directory cannot be read. A segment that cannot be read is part of the
/// result.
pub fn inspect(directory: &Path) -> Result<Inspection, PersistentQueueError> {
    let names = files::segments(directory).map_err(PersistentQueueError::io(directory))?;
    let owner = owner(&files::lock_path(directory));
    // A state that cannot be read is as good as none: the owner would read all records again, too.
    let state = state::peek(directory).ok().flatten();
    let position = state.map_or_else(Position::default, |state| state.position);
    let segments = names
        .into_iter()
        .filter_map(|name| segment(directory, name, position))
        .collect();
    Ok(Inspection {
        directory: directory.to_owned(),
        owner,
        totals: state.map(|state| state.totals),
        segments,
    })
}

/// Reads a segment; `None` if it is no longer there.
fn segment(directory: &Path, name: Name, position: Position) -> Option<InspectedSegment> {
    let mut segment = InspectedSegment {
        file: name.to_string(),
        bytes: 0,
        newer_version: None,
        settled: 0,
        waiting: Vec::new(),
        damages: Vec::new(),
        error: None,
    };
    let bytes = match read(&directory.join(&segment.file)) {
        Ok((bytes, length)) => {
            segment.bytes = length;
            bytes
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
        Err(error) => {
            segment.error = Some(error.to_string());
            return Some(segment);
        }
    };
    let from = match name.number.cmp(&position.segment) {
        std::cmp::Ordering::Less => usize::MAX,
        std::cmp::Ordering::Equal => usize::try_from(position.at).unwrap_or(usize::MAX),
        std::cmp::Ordering::Greater => 0,
    };
    match record::scan(name.salt, &bytes) {
        Err(newer) => segment.newer_version = Some(newer.version),
        Ok(found) => {
            let mut records = Vec::new();
            for found in found {
                match found {
                    Found::Record(record) if record.at >= from => records.push(record),
                    Found::Record(_) => segment.settled += 1,
                    Found::Damage(damage) if damage.at >= from => segment.damages.push(damage),
                    Found::Damage(_) => {}
                }
            }
            let last = records.len().saturating_sub(1);
            let waiting = records.iter().enumerate().map(|(index, record)| {
                let is_end = index == 0 || index == last;
                waiting(record, &bytes, is_end)
            });
            segment.waiting = waiting.collect();
        }
    }
    Some(segment)
}

fn read(path: &Path) -> io::Result<(Vec<u8>, u64)> {
    let mut file = files::open(path, File::options().read(true))?;
    let mut bytes = Vec::new();
    (&mut file).take(MOST).read_to_end(&mut bytes)?;
    Ok((bytes, file.metadata()?.len()))
}

fn waiting(record: &Record, segment: &[u8], with_time: bool) -> WaitingRecord {
    let time = || {
        let body = segment.get(record.body())?;
        let request = Request {
            signal: record.signal,
            encoding: record.encoding,
            body: body.to_vec().into(),
            items: record.items,
        };
        request.newest_unix_nano()
    };
    WaitingRecord {
        signal: record.signal,
        encoding: record.encoding,
        items: record.items,
        bytes: (record.end - record.at) as u64,
        newest_unix_nano: if with_time { time() } else { None },
    }
}

/// Returns the process that holds the lock, by the kernel's table of locks. Trying to take the lock would
/// keep an owner out that starts at this moment.
#[cfg(target_os = "linux")]
fn owner(lock: &Path) -> Owner {
    use std::os::linux::fs::MetadataExt as _;

    let Ok(metadata) = fs::symlink_metadata(lock) else {
        return Owner::None;
    };
    let Ok(table) = fs::read_to_string("/proc/locks") else {
        return Owner::Unknown;
    };
    let device = metadata.st_dev();
    let (major, minor) = (libc::major(device), libc::minor(device));
    let file = format!("{major:02x}:{minor:02x}:{}", metadata.st_ino());
    // `1: FLOCK  ADVISORY  WRITE 4711 fe:00:464 0 EOF`; a lock that is waited for has an arrow instead.
    let held = table.lines().find_map(|line| {
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        match *fields {
            [_, "FLOCK", _, "WRITE", process, at, ..] if at == file => process.parse().ok(),
            _ => None,
        }
    });
    held.map_or(Owner::None, Owner::Process)
}

#[cfg(not(target_os = "linux"))]
fn owner(lock: &Path) -> Owner {
    match fs::symlink_metadata(lock) {
        Ok(_) => Owner::Unknown,
        Err(_) => Owner::None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::{PersistentQueue, PersistentQueueConfig};
    use super::*;

    fn request(time: u64, items: u64) -> Request {
        let body = format!("{{\"timeUnixNano\":\"{time}\"}}");
        Request {
            signal: Signal::Logs,
            encoding: Encoding::Json,
            body: body.into_bytes().into(),
            items,
        }
    }

    /// Returns the names and contents of all files.
    fn files(directory: &Path) -> Vec<(PathBuf, Vec<u8>)> {
        let entries = fs::read_dir(directory).unwrap();
        let mut files: Vec<_> = entries
            .map(|entry| entry.unwrap().path())
            .map(|path| (path.clone(), fs::read(path).unwrap()))
            .collect();
        files.sort();
        files
    }

    #[test]
    fn a_queue_in_use_is_read_and_not_disturbed() {
        let directory = tempfile::tempdir().unwrap();
        let directory = directory.path();
        assert!(!is_queue(directory));
        let mut queue = PersistentQueue::open(directory, PersistentQueueConfig::new()).unwrap();
        assert!(is_queue(directory));
        for time in 1..=4 {
            queue.append(&request(time, 10 * time)).unwrap();
        }
        queue.oldest().unwrap().unwrap();
        queue.remove_oldest();
        queue
            .set_totals(&Totals {
                produced: 100,
                exported: 10,
                ..Totals::default()
            })
            .unwrap();
        let before = files(directory);

        let found = inspect(directory).unwrap();
        assert_eq!(files(directory), before);
        #[cfg(target_os = "linux")]
        assert_eq!(found.owner, Owner::Process(std::process::id()));
        assert_eq!(found.totals.map(|totals| totals.exported), Some(10));
        let [segment] = &found.segments[..] else {
            panic!("{found:?}");
        };
        assert_eq!((segment.settled, segment.damages.len()), (1, 0));
        let waiting = segment.waiting.iter();
        let waiting: Vec<_> = waiting.map(|it| (it.items, it.newest_unix_nano)).collect();
        assert_eq!(waiting, [(20, Some(2)), (30, None), (40, Some(4))]);
        let bytes: u64 = segment.waiting.iter().map(|record| record.bytes).sum();
        assert_eq!(bytes, queue.buffered_bytes());
        assert_eq!(segment.bytes + state::BYTES, queue.taken_bytes());

        // The owner goes on, and another one can follow it.
        queue.append(&request(5, 50)).unwrap();
        drop(queue);
        #[cfg(target_os = "linux")]
        assert_eq!(inspect(directory).unwrap().owner, Owner::None);
        let queue = PersistentQueue::open(directory, PersistentQueueConfig::new()).unwrap();
        assert_eq!(queue.pending_requests(), 4);
    }

    #[test]
    fn damage_newer_versions_and_other_files_are_told_apart() {
        let directory = tempfile::tempdir().unwrap();
        let directory = directory.path();
        let mut queue = PersistentQueue::open(directory, PersistentQueueConfig::new()).unwrap();
        for time in 1..=3 {
            queue.append(&request(time, 1)).unwrap();
        }
        drop(queue);
        let name = files::segments(directory).unwrap()[0];
        let path = directory.join(name.to_string());
        let mut bytes = fs::read(&path).unwrap();
        let second = record::scan(name.salt, &bytes).unwrap()[1];
        let Found::Record(second) = second else {
            panic!("{second:?}");
        };
        bytes[second.body().start] ^= 1;
        bytes.truncate(bytes.len() - 1);
        fs::write(&path, bytes).unwrap();
        // A segment that only a newer version can read, one that is none, and a stranger.
        let mut newer = record::segment_header().to_vec();
        newer[8] = 2;
        let crc = crc32c::crc32c(&newer[..12]).to_le_bytes();
        newer[12..16].copy_from_slice(&crc);
        fs::write(
            directory.join(Name::new(name.number + 1).to_string()),
            newer,
        )
        .unwrap();
        fs::create_dir(directory.join(Name::new(name.number + 2).to_string())).unwrap();
        fs::write(directory.join("notes.txt"), "mine").unwrap();
        fs::write(directory.join("state"), "not a state").unwrap();

        let found = inspect(directory).unwrap();
        assert_eq!(found.totals, None);
        let [damaged, newer, folder] = &found.segments[..] else {
            panic!("{found:?}");
        };
        assert_eq!(damaged.waiting.len(), 1);
        let damages = damaged.damages.iter();
        let damages: Vec<_> = damages.map(|it| (it.items, it.is_tail)).collect();
        assert_eq!(damages, [(Some(1), false), (Some(1), true)]);
        assert_eq!((newer.newer_version, newer.waiting.len()), (Some(2), 0));
        assert_eq!(folder.error.as_deref(), Some("not a regular file"));
        assert!(inspect(&directory.join("missing")).is_err());
    }
}
