//! One file of a persistent queue: records are appended at the end and read from the front.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, IoSlice, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use bytes::Bytes;

use super::files::{self, Name, Operation, Presence};
use super::record::{self, Damage, Found, HEADER, MAX_BODY, SEGMENT_HEADER};
use barograph_encode::otlp::Request;

/// A segment that holds requests to be delivered.
#[derive(Debug)]
pub(super) struct Segment {
    pub(super) name: Name,
    /// The length of the file in bytes.
    pub(super) length: u64,
    pub(super) pending: Pending,
}

/// The amount of data that waits to be delivered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Pending {
    pub(super) records: u64,
    pub(super) items: u64,
    pub(super) bytes: u64,
}

impl Pending {
    pub(super) fn add(&mut self, other: Pending) {
        self.records = self.records.saturating_add(other.records);
        self.items = self.items.saturating_add(other.items);
        self.bytes = self.bytes.saturating_add(other.bytes);
    }

    /// Returns the smaller value of each field.
    pub(super) fn least(self, other: Pending) -> Pending {
        Pending {
            records: self.records.min(other.records),
            items: self.items.min(other.items),
            bytes: self.bytes.min(other.bytes),
        }
    }

    pub(super) fn subtract(&mut self, other: Pending) {
        self.records = self.records.saturating_sub(other.records);
        self.items = self.items.saturating_sub(other.items);
        self.bytes = self.bytes.saturating_sub(other.bytes);
    }
}

/// A record that waits to be delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) at: u64,
    pub(super) length: u64,
    pub(super) items: u64,
}

impl Entry {
    pub(super) fn end(self) -> u64 {
        self.at + self.length
    }

    pub(super) fn pending(self) -> Pending {
        Pending {
            records: 1,
            items: self.items,
            bytes: self.length,
        }
    }
}

/// The contents of a segment, starting at some position.
#[derive(Debug, Default)]
pub(super) struct Contents {
    pub(super) length: u64,
    pub(super) entries: VecDeque<Entry>,
    pub(super) damages: Vec<Damage>,
    /// True if a newer version wrote it.
    pub(super) is_newer: bool,
}

impl Contents {
    pub(super) fn pending(&self) -> Pending {
        let mut pending = Pending::default();
        for entry in &self.entries {
            pending.add(entry.pending());
        }
        pending
    }
}

/// The segment that is being read.
#[derive(Debug)]
pub(super) struct Reader {
    pub(super) name: Name,
    path: PathBuf,
    file: File,
    pub(super) entries: VecDeque<Entry>,
}

impl Reader {
    /// Opens a segment and finds the records that start at or after `from`. Temporarily takes as much
    /// memory as the segment is long.
    pub(super) fn open(directory: &Path, name: Name, from: u64) -> io::Result<(Self, Contents)> {
        let path = directory.join(name.to_string());
        let mut file = files::open(&path, File::options().read(true))?;
        let mut bytes = Vec::new();
        files::fault(Operation::Read, &path)?;
        (&mut file).take(MOST).read_to_end(&mut bytes)?;
        let mut contents = Contents {
            length: file.metadata()?.len(),
            ..Contents::default()
        };
        match record::scan(name.salt, &bytes) {
            Err(_) => contents.is_newer = true,
            Ok(found) => {
                for found in found {
                    match found {
                        Found::Record(record) if record.at as u64 >= from => {
                            contents.entries.push_back(Entry {
                                at: record.at as u64,
                                length: (record.end - record.at) as u64,
                                items: record.items,
                            });
                        }
                        Found::Damage(damage) if damage.at as u64 >= from => {
                            contents.damages.push(damage);
                        }
                        _ => {}
                    }
                }
            }
        }
        let entries = contents.entries.clone();
        let reader = Reader {
            name,
            path,
            file,
            entries,
        };
        Ok((reader, contents))
    }

