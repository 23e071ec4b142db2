//! The driver with a real persistent queue on a disk.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use tokio::sync::Notify;
use tokio::time::sleep;

use super::harness::{Behavior, Harness, MINUTE, SECOND, Values, shut_down};
use crate::ledger::Totals;
use crate::persistent_queue::{Fault, FileOperation, PersistentQueue, PersistentQueueConfig};
use crate::{Event, Reason};

#[tokio::test(start_paused = true)]
async fn an_outage_is_replayed_after_a_restart_and_all_of_it_is_accounted_for() {
    let directory = tempfile::tempdir().unwrap();
    let open = || PersistentQueue::open(directory.path(), PersistentQueueConfig::new()).unwrap();
    let away = Harness::new(Values::Delta, |_| Behavior::Retryable(None));
    let (handle, driver) = away.run(away.pipeline().with_persistent_queue(open()));
    sleep(10 * MINUTE + 30 * SECOND).await;
    shut_down(&handle, driver).await;
    let before = away.totals();
    assert!(before.produced >= 100, "{before:?}");
    assert_eq!(before.settled(), 0);

    let back = Harness::new(Values::Delta, |_| Behavior::Accept);
    let pipeline = back.pipeline().with_persistent_queue(open());
    assert_eq!(back.totals(), before);
    assert_eq!(back.ledger.queued(), before.produced);
    let (handle, driver) = back.run(pipeline);
    sleep(2 * MINUTE).await;
    shut_down(&handle, driver).await;
    let after = back.totals();
    assert_eq!(after.exported, after.produced);
    assert!(after.produced > before.produced);
    // The requests arrive in the order in which they were built.
    let texts = back.texts();
    let cycles: Vec<u64> = texts[..texts.len() - 1]
        .iter()
        .map(|text| text.split(':').next().unwrap().parse().unwrap())
        .collect();
    let replayed = &cycles[..(before.produced / 10) as usize];
    assert!(replayed.is_sorted(), "{cycles:?}");
}

#[tokio::test(start_paused = true)]
async fn requests_that_give_way_to_newer_ones_are_dropped_as_persistent_queue_full() {
    let directory = tempfile::tempdir().unwrap();
    let small = PersistentQueueConfig::new().with_max_bytes(16 << 10);
    let queue = PersistentQueue::open(directory.path(), small).unwrap();
    let harness = Harness::new(Values::Delta, |_| Behavior::Retryable(None));
    let (handle, driver) = harness.run(harness.pipeline().with_persistent_queue(queue));
    sleep(600 * MINUTE).await;
    // The pipeline ends during the outage, so that the newest requests are kept.
    let _ = handle.shutdown_async(5 * SECOND).await;
    driver.await.unwrap();
    let totals = harness.totals();
    assert!(
        harness.dropped(Reason::PersistentQueueFull) > 0,
        "{totals:?}"
    );
    assert_eq!(
        totals.settled(),
        harness.dropped(Reason::PersistentQueueFull)
    );
    assert!(harness.ledger.queued() > 0);
}

#[tokio::test(start_paused = true)]
async fn items_that_cannot_be_read_back_are_dropped_as_corrupt() {
    let directory = tempfile::tempdir().unwrap();
    let queue = PersistentQueue::open(directory.path(), PersistentQueueConfig::new()).unwrap();
    let harness = Harness::new(Values::Delta, |_| Behavior::Retryable(None));
    let (handle, driver) = harness.run(harness.pipeline().with_persistent_queue(queue));
    sleep(20 * MINUTE).await;
    let held = harness.ledger.queued();
    // The disk corrupts a byte in the middle of what was written.
    let mut flipped = 0;
    for entry in fs::read_dir(directory.path()).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let mut bytes = fs::read(&path).unwrap();
        if name != "lock" && name != "state" && bytes.len() > 200 {
            let middle = bytes.len() / 2;
            bytes[middle] ^= 0x55;
            fs::write(&path, bytes).unwrap();
            flipped += 1;
        }
    }
    assert!(flipped > 0 && held > 0);
    harness.state().script = Box::new(|_| Behavior::Accept);
    sleep(10 * MINUTE).await;
    shut_down(&handle, driver).await;
    let totals = harness.totals();
    assert!(harness.dropped(Reason::Corrupt) > 0, "{totals:?}");
    assert_eq!(
        totals.exported + harness.dropped(Reason::Corrupt),
        totals.produced
    );
}

