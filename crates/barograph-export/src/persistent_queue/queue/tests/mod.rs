//! Tests of a persistent queue whose files are cut, corrupted, removed and found again.

#[cfg(unix)]
mod faults;
mod model;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::time::Duration;

use tempfile::TempDir;

use super::*;
use crate::persistent_queue::config::{SyncPolicy, WhenFull};
use crate::persistent_queue::lost::Count;
use crate::persistent_queue::record::{HEADER, SEGMENT_HEADER};
use barograph_encode::otlp::{Encoding, Signal};

/// Returns a configuration under which nothing is synced unless the test calls `sync`.
fn config() -> PersistentQueueConfig {
    PersistentQueueConfig::new().with_sync(SyncPolicy::Every(Duration::MAX))
}

/// Returns a request whose contents are different for each number.
fn request(number: u64, length: usize) -> Request {
    let mut state = number.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let byte = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as u8
    };
    Request {
        signal: [Signal::Metrics, Signal::Traces, Signal::Logs][number as usize % 3],
        encoding: [Encoding::Protobuf, Encoding::Json][number as usize % 2],
        body: std::iter::repeat_with(byte).take(length).collect(),
        items: number % 7 + 1,
    }
}

fn totals(produced: u64, exported: u64) -> Totals {
    Totals {
        produced,
        exported,
        ..Totals::default()
    }
}

fn open(directory: &TempDir, config: &PersistentQueueConfig) -> PersistentQueue {
    PersistentQueue::open(directory.path(), config.clone()).unwrap()
}

/// Drops a queue as kill -9 does: what is not in a file is lost.
fn kill(mut queue: PersistentQueue) {
    queue.is_dirty = false;
    queue.removable.clear();
}

/// Returns the names and the bytes of the segments, the oldest first.
fn segments(directory: &TempDir) -> BTreeMap<String, Vec<u8>> {
    let names = files::segments(directory.path()).unwrap().into_iter();
    let names = names.map(|name| name.to_string());
    names
        .map(|name| {
            (
                name.clone(),
                fs::read(directory.path().join(&name)).unwrap(),
            )
        })
        .collect()
}

/// Returns the number of bytes of all files.
fn taken(directory: &TempDir) -> u64 {
    let files = fs::read_dir(directory.path()).unwrap();
    files
        .map(|file| file.unwrap().metadata().unwrap().len())
        .sum()
}

fn drain(queue: &mut PersistentQueue) -> Vec<Request> {
    let mut drained = Vec::new();
    while let Some(request) = queue.oldest().unwrap() {
        drained.push(request);
        queue.remove_oldest();
    }
    assert_eq!((queue.pending_items(), queue.buffered_bytes()), (0, 0));
    drained
}

#[test]
fn requests_come_back_in_order_from_every_start() {
    let directory = TempDir::new().unwrap();
    let mut next = 0;
    for start in 0..20 {
        let mut queue = open(&directory, &config().with_max_bytes(1 << 20));
        let before = start * 3;
        for number in before..before + 10 {
            if number >= next {
                queue.append(&request(number, 3000)).unwrap();
                next += 1;
            }
        }
        for number in before..before + 3 {
            assert_eq!(queue.oldest().unwrap(), Some(request(number, 3000)));
            assert_eq!(queue.oldest().unwrap(), Some(request(number, 3000)));
            queue.remove_oldest();
        }
        assert_eq!(queue.pending_requests(), next - before - 3);
        assert_eq!(queue.taken_bytes(), taken(&directory));
    }
    let mut queue = open(&directory, &config());
    let rest: Vec<_> = (60..next).map(|number| request(number, 3000)).collect();
    assert_eq!(drain(&mut queue), rest);
    queue.sync().unwrap();
    assert_eq!(
        segments(&directory).len(),
        0,
        "what is delivered takes no room"
    );
    assert_eq!(queue.lost(), Lost::default());
}

#[test]
fn position_and_totals_are_written_together() {
    let directory = TempDir::new().unwrap();
    let mut queue = open(&directory, &config());
    for number in 0..4 {
        queue.append(&request(number, 10)).unwrap();
    }
    queue.remove_oldest();
    queue.set_totals(&totals(10, 1)).unwrap();
    queue.remove_oldest();
    kill(queue);
    let mut queue = open(&directory, &config());
    assert_eq!(queue.totals(), totals(10, 1));
    assert_eq!(
        queue.oldest().unwrap(),
        Some(request(1, 10)),
        "as the sums say"
    );
    assert_eq!(queue.pending_items(), (2 + 3 + 4));
    queue.remove_oldest();
    drop(queue);
    let mut queue = open(&directory, &config());
    assert_eq!(queue.oldest().unwrap(), Some(request(2, 10)));
    // The file is removed with the write of the state that no longer needs it.
    drain(&mut queue);
    assert_eq!(segments(&directory).len(), 1);
    kill(queue);
    let mut queue = open(&directory, &config());
    assert_eq!(drain(&mut queue).len(), 2);
    queue.set_totals(&totals(10, 10)).unwrap();
    assert_eq!(segments(&directory).len(), 0);
    kill(queue);
    let mut queue = open(&directory, &config());
    assert_eq!(queue.totals(), totals(10, 10));
    queue.append(&request(9, 10)).unwrap();
    kill(queue);
    assert_eq!(drain(&mut open(&directory, &config())), [request(9, 10)]);
}

