//! Whatever becomes of a journal's file, what comes back is what was kept, in order.
#![no_main]

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use arbitrary::Arbitrary;
use barograph_export::otlp::{Encoding, Request, Signal};
use barograph_export::push::journal::{Journal, JournalConfig, SyncPolicy};
use libfuzzer_sys::fuzz_target;

#[derive(Arbitrary, Debug)]
struct Input {
    bodies: Vec<Vec<u8>>,
    removed: u8,
    edits: Vec<Edit>,
    state_edits: Vec<Edit>,
    more: Vec<Vec<u8>>,
}

#[derive(Arbitrary, Debug)]
enum Edit {
    Set(u16, u8),
    Cut(u16),
    /// Copies some bytes to another place, where they were not written.
    Copy(u16, u16, u8),
    Add(Vec<u8>),
}

fuzz_target!(|input: Input| {
    let directory = tempfile::tempdir().expect("a directory");
    let mut journal = open(directory.path());
    let mut kept = Vec::new();
    for body in input.bodies {
        kept.push(request(&mut journal, kept.len(), body));
    }
    for _ in 0..input.removed {
        journal.remove_oldest();
    }
    drop(journal);
    for path in segments(directory.path()) {
        edit(&path, &input.edits);
    }
    edit(&directory.path().join("state"), &input.state_edits);

    let mut journal = open(directory.path());
    for body in input.more {
        kept.push(request(&mut journal, kept.len(), body));
    }
    let mut rest = kept.iter();
    while let Some(oldest) = journal.oldest().expect("its files are there") {
        assert!(
            rest.any(|kept| *kept == oldest),
            "never kept, or not here: {oldest:?}"
        );
        journal.remove_oldest();
    }
    assert_eq!((journal.pending_items(), journal.pending_bytes()), (0, 0));
});

fn open(directory: &Path) -> Journal {
    let config = JournalConfig::new().with_sync(SyncPolicy::Every(Duration::MAX));
    Journal::open(directory, config).expect("its own directory")
}

fn request(journal: &mut Journal, number: usize, body: Vec<u8>) -> Request {
    let request = Request {
        signal: Signal::Traces,
        encoding: Encoding::Protobuf,
        body: body.into(),
        items: number as u64,
    };
    journal.append(&request).expect("there is room");
    request
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
