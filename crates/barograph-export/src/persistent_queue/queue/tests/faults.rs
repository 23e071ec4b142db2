//! System errors, which say nothing about the contents of the disk, and files that do not belong to
//! the queue.

use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;

use super::*;
use crate::persistent_queue::files::Operation;
use crate::persistent_queue::files::faults::Fault;
use crate::regular_file::{NotRegular, make_fifo};

/// Errors that can occur without any damage.
const PASSING: [i32; 8] = [
    libc::EMFILE,
    libc::ENFILE,
    libc::EACCES,
    libc::EIO,
    libc::ENOMEM,
    libc::EINTR,
    libc::ESTALE,
    libc::EROFS,
];

/// Returns a persistent queue of several segments.
fn filled(directory: &TempDir, requests: u64) -> PersistentQueue {
    let mut queue = open(directory, &config().with_max_bytes(64 << 10));
    for number in 0..requests {
        queue.append(&request(number, 2000)).unwrap();
    }
    queue
}

fn all(numbers: std::ops::Range<u64>) -> Vec<Request> {
    numbers.map(|number| request(number, 2000)).collect()
}

#[track_caller]
fn is_io(error: &PersistentQueueError, errno: i32) {
    let PersistentQueueError::Io { source, .. } = error else {
        panic!("{error:?}")
    };
    assert_eq!(source.raw_os_error(), Some(errno));
}

#[test]
fn files_that_cannot_be_opened_or_read_now_wait_until_they_can() {
    for errno in PASSING {
        for operation in [Operation::Open, Operation::Read] {
            let directory = TempDir::new().unwrap();
            let mut queue = filled(&directory, 20);
            let items = queue.pending_items();
            for first in 0..20 {
                // The first segment is not open, or has been read up to its middle.
                let fault = Fault::new(directory.path(), operation, errno);
                let is_open = queue.reader.is_some() && operation == Operation::Open;
                if !is_open {
                    is_io(&queue.oldest().unwrap_err(), errno);
                    is_io(&queue.oldest().unwrap_err(), errno);
                }
                assert_eq!(queue.pending_requests(), 20 - first);
                drop(fault);
                assert_eq!(queue.oldest().unwrap(), Some(request(first, 2000)));
                queue.remove_oldest();
            }
            assert!(items > 0 && queue.pending_items() == 0);
            assert_eq!(queue.lost(), Lost::default(), "{errno} {operation:?}");
        }
    }
}

#[test]
fn contents_that_were_not_read_are_not_forgotten() {
    let directory = TempDir::new().unwrap();
    let mut queue = filled(&directory, 5);
    let fault = Fault::new(directory.path(), Operation::Open, libc::EMFILE);
    queue.remove_oldest();
    drop(fault);
    assert_eq!(drain(&mut queue), all(0..5));
}

#[test]
fn a_segment_that_cannot_be_read_at_the_start_is_not_skipped() {
    for errno in PASSING {
        let directory = TempDir::new().unwrap();
        drop(filled(&directory, 20));
        let names: Vec<_> = segments(&directory).into_keys().collect();
        for name in names {
            for operation in [Operation::Open, Operation::Read] {
                let fault = Fault::new(&directory.path().join(&name), operation, errno);
                let error = PersistentQueue::open(directory.path(), config()).unwrap_err();
                is_io(&error, errno);
                drop(fault);
            }
        }
        // The result is the same as if nothing had been tried.
        let mut queue = open(&directory, &config());
        assert_eq!(queue.lost(), Lost::default());
        assert_eq!(drain(&mut queue), all(0..20));
    }
}

#[test]
fn a_failed_write_leaves_nothing_behind() {
    for errno in PASSING.into_iter().chain([libc::ENOSPC, libc::EDQUOT]) {
        for operation in [Operation::Open, Operation::Write, Operation::Sync] {
            let directory = TempDir::new().unwrap();
            let config = config()
                .with_max_bytes(64 << 10)
                .with_sync(SyncPolicy::Each);
            let mut queue = open(&directory, &config);
            for number in 0..20 {
                let fault = Fault::new(directory.path(), operation, errno);
                match queue.append(&request(number, 2000)) {
                    // An open segment can be written without opening a file.
                    Ok(()) => {
                        assert_eq!(operation, Operation::Open);
                        drop(fault);
                    }
                    Err(AppendError::Io { source }) => {
                        assert_eq!(source.raw_os_error(), Some(errno));
                        assert_eq!(queue.taken_bytes(), taken(&directory));
                        assert_eq!(queue.pending_requests(), number);
                        drop(fault);
                        queue.append(&request(number, 2000)).unwrap();
                    }
                    Err(error) => panic!("{error}"),
                }
            }
            assert_eq!(queue.taken_bytes(), taken(&directory));
            kill(queue);
            let mut queue = open(&directory, &config);
            assert_eq!(queue.lost(), Lost::default());
            assert_eq!(drain(&mut queue), all(0..20), "{errno} {operation:?}");
        }
    }
}

