//! A persistent queue that cannot be opened, read or written at present loses none of its contents,
//! and a pipeline that has one works as well as one without it.

use tokio::time::sleep;

use super::harness::{Behavior, Harness, MINUTE, MemoryQueue, SECOND, Values};
use crate::ledger::QueueOperation;
use crate::{Event, Reason};

/// Returns the reported events, except for those about the receiver.
fn reports(harness: &Harness) -> Vec<String> {
    let events = harness.events().into_iter();
    let of_queue = events
        .filter(|event| !matches!(event, Event::Unavailable { .. } | Event::Recovered { .. }));
    of_queue.map(|event| format!("{event:?}")).collect()
}

/// Checks that each reported event begins with the expected name.
#[track_caller]
fn check_reports(harness: &Harness, expected: &[&str]) {
    let reported = reports(harness);
    assert_eq!(reported.len(), expected.len(), "{reported:?}");
    for (reported, expected) in reported.iter().zip(expected) {
        assert!(reported.starts_with(expected), "{reported}");
    }
}

const FAILED: &str = "PersistentQueueFailed";
const USABLE: &str = "PersistentQueueUsable";

#[tokio::test(start_paused = true)]
async fn requests_that_cannot_be_read_now_are_sent_when_they_can_be() {
    for values in [Values::Cumulative, Values::Delta, Values::Events] {
        let harness = Harness::new(values, |_| Behavior::Retryable(None));
        let memory = MemoryQueue::default();
        let pipeline = harness.pipeline().with_store(Box::new(memory.clone()));
        let (handle, task) = harness.run(pipeline);
        sleep(10 * MINUTE).await;
        let held = harness.ledger.queued();
        assert!(held > 50);
        memory.lock().failing = vec![QueueOperation::Read];
        harness.state().script = Box::new(|_| Behavior::Accept);
        harness.state().attempts.clear();
        while reports(&harness).is_empty() {
            sleep(SECOND).await;
        }
        sleep(50 * SECOND).await;
        assert!(harness.texts().is_empty(), "what is older goes first");
        assert!(harness.ledger.queued() >= held);
        memory.lock().failing.clear();
        sleep(10 * MINUTE).await;
        assert_eq!(handle.shutdown_async(5 * SECOND).await, Ok(()));
        task.await.unwrap();
        let totals = harness.totals();
        assert_eq!(totals.exported, totals.produced, "{totals:?}");
        assert!(harness.texts().is_sorted_by_key(|text| cycle(text)));
        check_reports(&harness, &[FAILED, USABLE]);
        memory.check();
    }
}

/// Returns the cycle that a request belongs to.
fn cycle(text: &str) -> u64 {
    text.split(':').next().unwrap().parse().unwrap()
}

#[tokio::test(start_paused = true)]
async fn new_requests_overtake_a_queue_that_stays_unreadable() {
    let harness = Harness::new(Values::Events, |_| Behavior::Retryable(None));
    let memory = MemoryQueue::default();
    let pipeline = harness.pipeline().with_store(Box::new(memory.clone()));
    let (handle, task) = harness.run(pipeline);
    sleep(10 * MINUTE).await;
    memory.lock().failing = vec![QueueOperation::Read];
    harness.state().script = Box::new(|_| Behavior::Accept);
    sleep(10 * MINUTE).await;
    let held = memory.lock().items;
    sleep(60 * MINUTE).await;
    assert_eq!(memory.lock().items, held, "nothing more goes there");
    let totals = harness.totals();
    assert_eq!(totals.exported + held, totals.produced);
    assert!(totals.exported > 600);
    check_reports(&harness, &[FAILED]);
    // The requests are still there, and are sent once they can be read.
    memory.lock().failing.clear();
    sleep(10 * MINUTE).await;
    assert_eq!(handle.shutdown_async(5 * SECOND).await, Ok(()));
    task.await.unwrap();
    let totals = harness.totals();
    assert_eq!(totals.exported, totals.produced);
    memory.check();
}