#[tokio::test(start_paused = true)]
async fn a_file_that_cannot_be_opened_now_is_not_damaged_and_is_sent_later() {
    for operation in [FileOperation::Open, FileOperation::Read] {
        let directory = tempfile::tempdir().unwrap();
        let small = PersistentQueueConfig::new().with_max_bytes(32 << 10);
        let harness = Harness::new(Values::Events, |_| Behavior::Retryable(None));
        let (handle, driver) = harness.run_in(directory.path(), small.clone());
        sleep(200 * MINUTE).await;
        shut_down(&handle, driver).await;
        let before = harness.totals();
        assert!(before.produced > 1500, "{before:?}");

        let next = Harness::new(Values::Events, |_| Behavior::Accept);
        next.state().cycles = 1000;
        let pipeline = next
            .pipeline()
            .with_persistent_queue_in(directory.path(), small);
        let fault = Fault::new(directory.path(), operation, libc::EMFILE);
        let (handle, driver) = next.run(pipeline);
        sleep(50 * SECOND).await;
        assert_eq!(next.totals().settled(), 0, "{operation:?}");
        assert!(next.ledger.queued() >= before.produced);
        assert_eq!(next.events().len(), 1, "{:?}", next.events());
        drop(fault);
        sleep(10 * MINUTE).await;
        shut_down(&handle, driver).await;
        let totals = next.totals();
        assert_eq!(totals.exported, totals.produced, "{operation:?}");
        let [
            Event::PersistentQueueFailed { .. },
            Event::PersistentQueueUsable { .. },
        ] = next.events()[..]
        else {
            panic!("{:?}", next.events())
        };
    }
}

#[tokio::test(start_paused = true)]
async fn a_disk_that_cannot_be_written_loses_nothing_that_is_on_it() {
    for errno in [libc::ENOSPC, libc::EROFS, libc::EIO, libc::EMFILE] {
        let directory = tempfile::tempdir().unwrap();
        let harness = Harness::new(Values::Events, |_| Behavior::Retryable(None));
        let (handle, driver) = harness.run_in(directory.path(), PersistentQueueConfig::new());
        sleep(10 * MINUTE).await;
        let fault = Fault::new(directory.path(), FileOperation::Write, errno);
        sleep(60 * MINUTE).await;
        assert_eq!(harness.totals().settled(), 0);
        drop(fault);
        sleep(10 * MINUTE).await;
        harness.state().script = Box::new(|_| Behavior::Accept);
        sleep(10 * MINUTE).await;
        shut_down(&handle, driver).await;
        let totals = harness.totals();
        assert_eq!(totals.exported, totals.produced, "{errno}");
        assert!(totals.produced > 200, "{totals:?}");
        let state = harness.state();
        assert_eq!(state.arrived.values().sum::<u64>(), state.recorded);
    }
}