#[test]
fn a_moved_directory_comes_back_with_its_contents() {
    let outside = TempDir::new().unwrap();
    let (at, away) = (outside.path().join("at"), outside.path().join("away"));
    let mut queue = PersistentQueue::open(&at, config()).unwrap();
    for number in 0..3 {
        queue.append(&request(number, 2000)).unwrap();
    }
    // This is what an unmounted disk looks like.
    fs::rename(&at, &away).unwrap();
    is_io(&queue.oldest().unwrap_err(), libc::ENOENT);
    fs::create_dir(&at).unwrap();
    is_io(&queue.oldest().unwrap_err(), libc::ENOENT);
    fs::remove_dir(&at).unwrap();
    fs::rename(&away, &at).unwrap();
    assert_eq!(drain(&mut queue), all(0..3));
    assert_eq!(queue.lost(), Lost::default());
}

#[test]
fn requests_appended_after_files_were_removed_survive_a_restart() {
    for removed in ["", "lock", "state", ".segment"] {
        let outside = TempDir::new().unwrap();
        let at = outside.path().join("at");
        let config = config().with_max_bytes(64 << 10);
        let mut queue = PersistentQueue::open(&at, config.clone()).unwrap();
        for number in 0..6 {
            queue.append(&request(number, 2000)).unwrap();
        }
        assert_eq!(queue.oldest().unwrap(), Some(request(0, 2000)));
        queue.remove_oldest();
        queue.set_totals(&totals(30, 3)).unwrap();
        let pending = queue.pending_items();
        if removed.is_empty() {
            fs::remove_dir_all(&at).unwrap();
        } else {
            for entry in fs::read_dir(&at).unwrap() {
                let path = entry.unwrap().path();
                if path.to_string_lossy().ends_with(removed) {
                    fs::remove_file(path).unwrap();
                }
            }
        }
        queue.append(&request(6, 2000)).unwrap();
        let keeps = ["lock", "state"].contains(&removed);
        let lost = if keeps { 0 } else { pending };
        assert_eq!(queue.lost().unreadable.items, lost, "{removed:?}");
        let left = queue.pending_items();
        assert_eq!(left + lost, pending + request(6, 0).items, "{removed:?}");
        queue.set_totals(&totals(40, 4)).unwrap();
        assert_eq!(queue.check().unwrap(), Integrity::Intact);
        assert!(
            PersistentQueue::open(&at, config.clone()).is_err(),
            "it is locked"
        );
        kill(queue);
        let mut queue = PersistentQueue::open(&at, config).unwrap();
        assert_eq!(
            (queue.lost(), queue.pending_items()),
            (Lost::default(), left)
        );
        assert_eq!(queue.totals(), totals(40, 4), "{removed:?}");
        let expected = if keeps { all(1..7) } else { all(6..7) };
        assert_eq!(drain(&mut queue), expected, "{removed:?}");
    }
}

#[test]
fn a_queue_that_lost_its_lock_to_another_one_writes_nothing() {
    let directory = TempDir::new().unwrap();
    let mut first = filled(&directory, 12);
    assert_eq!(first.oldest().unwrap(), Some(request(0, 2000)));
    first.remove_oldest();
    fs::remove_file(directory.path().join("lock")).unwrap();
    let mut second = open(&directory, &config());
    let files = || -> Vec<Vec<u8>> {
        let state = fs::read(directory.path().join("state")).unwrap();
        segments(&directory).into_values().chain([state]).collect()
    };
    let before = files();
    let error = first.append(&request(12, 2000)).unwrap_err();
    let AppendError::Unusable {
        source: PersistentQueueError::Locked { .. },
    } = error
    else {
        panic!("{error:?}")
    };
    assert!(matches!(
        first.sync(),
        Err(PersistentQueueError::Locked { .. })
    ));
    assert!(first.set_totals(&totals(9, 1)).is_err());
    drop(first);
    assert!(
        files() == before,
        "nothing was written, and nothing removed"
    );
    assert_eq!(drain(&mut second), all(0..12));
}