#[test]
fn without_its_state_everything_is_read_again() {
    let directory = TempDir::new().unwrap();
    let mut queue = open(&directory, &config());
    for number in 0..3 {
        queue.append(&request(number, 10)).unwrap();
    }
    queue.remove_oldest();
    drop(queue);
    fs::write(directory.path().join("state"), b"nonsense").unwrap();
    let mut queue = open(&directory, &config());
    assert_eq!(drain(&mut queue).len(), 3);
    assert_eq!(queue.totals(), Totals::default());
}

#[test]
fn a_full_queue_may_refuse_the_newest_request() {
    let directory = TempDir::new().unwrap();
    let max = 100_000;
    let config = config()
        .with_max_bytes(max)
        .with_when_full(WhenFull::RefuseNewest);
    let mut queue = open(&directory, &config);
    let (mut appended, mut removed) = (0, 0);
    for round in 0..50 {
        let error = loop {
            match queue.append(&request(appended, 1000)) {
                Ok(()) => appended += 1,
                Err(error) => break error,
            }
        };
        assert!(
            matches!(error, AppendError::Full { max: 100_000, .. }),
            "{error}"
        );
        assert_eq!(queue.taken_bytes(), taken(&directory));
        assert!(taken(&directory) <= max && taken(&directory) > max * 3 / 4);
        for _ in 0..round {
            assert_eq!(queue.oldest().unwrap(), Some(request(removed, 1000)));
            queue.remove_oldest();
            removed += 1;
        }
        assert_eq!(queue.pending_requests(), appended - removed);
    }
    assert!(appended > 500, "room came back: {appended}");
    assert_eq!(queue.lost(), Lost::default());
}

#[test]
fn a_full_queue_drops_the_oldest_requests() {
    let directory = TempDir::new().unwrap();
    let config = config().with_max_bytes(100_000);
    let mut queue = open(&directory, &config);
    let (mut items, appended) = (0, 1000);
    for number in 0..appended {
        let request = request(number, 1000);
        items += request.items;
        queue.append(&request).unwrap();
        assert!(taken(&directory) <= 100_000);
        assert_eq!(queue.taken_bytes(), taken(&directory));
        assert_eq!(queue.pending_items() + queue.lost().overflow.items, items);
    }
    let lost = queue.lost().overflow.records;
    let kept = queue.pending_requests();
    assert!(kept > 70, "{kept}");
    assert_eq!(lost + kept, appended);
    let rest: Vec<_> = (lost..appended)
        .map(|number| request(number, 1000))
        .collect();
    assert_eq!(drain(&mut queue), rest);
}

#[test]
fn a_request_that_is_being_sent_does_not_give_way() {
    for is_delivered in [true, false] {
        let directory = TempDir::new().unwrap();
        let config = config().with_max_bytes(100_000);
        let mut queue = open(&directory, &config);
        queue.append(&request(0, 1000)).unwrap();
        assert_eq!(queue.oldest().unwrap(), Some(request(0, 1000)));
        let mut items = request(0, 1000).items;
        for number in 1..500 {
            queue.append(&request(number, 1000)).unwrap();
            items += request(number, 1000).items;
            assert_eq!(queue.pending_items() + queue.lost().overflow.items, items);
        }
        let overflow = queue.lost().overflow;
        if is_delivered {
            queue.remove_oldest();
            assert_eq!(queue.lost().overflow, overflow);
            assert_eq!(queue.pending_items() + overflow.items, items - 1);
        }
        let first = 500 - queue.pending_requests() + u64::from(!is_delivered);
        assert_eq!(queue.oldest().unwrap(), Some(request(first, 1000)));
        if !is_delivered {
            assert_eq!(queue.lost().overflow.records, overflow.records + 1);
            assert_eq!(queue.pending_items() + queue.lost().overflow.items, items);
        }
        assert_eq!(drain(&mut queue).len() as u64, 500 - first);
    }
}

