//! A pipeline with a persistent queue: nothing is lost in an outage.

use tokio::time::sleep;

use super::world::{Act, MINUTE, Memory, SECOND, Telling, World};
use crate::{Event, Reason};

fn with_journal(world: &World) -> (Memory, crate::Handle, tokio::task::JoinHandle<()>) {
    let memory = Memory::default();
    let pipeline = world.pipeline().with_store(Box::new(memory.clone()));
    let (handle, task) = world.run(pipeline);
    (memory, handle, task)
}

#[tokio::test(start_paused = true)]
async fn an_outage_is_told_from_the_journal_in_order() {
    for telling in [Telling::Cumulative, Telling::Delta, Telling::Events] {
        let world = World::new(telling, |_| Act::Setback(None));
        world.state().requests = 2;
        let (memory, _handle, _task) = with_journal(&world);
        sleep(60 * MINUTE).await;
        // Collection continued.
        let waiting = memory.kept().requests.len();
        assert_eq!(waiting, 120);
        assert_eq!(world.totals().produced, 1200);
        assert_eq!(world.ledger.queued(), 1200);
        memory.check();
        world.state().tries.clear();
        world.state().script = Box::new(|_| Act::Take);
        sleep(10 * MINUTE).await;
        assert!(memory.kept().requests.is_empty());
        let totals = world.totals();
        assert_eq!((totals.produced, totals.exported), (1400, 1400));
        let rounds: Vec<(u64, u64)> = world.texts().iter().map(|text| place(text)).collect();
        assert!(rounds.is_sorted_by(|a, b| a < b), "{rounds:?}");
        assert_eq!(rounds.len(), 140);
        let [Event::Away { .. }, Event::Back { dropped: 0, .. }] = &world.events()[..] else {
            panic!("{:?}", world.events());
        };
        memory.check();
        assert!(memory.kept().synced >= 60);
    }
}

/// Returns the cycle and the part of a request.
fn place(text: &str) -> (u64, u64) {
    let mut numbers = text.split(':').map(|number| number.parse().unwrap());
    (numbers.next().unwrap(), numbers.next().unwrap())
}

#[tokio::test(start_paused = true)]
async fn differences_add_up_over_an_outage_in_which_tries_hang() {
    let world = World::new(Telling::Delta, |nth| match nth % 7 {
        0 => Act::Take,
        1 | 2 => Act::TakeInSilence,
        3 => Act::Hang,
        _ => Act::Setback(None),
    });
    let (memory, handle, task) = with_journal(&world);
    sleep(300 * MINUTE).await;
    world.state().script = Box::new(|_| Act::Take);
    sleep(10 * MINUTE).await;
    assert_eq!(handle.shutdown_async(5 * SECOND).await, Ok(()));
    task.await.unwrap();
    let state = world.state();
    assert_eq!(state.arrived.values().sum::<u64>(), state.recorded);
    drop(state);
    assert_eq!(world.totals().dropped_in_all(), 0);
    memory.check();
}

#[tokio::test(start_paused = true)]
async fn what_is_left_at_the_end_is_in_the_journal_and_sent_by_the_next_start() {
    for act in [Act::Hang, Act::Setback(None)] {
        let dead = act.clone();
        let world = World::new(Telling::Delta, move |_| dead.clone());
        let (memory, handle, task) = with_journal(&world);
        sleep(5 * MINUTE).await;
        let began = tokio::time::Instant::now();
        assert_eq!(handle.shutdown_async(2 * SECOND).await, Ok(()), "{act:?}");
        assert!(began.elapsed() <= 2 * SECOND);
        task.await.unwrap();
        let totals = world.totals();
        assert_eq!(totals.dropped_in_all(), 0);
        assert_eq!(world.ledger.queued(), totals.produced);
        assert!(
            matches!(&world.events()[..], [Event::Away { .. }]),
            "{:?}",
            world.events()
        );
        memory.check();
        // The next process starts.
        let next = World::new(Telling::Delta, |_| Act::Take);
        next.state().begun = 1000;
        let kept = memory.kept().totals;
        next.ledger.restore(&kept, totals.produced);
        let (next_handle, next_task) =
            next.run(next.pipeline().with_store(Box::new(memory.clone())));
        assert_eq!(next_handle.shutdown_async(5 * SECOND).await, Ok(()));
        next_task.await.unwrap();
        let totals = next.totals();
        assert_eq!(totals.exported, totals.produced);
        assert_eq!(next.ledger.queued(), 0);
        let sum: u64 = next.state().arrived.values().sum();
        assert_eq!(sum, world.state().recorded + next.state().recorded);
        memory.check();
    }
}

#[tokio::test(start_paused = true)]
async fn a_full_journal_takes_what_it_can_and_the_rest_is_counted() {
    let world = World::new(Telling::Delta, |_| Act::Setback(None));
    let memory = Memory::default();
    memory.kept().room = 5;
    let pipeline = world.pipeline().with_store(Box::new(memory.clone()));
    let (handle, task) = world.run(pipeline);
    sleep(120 * MINUTE).await;
    assert_eq!(memory.kept().requests.len(), 5);
    // Nothing is collected for a full persistent queue, except for one request that shows that it is
    // full.
    assert!(world.state().begun < 10, "{}", world.state().begun);
    assert!(world.dropped(Reason::JournalFull) > 0);
    world.totals();
    world.state().script = Box::new(|_| Act::Take);
    sleep(10 * MINUTE).await;
    assert_eq!(handle.shutdown_async(5 * SECOND).await, Ok(()));
    task.await.unwrap();
    let totals = world.totals();
    assert_eq!(world.ledger.queued(), 0);
    assert_eq!(totals.dropped_in_all(), world.dropped(Reason::JournalFull));
    // Later deltas include what was dropped.
    let state = world.state();
    assert_eq!(state.arrived.values().sum::<u64>(), state.recorded);
    drop(state);
    let events = world.events();
    assert!(
        matches!(
            &events[..],
            [Event::Away { .. }, Event::JournalFull, Event::Back { .. }]
        ),
        "{events:?}"
    );
    memory.check();
}

#[tokio::test(start_paused = true)]
async fn a_long_journal_is_sent_between_the_rounds_too() {
    let world = World::new(Telling::Events, |_| Act::Setback(None));
    world.state().requests = 50;
    let (memory, _handle, _task) = with_journal(&world);
    sleep(10 * 60 * MINUTE).await;
    assert_eq!(memory.kept().requests.len(), 30_000);
    // Each request takes 5 ms, so sending them takes two and a half minutes.
    world.state().script = Box::new(|_| Act::Take);
    sleep(9 * MINUTE).await;
    assert!(memory.kept().requests.is_empty());
    let totals = world.totals();
    assert_eq!(totals.exported, totals.produced);
}
