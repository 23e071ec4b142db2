//! The account under random answers, compared with a model that only counts.

use std::time::Duration;

use proptest::prelude::*;
use tokio::time::sleep;

use super::harness::{Behavior, Harness, MemoryQueue, SECOND, Values};
use crate::ledger::QueueOperation;
use crate::pipeline::Store as _;
use crate::{Event, Reason, Totals};

/// A step of a test.
#[derive(Clone, Debug)]
enum Step {
    Wait(u64),
    Flush(u64),
    /// From here on these operations of the persistent queue fail, and no others.
    Fail(Vec<QueueOperation>),
}

pub(super) fn behavior() -> impl Strategy<Value = Behavior> {
    prop_oneof![
        6 => Just(Behavior::Accept),
        1 => Just(Behavior::AcceptSilently),
        1 => (0..20_u64).prop_map(Behavior::RejectItems),
        4 => prop::option::of(asked()).prop_map(Behavior::Retryable),
        1 => Just(Behavior::Permanent("400")),
        1 => Just(Behavior::Hang),
        1 => Just(Behavior::Panic),
        1 => Just(Behavior::PanicOnDrop),
    ]
}

/// Generates pauses that a receiver may ask for.
fn asked() -> impl Strategy<Value = Duration> {
    prop_oneof![
        8 => (0..400_u64).prop_map(Duration::from_secs),
        1 => any::<u64>().prop_map(Duration::from_secs),
        1 => Just(Duration::MAX),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (1..400_u64).prop_map(Step::Wait),
        1 => (1..30_u64).prop_map(Step::Flush),
        1 => prop::sample::subsequence(&QueueOperation::ALL[..], 0..=QueueOperation::COUNT)
            .prop_map(Step::Fail),
    ]
}

fn values() -> impl Strategy<Value = Values> {
    prop_oneof![
        Just(Values::Cumulative),
        Just(Values::Delta),
        Just(Values::Events),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn the_account_is_exact_whatever_the_receiver_does(
        values in values(),
        behaviors in prop::collection::vec(behavior(), 1..40),
        steps in prop::collection::vec(step(), 1..12),
        requests in 1..4_u64,
        persistent_queue in prop::option::of(0..6_usize),
        is_locked in any::<bool>(),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(check(values, behaviors, steps, requests, persistent_queue, is_locked));
    }
}

async fn check(
    values: Values,
    behaviors: Vec<Behavior>,
    steps: Vec<Step>,
    requests: u64,
    room: Option<usize>,
    is_locked: bool,
) {
    let script = behaviors.clone();
    let harness = Harness::new(values, move |nth| {
        script.get(nth).cloned().unwrap_or(Behavior::Accept)
    });
    harness.state().requests = requests;
    let memory = MemoryQueue::default();
    let pipeline = match room {
        Some(room) => {
            memory.lock().room = room;
            let store = match is_locked {
                true => memory.locked(),
                false => memory.clone(),
            };
            harness.pipeline().with_store(Box::new(store))
        }
        None => harness.pipeline(),
    };
    let (handle, task) = harness.run(pipeline);
    for step in steps {
        match step {
            Step::Wait(seconds) => sleep(Duration::from_secs(seconds)).await,
            Step::Flush(limit) => {
                let _ = handle.flush_async(Duration::from_secs(limit)).await;
            }
            Step::Fail(operations) => memory.lock().failing = operations,
        }
        harness.totals();
    }
    memory.lock().failing.clear();
    let _ = handle.shutdown_async(5 * SECOND).await;
    task.await.unwrap();
    let totals = harness.totals();
    memory.check();
    assert_eq!(harness.ledger.queued(), memory.contents().pending);
    let events = harness.events();
    let mut unaccounted = events
        .iter()
        .filter(|event| matches!(event, Event::Unaccounted { .. }));
    assert_eq!(unaccounted.next(), None);
    compare(&harness, &behaviors, &totals);
}

/// Compares the account with what the receiver saw.
fn compare(harness: &Harness, behaviors: &[Behavior], totals: &Totals) {
    let items = harness.state().items;
    let (mut exported, mut partial, mut rejected, mut panicked) = (0, 0, 0, 0);
    for nth in 0..harness.attempts() {
        match behaviors.get(nth).unwrap_or(&Behavior::Accept) {
            Behavior::Accept => exported += items,
            Behavior::RejectItems(count) => {
                exported += items - items.min(*count);
                partial += items.min(*count);
            }
            Behavior::Permanent(_) => rejected += items,
            Behavior::Panic => panicked += items,
            Behavior::AcceptSilently
            | Behavior::Retryable(_)
            | Behavior::Hang
            | Behavior::PanicOnDrop => {}
        }
    }
    let dropped = |reason: Reason| totals.dropped[reason as usize];
    assert_eq!(totals.exported, exported);
    assert_eq!(dropped(Reason::Partial), partial);
    assert_eq!(dropped(Reason::Rejected), rejected);
    // The requests in hand when the pipeline panicked, without those still in the persistent queue.
    let torn = dropped(Reason::Panicked) - panicked;
    let is_torn = |behavior: &&Behavior| matches!(behavior, Behavior::PanicOnDrop);
    let most = behaviors
        .iter()
        .take(harness.attempts())
        .filter(is_torn)
        .count() as u64;
    assert!(
        torn.is_multiple_of(items) && torn <= most * items,
        "{torn} of {most} requests"
    );
    assert!(harness.ledger.restarts() <= most);
    // Each request has its own text. A request with a final outcome is in one of the sums above; any
    // other is lost once, as superseded or at the end.
    let texts: std::collections::BTreeSet<_> = harness.texts().into_iter().collect();
    assert!(totals.produced >= texts.len() as u64 * items);
    let lost = [
        Reason::Superseded,
        Reason::Shutdown,
        Reason::PersistentQueueFull,
    ]
    .map(dropped);
    let panicked = dropped(Reason::Panicked);
    let fates = [
        exported,
        partial,
        rejected,
        panicked,
        harness.ledger.queued(),
    ];
    let accounted = fates.iter().chain(&lost).sum::<u64>();
    assert_eq!(totals.produced, accounted);
}
