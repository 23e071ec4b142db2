//! A persistent queue that cannot be opened, read or written at present loses none of its contents,
//! and a pipeline that has one works as well as one without it.

use tokio::time::sleep;

use super::world::{Act, MINUTE, Memory, SECOND, Telling, World};
use crate::ledger::QueueOperation;
use crate::{Event, Reason};

/// Returns the reported events, except for those about the receiver.
fn told(world: &World) -> Vec<String> {
    let events = world.events().into_iter();
    let of_queue = events.filter(|event| !matches!(event, Event::Away { .. } | Event::Back { .. }));
    of_queue.map(|event| format!("{event:?}")).collect()
}

/// Checks that each reported event begins with the expected name.
#[track_caller]
fn check_told(world: &World, expected: &[&str]) {
    let told = told(world);
    assert_eq!(told.len(), expected.len(), "{told:?}");
    for (told, expected) in told.iter().zip(expected) {
        assert!(told.starts_with(expected), "{told}");
    }
}

const FAILED: &str = "PersistentQueueFailed";
const USABLE: &str = "PersistentQueueUsable";

#[tokio::test(start_paused = true)]
async fn what_cannot_be_read_now_is_sent_when_it_can_be_read() {
    for telling in [Telling::Cumulative, Telling::Delta, Telling::Events] {
        let world = World::new(telling, |_| Act::Setback(None));
        let memory = Memory::default();
        let pipeline = world.pipeline().with_store(Box::new(memory.clone()));
        let (handle, task) = world.run(pipeline);
        sleep(10 * MINUTE).await;
        let held = world.ledger.queued();
        assert!(held > 50);
        memory.kept().failing = vec![QueueOperation::Read];
        world.state().script = Box::new(|_| Act::Take);
        world.state().tries.clear();
        while told(&world).is_empty() {
            sleep(SECOND).await;
        }
        sleep(50 * SECOND).await;
        assert!(world.texts().is_empty(), "what is older goes first");
        assert!(world.ledger.queued() >= held);
        memory.kept().failing.clear();
        sleep(10 * MINUTE).await;
        assert_eq!(handle.shutdown_async(5 * SECOND).await, Ok(()));
        task.await.unwrap();
        let totals = world.totals();
        assert_eq!(totals.exported, totals.produced, "{totals:?}");
        assert!(world.texts().is_sorted_by_key(|text| round(text)));
        check_told(&world, &[FAILED, USABLE]);
        memory.check();
    }
}

/// Returns the cycle that a request belongs to.
fn round(text: &str) -> u64 {
    text.split(':').next().unwrap().parse().unwrap()
}

#[tokio::test(start_paused = true)]
async fn what_is_new_goes_past_a_queue_that_stays_unreadable() {
    let world = World::new(Telling::Events, |_| Act::Setback(None));
    let memory = Memory::default();
    let pipeline = world.pipeline().with_store(Box::new(memory.clone()));
    let (handle, task) = world.run(pipeline);
    sleep(10 * MINUTE).await;
    memory.kept().failing = vec![QueueOperation::Read];
    world.state().script = Box::new(|_| Act::Take);
    sleep(10 * MINUTE).await;
    let held = memory.kept().items;
    sleep(60 * MINUTE).await;
    assert_eq!(memory.kept().items, held, "nothing more goes there");
    let totals = world.totals();
    assert_eq!(totals.exported + held, totals.produced);
    assert!(totals.exported > 600);
    check_told(&world, &[FAILED]);
    // The requests are still there, and are sent once they can be read.
    memory.kept().failing.clear();
    sleep(10 * MINUTE).await;
    assert_eq!(handle.shutdown_async(5 * SECOND).await, Ok(()));
    task.await.unwrap();
    let totals = world.totals();
    assert_eq!(totals.exported, totals.produced);
    memory.check();
}