#[test]
fn a_queue_of_another_process_in_a_new_directory_is_taken_over() {
    let outside = TempDir::new().unwrap();
    let (at, other) = (outside.path().join("at"), outside.path().join("other"));
    let mut queue = PersistentQueue::open(&at, config()).unwrap();
    let mut others = PersistentQueue::open(&other, config()).unwrap();
    for number in 0..3 {
        queue.append(&request(number, 2000)).unwrap();
        others.append(&request(number + 10, 2000)).unwrap();
    }
    let (ours, theirs) = (queue.pending_items(), others.pending_items());
    // A request is in flight meanwhile, and arrives.
    assert_eq!(queue.oldest().unwrap(), Some(request(0, 2000)));
    drop(others);
    fs::rename(&at, outside.path().join("away")).unwrap();
    fs::rename(&other, &at).unwrap();
    assert_eq!(queue.check().unwrap(), Integrity::Repaired);
    queue.remove_oldest();
    assert_eq!(queue.found_items(), theirs);
    assert_eq!(queue.lost().unreadable.items, ours - request(0, 0).items);
    assert_eq!(queue.pending_items(), theirs);
    assert_eq!(drain(&mut queue), all(10..13));
}

/// A kind of file that is not a regular file.
#[derive(Clone, Copy, Debug)]
enum Special {
    Fifo,
    Directory,
    Socket,
    LinkToFile,
    LinkToNothing,
    LinkToDevice,
}

const SPECIAL: [Special; 6] = [
    Special::Fifo,
    Special::Directory,
    Special::Socket,
    Special::LinkToFile,
    Special::LinkToNothing,
    Special::LinkToDevice,
];

impl Special {
    /// Creates one. Links lead to `target`.
    fn make(self, path: &Path, target: &Path) {
        match self {
            Special::Fifo => make_fifo(path),
            Special::Directory => fs::create_dir(path).unwrap(),
            Special::Socket => drop(UnixListener::bind(path).unwrap()),
            Special::LinkToFile => symlink(target, path).unwrap(),
            Special::LinkToNothing => symlink(target.with_extension("nothing"), path).unwrap(),
            Special::LinkToDevice => symlink("/dev/zero", path).unwrap(),
        }
    }
}

#[test]
fn special_files_are_neither_waited_for_nor_followed() {
    for special in SPECIAL {
        let outside = TempDir::new().unwrap();
        let target = outside.path().join("target");
        fs::write(&target, b"somebody else's").unwrap();
        for name in ["lock", "state"] {
            let directory = TempDir::new().unwrap();
            special.make(&directory.path().join(name), &target);
            let error = PersistentQueue::open(directory.path(), config()).unwrap_err();
            let PersistentQueueError::Io { path, source } = error else {
                panic!("{special:?} {name}")
            };
            assert_eq!(path, directory.path().join(name));
            assert!(NotRegular::is_in(&source), "{special:?} {name}: {source}");
        }
        // It takes the place of a segment between two valid ones.
        let directory = TempDir::new().unwrap();
        drop(filled(&directory, 12));
        let names: Vec<_> = segments(&directory).into_keys().collect();
        let [_, second, _] = &names[..] else {
            panic!("{names:?}")
        };
        let path = directory.path().join(second);
        fs::remove_file(&path).unwrap();
        special.make(&path, &target);
        let mut queue = open(&directory, &config());
        assert_eq!(queue.lost().unreadable.records, 1, "{special:?}");
        queue.append(&request(12, 2000)).unwrap();
        let rest = [all(0..4), all(8..13)].concat();
        assert_eq!(drain(&mut queue), rest);
        drop(queue);
        assert!(fs::symlink_metadata(&path).is_ok(), "it is left alone");

        // It appears while the queue is open.
        let directory = TempDir::new().unwrap();
        let mut queue = filled(&directory, 12);
        let path = directory
            .path()
            .join(segments(&directory).keys().nth(1).unwrap());
        fs::remove_file(&path).unwrap();
        special.make(&path, &target);
        assert_eq!(drain(&mut queue), [all(0..4), all(8..12)].concat());
        assert_eq!(queue.lost().unreadable.records, 4, "{special:?}");

        let kept = fs::read(&target).unwrap();
        assert_eq!(kept, b"somebody else's", "{special:?}");
        let around = fs::read_dir(outside.path()).unwrap().count();
        assert_eq!(around, 1, "nothing was made beside it");
    }
}

