//! Whatever happens to the files of a persistent queue, only requests that were appended come back,
//! in order unless files were moved to other numbers. Foreign files are neither followed nor waited
//! for.
#![no_main]

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{fs, io};

use arbitrary::Arbitrary;
use barograph_encode::otlp::{Encoding, Request, Signal};
use barograph_export::persistent_queue::{PersistentQueue, PersistentQueueConfig, SyncPolicy};
use libfuzzer_sys::fuzz_target;

#[derive(Arbitrary, Debug)]
struct Input {
    bodies: Vec<Vec<u8>>,
    removed: u8,
    edits: Vec<Edit>,
    state_edits: Vec<Edit>,
    moves: Vec<Move>,
    more: Vec<Vec<u8>>,
}

/// A change to a file of the directory.
#[derive(Arbitrary, Debug)]
enum Move {
    /// A segment gets another number.
    Number(u8, u64),
    /// A segment is copied to this number.
    Copy(u8, u64),
    /// A segment gets the salt of another one.
    Swap(u8, u8),
    Remove(u8),
    /// A segment gets this length, most of it a hole.
    Lengthen(u8, u32),
    /// A segment is replaced by something else.
    Replace(u8, Special),
    /// An unrelated file appears, or one with a name that the queue uses.
    Stranger(Stranger, Special),
}

#[derive(Arbitrary, Clone, Copy, Debug)]
enum Stranger {
    Lock,
    State,
    Other,
    Segment(u64, u64),
}

#[derive(Arbitrary, Clone, Copy, Debug)]
enum Special {
    Directory,
    Fifo,
    Link,
    LinkToDevice,
    LinkToItself,
    Empty,
}

#[derive(Arbitrary, Debug)]
enum Edit {
    Set(u16, u8),
    Cut(u16),
    /// Copies some bytes to another position.
    Copy(u16, u16, u8),
    Add(Vec<u8>),
}

fuzz_target!(|input: Input| {
    let directory = tempfile::tempdir().expect("a directory");
    let mut queue = open(directory.path());
    let mut kept = Vec::new();
    for body in input.bodies {
        let request = of(kept.len() as u64, body);
        queue.append(&request).expect("there is room");
        kept.push(request);
    }
    for _ in 0..input.removed {
        queue.remove_oldest();
    }
    drop(queue);
    for path in segments(directory.path()) {
        edit(&path, &input.edits);
    }
    edit(&directory.path().join("state"), &input.state_edits);

    let target = tempfile::NamedTempFile::new().expect("a file");
    for change in &input.moves {
        apply(directory.path(), target.path(), change);
    }

    let mut queue = match PersistentQueue::open(directory.path(), config()) {
        Ok(queue) => queue,
        Err(error) => {
            // Opening fails only because of a file that the queue requires, and works once that file is
            // removed.
            let unusable = ["lock", "state"].map(|name| directory.path().join(name));
            let unusable = unusable.iter().filter(|path| !is_regular(path));
            assert!(unusable.clone().count() > 0, "{error:?}");
            unusable.for_each(|path| remove(path));
            open(directory.path())
        }
    };
    for body in input.more {
        let items = kept.len() as u64;
        let request = of(items, body);
        match queue.append(&request) {
            Ok(()) => kept.push(request),
            // The queue may be full, or the last segment number may be in use.
            Err(error) => assert!(!input.moves.is_empty(), "{error}"),
        }
    }
    let mut rest = kept.iter();
    while let Some(oldest) = queue.oldest().expect("its files are there") {
        let is_kept = match input.moves.is_empty() {
            true => rest.any(|kept| *kept == oldest),
            false => kept.contains(&oldest),
        };
        assert!(is_kept, "never kept, or not here: {oldest:?}");
        queue.remove_oldest();
    }
    assert_eq!((queue.pending_items(), queue.buffered_bytes()), (0, 0));
    let target = fs::read(target.path()).expect("it is there still");
    assert!(target.is_empty(), "a link was followed");
});

