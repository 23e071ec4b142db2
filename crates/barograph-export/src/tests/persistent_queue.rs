//! A pipeline with a persistent queue: nothing is lost in an outage.

use tokio::time::sleep;

use super::harness::{Behavior, Harness, MINUTE, MemoryQueue, SECOND, Values};
use crate::{Event, Reason};

fn with_persistent_queue(
    harness: &Harness,
) -> (MemoryQueue, crate::Handle, tokio::task::JoinHandle<()>) {
    let memory = MemoryQueue::default();
    let pipeline = harness.pipeline().with_store(Box::new(memory.clone()));
    let (handle, task) = harness.run(pipeline);
    (memory, handle, task)
}

#[tokio::test(start_paused = true)]
async fn the_requests_of_an_outage_are_exported_from_the_persistent_queue_in_order() {
    for values in [Values::Cumulative, Values::Delta, Values::Events] {
        let harness = Harness::new(values, |_| Behavior::Retryable(None));
        harness.state().requests = 2;
        let (memory, _handle, _task) = with_persistent_queue(&harness);
        sleep(60 * MINUTE).await;
        // Collection continued.
        let waiting = memory.lock().requests.len();
        assert_eq!(waiting, 120);
        assert_eq!(harness.totals().produced, 1200);
        assert_eq!(harness.ledger.queued(), 1200);
        memory.check();
        harness.state().attempts.clear();
        harness.state().script = Box::new(|_| Behavior::Accept);
        sleep(10 * MINUTE).await;
        assert!(memory.lock().requests.is_empty());
        let totals = harness.totals();
        assert_eq!((totals.produced, totals.exported), (1400, 1400));
        let cycles: Vec<(u64, u64)> = harness.texts().iter().map(|text| place(text)).collect();
        assert!(cycles.is_sorted_by(|a, b| a < b), "{cycles:?}");
        assert_eq!(cycles.len(), 140);
        let [
            Event::Unavailable { .. },
            Event::Recovered { dropped: 0, .. },
        ] = &harness.events()[..]
        else {
            panic!("{:?}", harness.events());
        };
        memory.check();
        assert!(memory.lock().synced >= 60);
    }
}

/// Returns the cycle and the part of a request.
fn place(text: &str) -> (u64, u64) {
    let mut numbers = text.split(':').map(|number| number.parse().unwrap());
    (numbers.next().unwrap(), numbers.next().unwrap())
}

#[tokio::test(start_paused = true)]
async fn deltas_add_up_over_an_outage_in_which_attempts_hang() {
    let harness = Harness::new(Values::Delta, |nth| match nth % 7 {
        0 => Behavior::Accept,
        1 | 2 => Behavior::AcceptSilently,
        3 => Behavior::Hang,
        _ => Behavior::Retryable(None),
    });
    let (memory, handle, task) = with_persistent_queue(&harness);
    sleep(300 * MINUTE).await;
    harness.state().script = Box::new(|_| Behavior::Accept);
    sleep(10 * MINUTE).await;
    assert_eq!(handle.shutdown_async(5 * SECOND).await, Ok(()));
    task.await.unwrap();
    let state = harness.state();
    assert_eq!(state.arrived.values().sum::<u64>(), state.recorded);
    drop(state);
    assert_eq!(harness.totals().dropped_in_all(), 0);
    memory.check();
}

#[tokio::test(start_paused = true)]
async fn undelivered_requests_are_persisted_at_shutdown_and_sent_after_the_next_start() {
    for behavior in [Behavior::Hang, Behavior::Retryable(None)] {
        let dead = behavior.clone();
        let harness = Harness::new(Values::Delta, move |_| dead.clone());
        let (memory, handle, task) = with_persistent_queue(&harness);
        sleep(5 * MINUTE).await;
        let began = tokio::time::Instant::now();
        assert_eq!(
            handle.shutdown_async(2 * SECOND).await,
            Ok(()),
            "{behavior:?}"
        );
        assert!(began.elapsed() <= 2 * SECOND);
        task.await.unwrap();
        let totals = harness.totals();
        assert_eq!(totals.dropped_in_all(), 0);
        assert_eq!(harness.ledger.queued(), totals.produced);
        assert!(
            matches!(&harness.events()[..], [Event::Unavailable { .. }]),
            "{:?}",
            harness.events()
        );
        memory.check();
        // The next process starts.
        let next = Harness::new(Values::Delta, |_| Behavior::Accept);
        next.state().cycles = 1000;
        let kept = memory.lock().totals;
        next.ledger.restore(&kept, totals.produced);
        let (next_handle, next_task) =
            next.run(next.pipeline().with_store(Box::new(memory.clone())));
        assert_eq!(next_handle.shutdown_async(5 * SECOND).await, Ok(()));
        next_task.await.unwrap();
        let totals = next.totals();
        assert_eq!(totals.exported, totals.produced);
        assert_eq!(next.ledger.queued(), 0);
        let sum: u64 = next.state().arrived.values().sum();
        assert_eq!(sum, harness.state().recorded + next.state().recorded);
        memory.check();
    }
}

#[tokio::test(start_paused = true)]
async fn a_full_persistent_queue_drops_and_counts_what_does_not_fit() {
    let harness = Harness::new(Values::Delta, |_| Behavior::Retryable(None));
    let memory = MemoryQueue::default();
    memory.lock().room = 5;
    let pipeline = harness.pipeline().with_store(Box::new(memory.clone()));
    let (handle, task) = harness.run(pipeline);
    sleep(120 * MINUTE).await;
    assert_eq!(memory.lock().requests.len(), 5);
    // Nothing is collected for a full persistent queue, except for one request that shows that it is
    // full.
    assert!(harness.state().cycles < 10, "{}", harness.state().cycles);
    assert!(harness.dropped(Reason::PersistentQueueFull) > 0);
    harness.totals();
    harness.state().script = Box::new(|_| Behavior::Accept);
    sleep(10 * MINUTE).await;
    assert_eq!(handle.shutdown_async(5 * SECOND).await, Ok(()));
    task.await.unwrap();
    let totals = harness.totals();
    assert_eq!(harness.ledger.queued(), 0);
    assert_eq!(
        totals.dropped_in_all(),
        harness.dropped(Reason::PersistentQueueFull)
    );
    // Later deltas include what was dropped.
    let state = harness.state();
    assert_eq!(state.arrived.values().sum::<u64>(), state.recorded);
    drop(state);
    let events = harness.events();
    assert!(
        matches!(
            &events[..],
            [
                Event::Unavailable { .. },
                Event::PersistentQueueFull,
                Event::Recovered { .. }
            ]
        ),
        "{events:?}"
    );
    memory.check();
}

#[tokio::test(start_paused = true)]
async fn a_long_persistent_queue_is_also_sent_between_cycles() {
    let harness = Harness::new(Values::Events, |_| Behavior::Retryable(None));
    harness.state().requests = 50;
    let (memory, _handle, _task) = with_persistent_queue(&harness);
    sleep(10 * 60 * MINUTE).await;
    assert_eq!(memory.lock().requests.len(), 30_000);
    // Each request takes 5 ms, so sending them takes two and a half minutes.
    harness.state().script = Box::new(|_| Behavior::Accept);
    sleep(9 * MINUTE).await;
    assert!(memory.lock().requests.is_empty());
    let totals = harness.totals();
    assert_eq!(totals.exported, totals.produced);
}