#[tokio::test(start_paused = true)]
async fn a_queue_that_cannot_be_written_now_loses_nothing() {
    for values in [Values::Cumulative, Values::Delta, Values::Events] {
        let harness = Harness::new(values, |_| Behavior::Retryable(None));
        let memory = MemoryQueue::default();
        memory.lock().failing = vec![QueueOperation::Write];
        let pipeline = harness.pipeline().with_store(Box::new(memory.clone()));
        let (handle, task) = harness.run(pipeline);
        sleep(60 * MINUTE).await;
        assert!(memory.lock().requests.is_empty());
        let totals = harness.totals();
        let superseded = harness.dropped(Reason::Superseded);
        assert_eq!(totals.dropped_in_all(), superseded, "{totals:?}");
        assert_eq!(superseded == 0, values == Values::Events);
        check_reports(&harness, &[FAILED]);
        // The disk has room again, and the receiver is still unavailable.
        memory.lock().failing.clear();
        sleep(20 * MINUTE).await;
        let waiting = memory.lock().requests.len();
        assert!(waiting > 10, "{waiting}");
        check_reports(&harness, &[FAILED, USABLE]);
        harness.state().script = Box::new(|_| Behavior::Accept);
        sleep(10 * MINUTE).await;
        assert_eq!(handle.shutdown_async(5 * SECOND).await, Ok(()));
        task.await.unwrap();
        let totals = harness.totals();
        assert_eq!(
            totals.exported + harness.dropped(Reason::Superseded),
            totals.produced
        );
        memory.check();
        if values != Values::Cumulative {
            let state = harness.state();
            assert_eq!(state.arrived.values().sum::<u64>(), state.recorded);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_queue_that_another_process_has_is_taken_over_when_that_one_ends() {
    // The old service has its undelivered requests on the disk.
    let old = Harness::new(Values::Events, |_| Behavior::Retryable(None));
    let disk = MemoryQueue::default();
    let (handle, task) = old.run(old.pipeline().with_store(Box::new(disk.clone())));
    sleep(10 * MINUTE).await;
    // The new service starts meanwhile.
    let new = Harness::new(Values::Events, |_| Behavior::Retryable(None));
    let (new_handle, new_task) = {
        let store = disk.locked();
        new.run(new.pipeline().with_store(Box::new(store)))
    };
    sleep(5 * MINUTE).await;
    check_reports(&new, &[FAILED]);
    let before = new.totals();
    assert!(before.produced > 0 && before.produced < 50, "{before:?}");
    assert_eq!(handle.shutdown_async(5 * SECOND).await, Ok(()));
    task.await.unwrap();
    let waits = disk.lock().items;
    assert_eq!(waits, old.ledger.queued());
    disk.lock().failing.clear();
    sleep(61 * SECOND).await;
    let after = new.totals();
    assert!(after.produced >= before.produced + waits, "{after:?}");
    check_reports(&new, &[FAILED, USABLE]);
    // Deliveries of the old service are not counted by the new one.
    assert_eq!(after.exported, 0);
    new.state().script = Box::new(|_| Behavior::Accept);
    sleep(10 * MINUTE).await;
    assert_eq!(new_handle.shutdown_async(5 * SECOND).await, Ok(()));
    new_task.await.unwrap();
    let totals = new.totals();
    assert_eq!(totals.exported, totals.produced);
    assert_eq!(old.totals().exported, 0);
    disk.check();
}

#[tokio::test(start_paused = true)]
async fn shutdown_does_not_wait_for_a_queue_that_cannot_be_opened() {
    let harness = Harness::new(Values::Cumulative, |_| Behavior::Accept);
    let (handle, task) = harness.run(
        harness
            .pipeline()
            .with_store(Box::new(MemoryQueue::default().locked())),
    );
    sleep(10 * MINUTE).await;
    let began = tokio::time::Instant::now();
    assert_eq!(handle.shutdown_async(5 * SECOND).await, Ok(()));
    task.await.unwrap();
    assert!(began.elapsed() < SECOND);
    let totals = harness.totals();
    assert_eq!(totals.exported, totals.produced);
    check_reports(&harness, &[FAILED]);
}
