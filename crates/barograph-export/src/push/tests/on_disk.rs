//! The loop with the journal as it is, on a disk.

use tokio::time::sleep;

use super::world::{Act, MINUTE, SECOND, Telling, World};
use crate::push::Reason;
use crate::push::journal::{Journal, JournalConfig};

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