/// Applies the change if the file system permits it.
fn apply(directory: &Path, target: &Path, change: &Move) {
    let segments = segments(directory);
    let segment = |place: u8| segments.get(usize::from(place) % segments.len().max(1));
    let named = |path: &PathBuf, number: u64| {
        let name = path.file_name()?.to_str()?;
        let (_, rest) = name.split_once('-')?;
        Some(path.with_file_name(format!("{number:016x}-{rest}")))
    };
    let _ = match change {
        Move::Number(place, number) => segment(*place)
            .and_then(|path| Some(fs::rename(path, named(path, *number)?)))
            .transpose(),
        Move::Copy(place, number) => segment(*place)
            .filter(|path| is_regular(path))
            .and_then(|path| Some(fs::copy(path, named(path, *number)?).map(drop)))
            .transpose(),
        Move::Swap(one, other) => segment(*one)
            .zip(segment(*other))
            .map(|(one, other)| {
                let aside = directory.join("aside");
                fs::rename(one, &aside)?;
                fs::rename(other, one)?;
                fs::rename(aside, other)
            })
            .transpose(),
        Move::Remove(place) => Ok(segment(*place).map(|path| remove(path))),
        Move::Lengthen(place, length) => segment(*place)
            .filter(|path| is_regular(path))
            .map(|path| {
                let file = fs::File::options().write(true).open(path)?;
                file.set_len(u64::from(*length).max(file.metadata()?.len()))
            })
            .transpose(),
        Move::Replace(place, special) => segment(*place)
            .map(|path| {
                remove(path);
                make(path, target, *special)
            })
            .transpose(),
        Move::Stranger(stranger, special) => {
            let name = match stranger {
                Stranger::Lock => "lock".to_owned(),
                Stranger::State => "state".to_owned(),
                Stranger::Other => "other".to_owned(),
                Stranger::Segment(number, salt) => format!("{number:016x}-{salt:016x}.segment"),
            };
            let path = directory.join(name);
            remove(&path);
            make(&path, target, *special).map(Some)
        }
    };
}

fn make(path: &Path, target: &Path, special: Special) -> io::Result<()> {
    match special {
        Special::Directory => fs::create_dir(path),
        Special::Fifo => Ok(rustix::fs::mknodat(
            rustix::fs::CWD,
            path,
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::RWXU,
            0,
        )?),
        Special::Link => symlink(target, path),
        Special::LinkToDevice => symlink("/dev/zero", path),
        Special::LinkToItself => symlink(path, path),
        Special::Empty => fs::write(path, b""),
    }
}

fn is_regular(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_file())
}

fn remove(path: &Path) {
    // One of the calls applies, or nothing is there.
    let _ = fs::remove_file(path);
    let _ = fs::remove_dir(path);
}

fn open(directory: &Path) -> PersistentQueue {
    PersistentQueue::open(directory, config()).expect("its own directory")
}

fn config() -> PersistentQueueConfig {
    PersistentQueueConfig::new().with_sync(SyncPolicy::Every(Duration::MAX))
}

fn of(items: u64, body: Vec<u8>) -> Request {
    Request {
        signal: Signal::Traces,
        encoding: Encoding::Protobuf,
        body: body.into(),
        items,
    }
}

fn segments(directory: &Path) -> Vec<PathBuf> {
    let files = fs::read_dir(directory).expect("a directory");
    let paths = files.map(|file| file.expect("a file").path());
    paths.filter(|path| path.extension().is_some()).collect()
}

fn edit(path: &Path, edits: &[Edit]) {
    let mut bytes = fs::read(path).expect("a file");
    for edit in edits {
        let length = bytes.len();
        let place = |at: u16| (length > 0).then(|| usize::from(at) % length);
        match edit {
            Edit::Set(at, byte) => {
                if let Some(at) = place(*at) {
                    bytes[at] = *byte;
                }
            }
            Edit::Cut(at) => bytes.truncate(place(*at).unwrap_or(0)),
            Edit::Copy(from, to, count) => {
                if let (Some(from), Some(to)) = (place(*from), place(*to)) {
                    let count = usize::from(*count).min(length - from).min(length - to);
                    bytes.copy_within(from..from + count, to);
                }
            }
            Edit::Add(more) => bytes.extend(more),
        }
    }
    fs::write(path, bytes).expect("room for it");
}
