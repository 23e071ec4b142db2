//! The account under random answers, compared with a model that only counts.

use std::time::Duration;

use proptest::prelude::*;
use tokio::time::sleep;

use super::world::{Act, Memory, SECOND, Telling, World};
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

pub(super) fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        6 => Just(Act::Take),
        1 => Just(Act::TakeInSilence),
        1 => (0..20_u64).prop_map(Act::Reject),
        4 => prop::option::of(asked()).prop_map(Act::Setback),
        1 => Just(Act::Refuse("400")),
        1 => Just(Act::Hang),
        1 => Just(Act::Panic),
        1 => Just(Act::PanicOnDrop),
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

fn telling() -> impl Strategy<Value = Telling> {
    prop_oneof![
        Just(Telling::Cumulative),
        Just(Telling::Delta),
        Just(Telling::Events),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn the_account_is_exact_whatever_the_receiver_does(
        telling in telling(),
        acts in prop::collection::vec(act(), 1..40),
        steps in prop::collection::vec(step(), 1..12),
        requests in 1..4_u64,
        journal in prop::option::of(0..6_usize),
        is_locked in any::<bool>(),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(check(telling, acts, steps, requests, journal, is_locked));
    }
}

async fn check(
    telling: Telling,
    acts: Vec<Act>,
    steps: Vec<Step>,
    requests: u64,
    room: Option<usize>,
    is_locked: bool,
) {
    let script = acts.clone();
    let world = World::new(telling, move |nth| {
        script.get(nth).cloned().unwrap_or(Act::Take)
    });
    world.state().requests = requests;
    let memory = Memory::default();
    let pipeline = match room {
        Some(room) => {
            memory.kept().room = room;
            let store = match is_locked {
                true => memory.locked(),
                false => memory.clone(),
            };
            world.pipeline().with_store(Box::new(store))
        }
        None => world.pipeline(),
    };
    let (handle, task) = world.run(pipeline);
    for step in steps {
        match step {
            Step::Wait(seconds) => sleep(Duration::from_secs(seconds)).await,
            Step::Flush(limit) => {
                let _ = handle.flush_async(Duration::from_secs(limit)).await;
            }
            Step::Fail(operations) => memory.kept().failing = operations,
        }
        world.totals();
    }
    memory.kept().failing.clear();
    let _ = handle.shutdown_async(5 * SECOND).await;
    task.await.unwrap();
    let totals = world.totals();
    memory.check();
    assert_eq!(world.ledger.queued(), memory.pending_items());
    let events = world.events();
    let mut unaccounted = events
        .iter()
        .filter(|event| matches!(event, Event::Unaccounted { .. }));
    assert_eq!(unaccounted.next(), None);
    compare(&world, &acts, &totals);
}

/// Compares the account with what the receiver saw.
fn compare(world: &World, acts: &[Act], totals: &Totals) {
    let items = world.state().items;
    let (mut exported, mut partial, mut rejected, mut panicked) = (0, 0, 0, 0);
    for nth in 0..world.tries() {
        match acts.get(nth).unwrap_or(&Act::Take) {
            Act::Take => exported += items,
            Act::Reject(count) => {
                exported += items - items.min(*count);
                partial += items.min(*count);
            }
            Act::Refuse(_) => rejected += items,
            Act::Panic => panicked += items,
            Act::TakeInSilence | Act::Setback(_) | Act::Hang | Act::PanicOnDrop => {}
        }
    }
    let dropped = |reason: Reason| totals.dropped[reason as usize];
    assert_eq!(totals.exported, exported);
    assert_eq!(dropped(Reason::Partial), partial);
    assert_eq!(dropped(Reason::Rejected), rejected);
    // The requests in hand when the pipeline panicked, without those still in the persistent queue.
    let torn = dropped(Reason::Panicked) - panicked;
    let is_torn = |act: &&Act| matches!(act, Act::PanicOnDrop);
    let most = acts.iter().take(world.tries()).filter(is_torn).count() as u64;
    assert!(
        torn.is_multiple_of(items) && torn <= most * items,
        "{torn} of {most} requests"
    );
    assert!(world.ledger.restarts() <= most);
    // Each request has its own text. A request with a final outcome is in one of the sums above; any
    // other is lost once, as superseded or at the end.
    let texts: std::collections::BTreeSet<_> = world.texts().into_iter().collect();
    assert!(totals.produced >= texts.len() as u64 * items);
    let lost = [Reason::Superseded, Reason::Shutdown, Reason::JournalFull].map(dropped);
    let panicked = dropped(Reason::Panicked);
    let fates = [exported, partial, rejected, panicked, world.ledger.queued()];
    let accounted = fates.iter().chain(&lost).sum::<u64>();
    assert_eq!(totals.produced, accounted);
}