/// Copies the files of a queue as a process that starts after a kill -9 would find them.
fn copy(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_kill_removes_only_what_was_in_memory_from_the_totals() {
    let mut in_memory = 0;
    for kill in 0..80_usize {
        let outside = tempfile::tempdir().unwrap();
        let (at, copied) = (outside.path().join("queue"), outside.path().join("copy"));
        // The receiver is unavailable at first, and back while there are requests to replay.
        let has_reached = Arc::new(Notify::new());
        let reached = Arc::clone(&has_reached);
        let first = Harness::new(Values::Events, move |attempts| {
            if attempts == kill / 2 {
                reached.notify_one();
            }
            match attempts {
                0..10 => Behavior::Retryable(None),
                _ => Behavior::Accept,
            }
        });
        first.state().requests = 3;
        let (_handle, driver) = first.run_in(&at, PersistentQueueConfig::new());
        // Some kills hit the middle of a request.
        has_reached.notified().await;
        sleep((kill % 4) as u32 * SECOND / 500).await;
        copy(&at, &copied);
        let (before, queued) = (first.totals(), first.ledger.queued());
        driver.abort();

        let queue = PersistentQueue::open(&copied, PersistentQueueConfig::new()).unwrap();
        let (after, pending) = (queue.totals(), queue.pending_items());
        assert_eq!(after.produced, after.settled() + pending, "kill {kill}");
        assert_eq!(after.dropped, before.dropped);
        // These items were exported and are not in the stored totals yet, or were only in memory.
        let gone = before.produced - after.produced;
        let unwritten = before.exported - after.exported;
        assert_eq!(gone + pending, unwritten + queued, "kill {kill}");
        // At most the request in hand, and those of a cycle whose totals are not written yet.
        assert!(gone <= 30, "kill {kill}: {before:?} {after:?}");
        in_memory += gone;

        let next = Harness::new(Values::Events, |_| Behavior::Accept);
        next.state().cycles = 1000;
        let (handle, driver) = next.run(next.pipeline().with_persistent_queue(queue));
        sleep(3 * MINUTE).await;
        shut_down(&handle, driver).await;
        let totals = next.totals();
        assert_eq!(totals.exported, totals.produced, "kill {kill}");
        assert_eq!(next.dropped(Reason::Corrupt), 0);
        // Everything that was produced has arrived, except for what was only in memory.
        let mut arrived: Vec<String> = first.state().arrived.keys().cloned().collect();
        let texts = next.state().arrived.clone().into_keys();
        arrived.extend(
            texts.filter(|text| text.split(':').next().unwrap().parse::<u64>().unwrap() <= 1000),
        );
        arrived.sort();
        arrived.dedup();
        let lost = before.produced - arrived.len() as u64 * 10;
        assert!(lost <= gone, "kill {kill}: {lost} of {gone}");
    }
    assert!(
        in_memory > 0,
        "no kill came at a time at which it costs anything"
    );
}

/// A change to the directory of a queue while it is in use.
type Removal = fn(&Path);

const REMOVALS: [(&str, Removal); 7] = [
    ("the directory", |at| fs::remove_dir_all(at).unwrap()),
    ("all files", |at| {
        for entry in fs::read_dir(at).unwrap() {
            fs::remove_file(entry.unwrap().path()).unwrap();
        }
    }),
    ("segments", |at| {
        remove(at, |name| name.ends_with(".segment"))
    }),
    ("the state", |at| remove(at, |name| name == "state")),
    ("the lock", |at| remove(at, |name| name == "lock")),
    ("moved", |at| {
        fs::rename(at, at.with_extension("away")).unwrap()
    }),
    ("replaced by a copy", |at| {
        let away = at.with_extension("away");
        fs::rename(at, &away).unwrap();
        fs::create_dir(at).unwrap();
        for entry in fs::read_dir(&away).unwrap() {
            let name = entry.unwrap().file_name();
            fs::copy(away.join(&name), at.join(&name)).unwrap();
        }
    }),
];

fn remove(directory: &Path, is_removed: impl Fn(&str) -> bool) {
    for entry in fs::read_dir(directory).unwrap() {
        let entry = entry.unwrap();
        if is_removed(&entry.file_name().to_string_lossy()) {
            fs::remove_file(entry.path()).unwrap();
        }
    }
}

/// Returns the totals of a pipeline that has ended, its lost items, and those left on the disk.
fn ended(harness: &Harness) -> (Totals, u64, u64) {
    (
        harness.totals(),
        harness.dropped(Reason::Corrupt),
        harness.ledger.queued(),
    )
}

#[tokio::test(start_paused = true)]
async fn a_queue_whose_files_are_removed_continues_and_counts_the_lost_items() {
    for (name, removal) in REMOVALS {
        let outside = tempfile::tempdir().unwrap();
        let at = outside.path().join("queue");
        let harness = Harness::new(Values::Events, |_| Behavior::Retryable(None));
        let (handle, driver) = harness.run_in(&at, PersistentQueueConfig::new());
        sleep(10 * MINUTE).await;
        let held = harness.ledger.queued();
        assert!(held > 50);
        removal(&at);
        sleep(10 * MINUTE).await;
        assert_eq!(handle.shutdown_async(5 * SECOND).await, Ok(()), "{name}");
        driver.await.unwrap();
        let (totals, lost, left) = ended(&harness);
        let keeps = ["the state", "the lock", "replaced by a copy"].contains(&name);
        // What was produced after the last check is in memory and is written to the new files.
        let expected = if keeps { 0..1 } else { held..held + 1 };
        assert!(
            expected.contains(&lost),
            "{name}: {lost} of {held} {totals:?}"
        );
        assert_eq!(totals.produced, lost + left);
        assert!(left > 50, "{name}: {left}");
        let damaged: Vec<Event> = harness
            .events()
            .into_iter()
            .filter(|event| !matches!(event, Event::Unavailable { .. }))
            .collect();
        let [Event::PersistentQueueDamaged { items }] = damaged[..] else {
            panic!("{name}: {damaged:?}")
        };
        // The request that was tried last is found to be lost when it is tried again.
        assert!(items == lost || items + 10 == lost, "{name}: {items}");

        // Everything that is left is at its path, and is delivered by the next process.
        let next = Harness::new(Values::Events, |_| Behavior::Accept);
        next.state().cycles = 1000;
        let queue = PersistentQueue::open(&at, PersistentQueueConfig::new()).unwrap();
        assert_eq!(
            (queue.pending_items(), queue.totals()),
            (left, totals),
            "{name}"
        );
        let (handle, driver) = next.run(next.pipeline().with_persistent_queue(queue));
        sleep(2 * MINUTE).await;
        shut_down(&handle, driver).await;
        assert_eq!(
            next.totals().exported + lost,
            next.totals().produced,
            "{name}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn files_that_are_removed_while_they_are_delivered_are_accounted_for() {
    for (name, removal) in REMOVALS {
        let outside = tempfile::tempdir().unwrap();
        let at = outside.path().join("queue");
        let small = PersistentQueueConfig::new().with_max_bytes(32 << 10);
        let harness = Harness::new(Values::Events, |_| Behavior::Retryable(None));
        let (handle, driver) = harness.run_in(&at, small);
        sleep(200 * MINUTE).await;
        let place = at.clone();
        let mut taken = 0;
        harness.state().script = Box::new(move |_| {
            taken += 1;
            // A request that was read from the first segment is in flight.
            if taken == 20 {
                removal(&place);
            }
            Behavior::Accept
        });
        sleep(10 * MINUTE).await;
        assert_eq!(handle.shutdown_async(5 * SECOND).await, Ok(()), "{name}");
        driver.await.unwrap();
        let (totals, lost, left) = ended(&harness);
        assert_eq!(left, 0, "{name}");
        assert_eq!(totals.exported + lost, totals.produced, "{name}");
        let keeps = ["the state", "the lock", "replaced by a copy"].contains(&name);
        assert_eq!(lost == 0, keeps, "{name}: {totals:?}");
        // No request arrived twice, and each that did not arrive is counted.
        let state = harness.state();
        assert_eq!(state.arrived.len() as u64 * 10, totals.exported, "{name}");
        assert_eq!(state.recorded * 10, totals.produced, "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_directory_that_cannot_be_recreated_is_an_unusable_queue() {
    let outside = tempfile::tempdir().unwrap();
    let at = outside.path().join("queue");
    let harness = Harness::new(Values::Events, |_| Behavior::Retryable(None));
    let (handle, driver) = harness.run_in(&at, PersistentQueueConfig::new());
    sleep(10 * MINUTE).await;
    let held = harness.ledger.queued();
    fs::remove_dir_all(&at).unwrap();
    fs::write(&at, b"somebody else's").unwrap();
    sleep(60 * MINUTE).await;
    // What was removed is counted. New requests are kept in memory, and so is the request that was
    // tried last.
    assert_eq!(harness.dropped(Reason::Corrupt) + 10, held);
    assert!(harness.ledger.queued() > 0);
    let names = |harness: &Harness| -> Vec<String> {
        let events = harness.events().into_iter();
        let events = events.filter(|event| !matches!(event, Event::Unavailable { .. }));
        let texts = events.map(|event| format!("{event:?}"));
        texts
            .map(|text| text.split(' ').next().unwrap().to_owned())
            .collect()
    };
    assert_eq!(
        names(&harness),
        ["PersistentQueueDamaged", "PersistentQueueFailed"]
    );
    assert!(!harness.ledger.is_queue_usable());
    fs::remove_file(&at).unwrap();
    sleep(10 * MINUTE).await;
    assert!(harness.ledger.is_queue_usable());
    assert_eq!(names(&harness).last().unwrap(), "PersistentQueueUsable");
    harness.state().script = Box::new(|_| Behavior::Accept);
    sleep(10 * MINUTE).await;
    shut_down(&handle, driver).await;
    let (totals, lost, left) = ended(&harness);
    assert_eq!((lost, left), (held, 0));
    assert_eq!(totals.exported, totals.produced - held);
}

#[tokio::test(start_paused = true)]
async fn two_processes_do_not_share_a_directory_whose_lock_was_removed() {
    let outside = tempfile::tempdir().unwrap();
    let at = outside.path().join("queue");
    let first = Harness::new(Values::Events, |_| Behavior::Retryable(None));
    let (first_handle, first_driver) = first.run_in(&at, PersistentQueueConfig::new());
    sleep(10 * MINUTE).await;
    let held = first.ledger.queued();
    fs::remove_file(at.join("lock")).unwrap();
    // Before the first queue checks again, another one has taken over the directory with its contents.
    let second = PersistentQueue::open(&at, PersistentQueueConfig::new()).unwrap();
    assert_eq!(second.pending_items(), held);
    let before = fs::read(at.join("state")).unwrap();
    sleep(10 * MINUTE).await;
    assert!(!first.ledger.is_queue_usable());
    assert_eq!(
        fs::read(at.join("state")).unwrap(),
        before,
        "it is not written"
    );
    first.state().script = Box::new(|_| Behavior::Accept);
    sleep(10 * MINUTE).await;
    assert_eq!(first.totals().settled() + held, first.totals().produced);
    drop(second);
    sleep(10 * MINUTE).await;
    assert_eq!(first_handle.shutdown_async(5 * SECOND).await, Ok(()));
    first_driver.await.unwrap();
    let totals = first.totals();
    assert_eq!(totals.exported, totals.produced, "{totals:?}");
}