#[test]
fn a_file_in_place_of_the_directory_is_an_error() {
    for special in SPECIAL {
        let outside = TempDir::new().unwrap();
        let (target, place) = (outside.path().join("target"), outside.path().join("place"));
        fs::write(&target, b"somebody else's").unwrap();
        special.make(&place, &target);
        let opened = PersistentQueue::open(&place, config());
        let is_directory = matches!(special, Special::Directory);
        assert_eq!(opened.is_ok(), is_directory, "{special:?}");
    }
    // A link to a directory counts as a directory: operators move a queue to another disk that way.
    let outside = TempDir::new().unwrap();
    let (disk, link) = (outside.path().join("disk"), outside.path().join("link"));
    fs::create_dir(&disk).unwrap();
    symlink(&disk, &link).unwrap();
    let mut queue = PersistentQueue::open(&link, config()).unwrap();
    queue.append(&request(0, 10)).unwrap();
    drop(queue);
    let mut queue = PersistentQueue::open(&disk, config()).unwrap();
    assert_eq!(drain(&mut queue), [request(0, 10)]);
}

#[test]
fn files_of_any_length_are_taken_for_what_they_are() {
    let directory = TempDir::new().unwrap();
    drop(filled(&directory, 12));
    let lengthen = |path: &Path| {
        // The file is as long as the file system permits, with holes that take no space.
        let file = File::options()
            .write(true)
            .create(true)
            .truncate(false)
            .open(path);
        let file = file.unwrap();
        let lengths = [i64::MAX as u64, 1 << 60, 16 << 40, 1 << 40];
        assert!(lengths.iter().any(|length| file.set_len(*length).is_ok()));
    };
    for name in segments(&directory).keys() {
        lengthen(&directory.path().join(name));
    }
    lengthen(&directory.path().join("state"));
    // Nothing can be appended unless older requests are dropped, which `RefuseNewest` forbids.
    let config = config()
        .with_max_bytes(64 << 10)
        .with_when_full(WhenFull::RefuseNewest);
    let mut queue = open(&directory, &config);
    assert_eq!(queue.pending_requests(), 12);
    assert!(queue.taken_bytes() > 1 << 40);
    let error = queue.append(&request(12, 2000)).unwrap_err();
    assert!(matches!(error, AppendError::Full { .. }), "{error}");
    assert_eq!(drain(&mut queue), all(0..12));
    queue.sync().unwrap();
    assert_eq!(queue.taken_bytes(), 4096 + 512, "all of it came back");
    queue.append(&request(12, 2000)).unwrap();
    assert_eq!(drain(&mut queue), all(12..13));
}

#[test]
fn the_highest_number_of_all_is_used_once() {
    let directory = TempDir::new().unwrap();
    let mut queue = filled(&directory, 5);
    queue.remove_oldest();
    drop(queue);
    let (name, bytes) = segments(&directory).pop_last().unwrap();
    let salt = Name::parse(&name).unwrap().salt;
    fs::remove_file(directory.path().join(&name)).unwrap();
    let last = Name {
        number: u64::MAX,
        salt,
    };
    fs::write(directory.path().join(last.to_string()), bytes).unwrap();

    let mut queue = open(&directory, &config().with_max_bytes(64 << 10));
    let mut kept = 5;
    while queue.append(&request(kept, 2000)).is_ok() {
        kept += 1;
    }
    assert_eq!(kept, 8, "what has room in the last segment");
    assert_eq!(drain(&mut queue), all(1..8));
    // Once the segment is empty, new ones can be created again.
    queue.sync().unwrap();
    for number in 8..30 {
        queue.append(&request(number, 2000)).unwrap();
        assert_eq!(drain(&mut queue), all(number..number + 1));
        drop(queue);
        queue = open(&directory, &config().with_max_bytes(64 << 10));
    }
    assert_eq!(queue.lost(), Lost::default());
}