#[test]
fn a_request_that_never_fits_displaces_no_other() {
    let directory = TempDir::new().unwrap();
    let mut queue = open(&directory, &config().with_max_bytes(20_000));
    queue.append(&request(1, 1000)).unwrap();
    let error = queue.append(&request(2, 20_000)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the persistent queue is full: 5652 bytes of 20000 are taken, 20044 are needed"
    );
    // The request is longer than a segment and shorter than the queue, so it gets its own segment.
    queue.append(&request(3, 10_000)).unwrap();
    assert_eq!(segments(&directory).len(), 2);
    let error = queue.append(&request(4, MAX_BODY + 1)).unwrap_err();
    assert!(matches!(error, AppendError::TooLarge { .. }), "{error}");
    assert_eq!(drain(&mut queue), [request(1, 1000), request(3, 10_000)]);
    assert_eq!(queue.lost(), Lost::default());
}

#[test]
fn a_torn_end_is_truncated_and_writing_continues_there() {
    let cut_to = HEADER + 50;
    for missing in 1..=HEADER + 100 {
        let directory = TempDir::new().unwrap();
        let mut queue = open(&directory, &config());
        for number in 0..3 {
            queue.append(&request(number, 100)).unwrap();
        }
        kill(queue);
        let (name, bytes) = segments(&directory).pop_first().unwrap();
        let path = directory.path().join(name);
        fs::write(&path, &bytes[..bytes.len() - missing]).unwrap();
        let mut queue = open(&directory, &config());
        let lost = queue.lost();
        assert_eq!(
            lost.torn.records,
            u64::from(missing < HEADER + 100),
            "{missing}"
        );
        if missing <= 100 {
            assert_eq!(lost.torn.items, request(2, 100).items, "{missing}");
        }
        assert_eq!(queue.taken_bytes(), taken(&directory));
        queue.append(&request(3, cut_to)).unwrap();
        drop(queue);
        let mut queue = open(&directory, &config());
        assert_eq!(queue.lost(), Lost::default(), "reported once");
        let expected = [request(0, 100), request(1, 100), request(3, cut_to)];
        assert_eq!(drain(&mut queue), expected, "{missing}");
        assert!(segments(&directory).len() <= 1);
    }
}

#[test]
fn a_bit_that_flips_under_an_open_persistent_queue_costs_one_record() {
    let directory = TempDir::new().unwrap();
    let mut queue = open(&directory, &config());
    for number in 0..5 {
        queue.append(&request(number, 100)).unwrap();
    }
    let (name, mut bytes) = segments(&directory).pop_first().unwrap();
    let record = |number: usize| SEGMENT_HEADER + number * (HEADER + 100);
    bytes[record(1) + HEADER + 7] ^= 1;
    fs::write(directory.path().join(&name), &bytes).unwrap();
    assert_eq!(queue.oldest().unwrap(), Some(request(0, 100)));
    assert_eq!(queue.lost().corrupt.records, 1, "found when it was read");
    bytes[record(3) + 5] ^= 1;
    fs::write(directory.path().join(&name), &bytes).unwrap();
    let expected = [request(0, 100), request(2, 100), request(4, 100)];
    assert_eq!(drain(&mut queue), expected);
    let lost = queue.lost();
    let items = request(1, 100).items + request(3, 100).items;
    assert_eq!((lost.corrupt.records, lost.corrupt.items), (2, items));
    assert_eq!((lost.damaged_records(), lost.damaged_items()), (2, items));
}

#[test]
fn removed_files_are_counted() {
    let directory = TempDir::new().unwrap();
    let config = config().with_max_bytes(64 << 10);
    let mut queue = open(&directory, &config);
    for number in 0..20 {
        queue.append(&request(number, 2000)).unwrap();
    }
    let names: Vec<_> = segments(&directory).into_keys().collect();
    assert_eq!(names.len(), 5, "four in each");
    fs::remove_file(directory.path().join(&names[1])).unwrap();
    let expected: Vec<_> = (0..4).chain(8..20).map(|n| request(n, 2000)).collect();
    let items: u64 = (4..8).map(|number| request(number, 2000).items).sum();
    assert_eq!(drain(&mut queue), expected);
    let lost = queue.lost().unreadable;
    assert_eq!((lost.records, lost.items), (4, items));
}

