//! The loop with the journal as it is, on a disk.

use tokio::time::sleep;

use super::world::{Act, MINUTE, SECOND, Telling, World};
use crate::push::journal::{Fault, FileOperation, Journal, JournalConfig};
use crate::push::{Event, Reason};

#[tokio::test(start_paused = true)]
async fn an_outage_is_replayed_after_a_restart_and_all_of_it_is_accounted_for() {
    let directory = tempfile::tempdir().unwrap();
    let open = || Journal::open(directory.path(), JournalConfig::new()).unwrap();
    let away = World::new(Telling::Delta, |_| Act::Setback(None));
    let (handle, driver) = away.run(away.pipeline().with_journal(open()));
    sleep(10 * MINUTE + 30 * SECOND).await;
    assert!(handle.shutdown_async(5 * SECOND).await.is_ok());
    driver.await.unwrap();
    let before = away.totals();
    assert!(before.produced >= 100, "{before:?}");
    assert_eq!(before.settled(), 0);

    let back = World::new(Telling::Delta, |_| Act::Take);
    let pipeline = back.pipeline().with_journal(open());
    assert_eq!(back.totals(), before);
    assert_eq!(back.ledger.queued(), before.produced);
    let (handle, driver) = back.run(pipeline);
    sleep(2 * MINUTE).await;
    handle.shutdown_async(5 * SECOND).await.unwrap();
    driver.await.unwrap();
    let after = back.totals();
    assert_eq!(after.exported, after.produced);
    assert!(after.produced > before.produced);
    // In the order in which they were made.
    let texts = back.texts();
    let rounds: Vec<u64> = texts[..texts.len() - 1]
        .iter()
        .map(|text| text.split(':').next().unwrap().parse().unwrap())
        .collect();
    let replayed = &rounds[..(before.produced / 10) as usize];
    assert!(replayed.is_sorted(), "{rounds:?}");
}

#[tokio::test(start_paused = true)]
async fn what_gives_way_to_newer_requests_is_dropped_for_that_reason() {
    let directory = tempfile::tempdir().unwrap();
    let small = JournalConfig::new().with_max_bytes(16 << 10);
    let journal = Journal::open(directory.path(), small).unwrap();
    let world = World::new(Telling::Delta, |_| Act::Setback(None));
    let (handle, driver) = world.run(world.pipeline().with_journal(journal));
    sleep(600 * MINUTE).await;
    // An end in the middle of it, so that what is kept is the newest.
    let _ = handle.shutdown_async(5 * SECOND).await;
    driver.await.unwrap();
    let totals = world.totals();
    assert!(world.dropped(Reason::JournalFull) > 0, "{totals:?}");
    assert_eq!(totals.settled(), world.dropped(Reason::JournalFull));
    assert!(world.ledger.queued() > 0);
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_read_back_is_dropped_for_that_reason() {
    let directory = tempfile::tempdir().unwrap();
    let journal = Journal::open(directory.path(), JournalConfig::new()).unwrap();
    let world = World::new(Telling::Delta, |_| Act::Setback(None));
    let (handle, driver) = world.run(world.pipeline().with_journal(journal));
    sleep(20 * MINUTE).await;
    let held = world.ledger.queued();
    // The disk loses a byte in the middle of what was written.
    let mut flipped = 0;
    for entry in std::fs::read_dir(directory.path()).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let mut bytes = std::fs::read(&path).unwrap();
        if name != "lock" && name != "state" && bytes.len() > 200 {
            let middle = bytes.len() / 2;
            bytes[middle] ^= 0x55;
            std::fs::write(&path, bytes).unwrap();
            flipped += 1;
        }
    }
    assert!(flipped > 0 && held > 0);
    world.state().script = Box::new(|_| Act::Take);
    sleep(10 * MINUTE).await;
    handle.shutdown_async(5 * SECOND).await.unwrap();
    driver.await.unwrap();
    let totals = world.totals();
    assert!(world.dropped(Reason::Corrupt) > 0, "{totals:?}");
    assert_eq!(
        totals.exported + world.dropped(Reason::Corrupt),
        totals.produced
    );
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_opened_now_is_no_damage_and_is_sent_later() {
    for operation in [FileOperation::Open, FileOperation::Read] {
        let directory = tempfile::tempdir().unwrap();
        let small = JournalConfig::new().with_max_bytes(32 << 10);
        let world = World::new(Telling::Events, |_| Act::Setback(None));
        let pipeline = world
            .pipeline()
            .with_journal_in(directory.path(), small.clone());
        let (handle, driver) = world.run(pipeline);
        sleep(200 * MINUTE).await;
        assert_eq!(handle.shutdown_async(5 * SECOND).await, Ok(()));
        driver.await.unwrap();
        let before = world.totals();
        assert!(before.produced > 1500, "{before:?}");

        let next = World::new(Telling::Events, |_| Act::Take);
        next.state().begun = 1000;
        let pipeline = next.pipeline().with_journal_in(directory.path(), small);
        let fault = Fault::new(directory.path(), operation, libc::EMFILE);
        let (handle, driver) = next.run(pipeline);
        sleep(50 * SECOND).await;
        assert_eq!(next.totals().settled(), 0, "{operation:?}");
        assert!(next.ledger.queued() >= before.produced);
        assert_eq!(next.events().len(), 1, "{:?}", next.events());
        drop(fault);
        sleep(10 * MINUTE).await;
        assert_eq!(handle.shutdown_async(5 * SECOND).await, Ok(()));
        driver.await.unwrap();
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
async fn a_disk_that_takes_nothing_costs_nothing_that_is_on_it() {
    for errno in [libc::ENOSPC, libc::EROFS, libc::EIO, libc::EMFILE] {
        let directory = tempfile::tempdir().unwrap();
        let world = World::new(Telling::Events, |_| Act::Setback(None));
        let pipeline = world
            .pipeline()
            .with_journal_in(directory.path(), JournalConfig::new());
        let (handle, driver) = world.run(pipeline);
        sleep(10 * MINUTE).await;
        let fault = Fault::new(directory.path(), FileOperation::Write, errno);
        sleep(60 * MINUTE).await;
        assert_eq!(world.totals().settled(), 0);
        drop(fault);
        sleep(10 * MINUTE).await;
        world.state().script = Box::new(|_| Act::Take);
        sleep(10 * MINUTE).await;
        assert_eq!(handle.shutdown_async(5 * SECOND).await, Ok(()));
        driver.await.unwrap();
        let totals = world.totals();
        assert_eq!(totals.exported, totals.produced, "{errno}");
        assert!(totals.produced > 200, "{totals:?}");
        let state = world.state();
        assert_eq!(state.arrived.values().sum::<u64>(), state.recorded);
    }
}