    /// Reads a record. Returns `None` if it was damaged in the meantime.
    pub(super) fn read(&mut self, entry: Entry) -> io::Result<Option<Request>> {
        let length = usize::try_from(entry.length).expect("records were in memory as a whole");
        let mut bytes = vec![0; length];
        files::fault(Operation::Read, &self.path)?;
        self.file.seek(SeekFrom::Start(entry.at))?;
        match self.file.read_exact(&mut bytes) {
            Ok(()) => Ok(record::reread(self.name.salt, entry.at, Bytes::from(bytes))),
            // The file was truncated from outside.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// The segment that is being written.
#[derive(Debug)]
pub(super) struct Writer {
    pub(super) name: Name,
    path: PathBuf,
    file: File,
    pub(super) length: u64,
    /// True if everything that was written is on the disk.
    is_synced: bool,
}

impl Writer {
    /// Creates a segment. Leaves no file behind if that fails.
    pub(super) fn create(directory: &Path, name: Name) -> io::Result<Self> {
        let path = directory.join(name.to_string());
        let mut options = files::private();
        let mut file = files::open(&path, options.write(true).create_new(true))?;
        if let Err(error) = file.write_all(&record::segment_header()) {
            let _ = std::fs::remove_file(&path);
            return Err(error);
        }
        Ok(Writer {
            name,
            path,
            file,
            length: SEGMENT_HEADER as u64,
            is_synced: false,
        })
    }

    /// Continues a segment of which this length is sound, and cuts off the rest.
    pub(super) fn resume(directory: &Path, name: Name, length: u64) -> io::Result<Self> {
        let path = directory.join(name.to_string());
        let mut file = files::open(&path, File::options().write(true))?;
        file.set_len(length)?;
        file.seek(SeekFrom::Start(length))?;
        Ok(Writer {
            name,
            path,
            file,
            length,
            is_synced: false,
        })
    }

    /// Returns true if the file is still the one at its path.
    pub(super) fn is_in_place(&self) -> bool {
        files::presence(&self.path, &self.file) == Presence::Present
    }

    /// Appends a request. After an error, the part that was written remains; see [`undo`](Self::undo).
    pub(super) fn append(&mut self, request: &Request) -> io::Result<Entry> {
        let at = self.length;
        let header = record::header(self.name.salt, at, request);
        self.is_synced = false;
        files::fault(Operation::Write, &self.path)?;
        write_both(&mut self.file, &header, &request.body)?;
        let length = record_length(request);
        self.length += length;
        Ok(Entry {
            at,
            length,
            items: request.items,
        })
    }

    /// Truncates the file to this length, after a write that failed.
    pub(super) fn undo(&mut self, length: u64) -> io::Result<()> {
        self.length = length;
        self.file.set_len(length)?;
        self.file.seek(SeekFrom::Start(length))?;
        Ok(())
    }

    pub(super) fn sync(&mut self) -> io::Result<()> {
        if !self.is_synced {
            files::fault(Operation::Sync, &self.path)?;
            self.file.sync_data()?;
            self.is_synced = true;
        }
        Ok(())
    }
}

/// Returns the length of a request as a record.
pub(super) fn record_length(request: &Request) -> u64 {
    (HEADER + request.body.len()) as u64
}

/// Writes two parts, in one call if the system accepts everything at once.
fn write_both(to: &mut impl Write, header: &[u8], body: &[u8]) -> io::Result<()> {
    let mut written = 0;
    while written < header.len() + body.len() {
        let result = match header.get(written..) {
            Some(rest) => to.write_vectored(&[IoSlice::new(rest), IoSlice::new(body)]),
            None => to.write(&body[written - header.len()..]),
        };
        match result {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(count) => written += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// The number of bytes of a file that are read at most: no segment is longer.
pub(super) const MOST: u64 = (SEGMENT_HEADER + HEADER + MAX_BODY) as u64;

#[cfg(test)]
mod tests {
    use super::*;

    /// A writer that accepts a few bytes per call, and fails when it is full.
    struct Reluctant {
        taken: Vec<u8>,
        at_once: usize,
        room: usize,
    }

    impl Write for Reluctant {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let count = bytes.len().min(self.at_once).min(self.room);
            if count == 0 {
                return Err(io::ErrorKind::StorageFull.into());
            }
            self.taken.extend(&bytes[..count]);
            self.room -= count;
            Ok(count)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn short_writes_are_continued_and_a_full_disk_is_an_error() {
        for at_once in 1..12 {
            for room in 0..12 {
                let mut to = Reluctant {
                    taken: Vec::new(),
                    at_once,
                    room,
                };
                let result = write_both(&mut to, b"head", b"body!");
                assert_eq!(result.is_ok(), room >= 9, "{at_once} {room}");
                assert_eq!(to.taken, b"headbody!"[..room.min(9)]);
            }
        }
    }
}