#[tokio::test(start_paused = true)]
async fn a_queue_that_cannot_be_written_now_is_as_none_and_nothing_is_lost_for_it() {
    for telling in [Telling::Cumulative, Telling::Delta, Telling::Events] {
        let world = World::new(telling, |_| Act::Setback(None));
        let memory = Memory::default();
        memory.kept().failing = vec![QueueOperation::Write];
        let pipeline = world.pipeline().with_store(Box::new(memory.clone()));
        let (handle, task) = world.run(pipeline);
        sleep(60 * MINUTE).await;
        assert!(memory.kept().requests.is_empty());
        let totals = world.totals();
        let superseded = world.dropped(Reason::Superseded);
        assert_eq!(totals.dropped_in_all(), superseded, "{totals:?}");
        assert_eq!(superseded == 0, telling == Telling::Events);
        check_told(&world, &[FAILED]);
        // The disk has room again, and the receiver is still unavailable.
        memory.kept().failing.clear();
        sleep(20 * MINUTE).await;
        let waiting = memory.kept().requests.len();
        assert!(waiting > 10, "{waiting}");
        check_told(&world, &[FAILED, USABLE]);
        world.state().script = Box::new(|_| Act::Take);
        sleep(10 * MINUTE).await;
        assert_eq!(handle.shutdown_async(5 * SECOND).await, Ok(()));
        task.await.unwrap();
        let totals = world.totals();
        assert_eq!(
            totals.exported + world.dropped(Reason::Superseded),
            totals.produced
        );
        memory.check();
        if telling != Telling::Cumulative {
            let state = world.state();
            assert_eq!(state.arrived.values().sum::<u64>(), state.recorded);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_queue_that_another_process_has_is_taken_over_when_that_one_ends() {
    // The old service has its undelivered requests on the disk.
    let old = World::new(Telling::Events, |_| Act::Setback(None));
    let disk = Memory::default();
    let (handle, task) = old.run(old.pipeline().with_store(Box::new(disk.clone())));
    sleep(10 * MINUTE).await;
    // The new service starts meanwhile.
    let new = World::new(Telling::Events, |_| Act::Setback(None));
    let (new_handle, new_task) = {
        let store = disk.locked();
        new.run(new.pipeline().with_store(Box::new(store)))
    };
    sleep(5 * MINUTE).await;
    check_told(&new, &[FAILED]);
    let before = new.totals();
    assert!(before.produced > 0 && before.produced < 50, "{before:?}");
    assert_eq!(handle.shutdown_async(5 * SECOND).await, Ok(()));
    task.await.unwrap();
    let waits = disk.kept().items;
    assert_eq!(waits, old.ledger.queued());
    disk.kept().failing.clear();
    sleep(61 * SECOND).await;
    let after = new.totals();
    assert!(after.produced >= before.produced + waits, "{after:?}");
    check_told(&new, &[FAILED, USABLE]);
    // Deliveries of the old service are not counted by the new one.
    assert_eq!(after.exported, 0);
    new.state().script = Box::new(|_| Act::Take);
    sleep(10 * MINUTE).await;
    assert_eq!(new_handle.shutdown_async(5 * SECOND).await, Ok(()));
    new_task.await.unwrap();
    let totals = new.totals();
    assert_eq!(totals.exported, totals.produced);
    assert_eq!(old.totals().exported, 0);
    disk.check();
}

#[tokio::test(start_paused = true)]
async fn an_end_does_not_wait_for_a_queue_that_cannot_be_opened() {
    let world = World::new(Telling::Cumulative, |_| Act::Take);
    let (handle, task) = world.run(
        world
            .pipeline()
            .with_store(Box::new(Memory::default().locked())),
    );
    sleep(10 * MINUTE).await;
    let began = tokio::time::Instant::now();
    assert_eq!(handle.shutdown_async(5 * SECOND).await, Ok(()));
    task.await.unwrap();
    assert!(began.elapsed() < SECOND);
    let totals = world.totals();
    assert_eq!(totals.exported, totals.produced);
    check_told(&world, &[FAILED]);
}