#[test]
fn foreign_files_are_left_alone() {
    let directory = TempDir::new().unwrap();
    let mut queue = open(&directory, &config());
    for number in 0..2 {
        queue.append(&request(number, 100)).unwrap();
    }
    drop(queue);
    // A newer version wrote the segments before and after this one.
    let (name, bytes) = segments(&directory).pop_first().unwrap();
    let mut newer = bytes.clone();
    newer[8] = 2;
    let crc = crc32c::crc32c(&newer[..12]);
    newer[12..16].copy_from_slice(&crc.to_le_bytes());
    let strangers = [
        ("readme.txt".to_owned(), b"hello".to_vec()),
        (format!("{}.bak", name), bytes.clone()),
        ("0-0.segment".to_owned(), bytes.clone()),
        (Name::new(0).to_string(), newer.clone()),
        (Name::new(7).to_string(), newer),
    ];
    for (name, bytes) in &strangers {
        fs::write(directory.path().join(name), bytes).unwrap();
    }
    fs::create_dir(directory.path().join("folder")).unwrap();
    let mut queue = open(&directory, &config());
    assert_eq!(queue.lost().newer_segments, 2);
    assert_eq!(queue.lost().damaged_records(), 0);
    queue.append(&request(2, 100)).unwrap();
    let expected = [request(0, 100), request(1, 100), request(2, 100)];
    assert_eq!(drain(&mut queue), expected);
    drop(queue);
    for (name, bytes) in &strangers {
        assert_eq!(
            &fs::read(directory.path().join(name)).unwrap(),
            bytes,
            "{name}"
        );
    }
    let left = fs::read_dir(directory.path()).unwrap().count();
    assert_eq!(left, strangers.len() + 3, "and lock, state, folder");
}

#[test]
fn a_segment_that_was_only_begun_is_nothing() {
    for length in 0..SEGMENT_HEADER {
        let directory = TempDir::new().unwrap();
        let header = &crate::persistent_queue::record::segment_header()[..length];
        fs::write(directory.path().join(Name::new(1).to_string()), header).unwrap();
        let mut queue = open(&directory, &config());
        assert_eq!(queue.lost(), Lost::default());
        queue.append(&request(0, 10)).unwrap();
        assert_eq!(drain(&mut queue), [request(0, 10)]);
        drop(queue);
        assert_eq!(segments(&directory).len(), 0);
    }
}

#[test]
fn a_number_is_never_given_twice() {
    let directory = TempDir::new().unwrap();
    let mut queue = open(&directory, &config());
    queue.append(&request(0, 10)).unwrap();
    queue.append(&request(1, 10)).unwrap();
    queue.remove_oldest();
    queue.set_totals(&Totals::default()).unwrap();
    kill(queue);
    // The waiting request is removed, and with it the segment that the position refers to.
    let (name, _) = segments(&directory).pop_first().unwrap();
    fs::remove_file(directory.path().join(name)).unwrap();
    for number in 2..4 {
        let mut queue = open(&directory, &config());
        queue.append(&request(number, 10)).unwrap();
        kill(queue);
    }
    let expected = [request(2, 10), request(3, 10)];
    assert_eq!(drain(&mut open(&directory, &config())), expected);
}

#[test]
fn one_process_at_a_time_has_it() {
    let directory = TempDir::new().unwrap();
    let queue = open(&directory, &config());
    let error = PersistentQueue::open(directory.path(), config()).unwrap_err();
    assert!(matches!(error, PersistentQueueError::Locked { .. }));
    assert_eq!(
        error.to_string(),
        format!(
            "another process holds the lock of the persistent queue in {:?}; each needs a directory of its \
             own",
            directory.path()
        )
    );
    drop(queue);
    open(&directory, &config());
}

#[cfg(unix)]
#[test]
fn only_its_owner_can_read_it() {
    use std::os::unix::fs::PermissionsExt;

    let outside = TempDir::new().unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let directory = outside.path().join("a/b");
    fs::create_dir_all(&directory).unwrap();
    fs::set_permissions(&directory, fs::Permissions::from_mode(0o755)).unwrap();
    for directory in [directory, outside.path().join("c/d")] {
        let mut queue = PersistentQueue::open(&directory, config()).unwrap();
        queue.append(&request(0, 10)).unwrap();
        assert_eq!(mode(&directory), 0o700);
        let files = fs::read_dir(&directory)
            .unwrap()
            .map(|file| file.unwrap().path());
        let files: Vec<_> = files.collect();
        assert_eq!(files.len(), 3);
        for file in files {
            assert_eq!(mode(&file), 0o600, "{file:?}");
        }
    }
}

#[test]
fn every_sync_policy_stores_the_same() {
    for sync in [SyncPolicy::Each, SyncPolicy::Every(Duration::ZERO)] {
        let directory = TempDir::new().unwrap();
        let config = config().with_sync(sync).with_max_bytes(100_000);
        let mut queue = open(&directory, &config);
        for number in 0..60 {
            queue.append(&request(number, 1000)).unwrap();
            if number % 2 == 1 {
                assert_eq!(queue.oldest().unwrap(), Some(request(number / 2, 1000)));
                queue.remove_oldest();
                queue.set_totals(&totals(number, 0)).unwrap();
            }
        }
        kill(queue);
        let mut queue = open(&directory, &config);
        assert_eq!(queue.totals(), totals(59, 0));
        let rest: Vec<_> = (30..60).map(|number| request(number, 1000)).collect();
        assert_eq!(drain(&mut queue), rest);
    }
}
