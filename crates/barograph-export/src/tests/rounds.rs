//! The effect of each answer on an export cycle.

use std::time::Duration;

use tokio::time::sleep;

use super::world::{Act, MINUTE, SECOND, Telling, World};
use crate::{Event, Reason, Refusal, Schedule, Unfinished};

#[tokio::test(start_paused = true)]
async fn every_interval_everything_is_delivered() {
    let world = World::new(Telling::Cumulative, |_| Act::Take);
    world.state().requests = 3;
    let (_handle, _task) = world.start();
    sleep(10 * MINUTE).await;
    let totals = world.totals();
    assert_eq!((totals.produced, totals.exported), (300, 300));
    assert_eq!(world.tries(), 30);
    let first_of_round: Vec<_> = world
        .state()
        .tries
        .iter()
        .step_by(3)
        .map(|(at, _)| *at)
        .collect();
    for pair in first_of_round.windows(2) {
        assert!(
            (pair[1] - pair[0]).abs_diff(MINUTE) < Duration::from_millis(10),
            "{pair:?}"
        );
    }
    assert_eq!(world.events(), []);
}

#[tokio::test(start_paused = true)]
async fn first_rounds_come_by_chance_within_the_first_interval() {
    let mut firsts = Vec::new();
    for _ in 0..20 {
        let world = World::new(Telling::Cumulative, |_| Act::Take);
        let began = tokio::time::Instant::now();
        let (_handle, task) = world.start();
        sleep(MINUTE + SECOND).await;
        firsts.push((world.state().tries[0].0 - began).as_secs());
        task.abort();
    }
    assert!(firsts.iter().all(|first| *first <= 60), "{firsts:?}");
    let spread = firsts.iter().max().unwrap() - firsts.iter().min().unwrap();
    assert!(spread > 10, "{firsts:?}");
}

#[tokio::test(start_paused = true)]
async fn a_setback_is_tried_again_within_the_round() {
    let world = World::new(Telling::Cumulative, |nth| match nth {
        0 | 1 => Act::Setback(None),
        _ => Act::Take,
    });
    let (handle, _task) = world.start();
    assert_eq!(handle.flush_async(30 * SECOND).await, Ok(()));
    assert_eq!(world.texts(), ["1:0:0:1"; 3]);
    assert_eq!(world.totals().exported, 10);
    assert_eq!(world.events(), []);
}

#[tokio::test(start_paused = true)]
async fn what_the_receiver_asks_for_is_waited() {
    let world = World::new(Telling::Cumulative, |nth| match nth {
        0 => Act::Setback(Some(8 * SECOND)),
        _ => Act::Take,
    });
    let (handle, _task) = world.start();
    assert_eq!(handle.flush_async(30 * SECOND).await, Ok(()));
    let tries = world.state().tries.clone();
    let pause = tries[1].0 - tries[0].0;
    assert!(pause >= 8 * SECOND && pause < 9 * SECOND, "{pause:?}");
}

#[tokio::test(start_paused = true)]
async fn what_the_receiver_asks_for_past_the_deadline_ends_the_round_and_is_remembered() {
    let world = World::new(Telling::Cumulative, |nth| match nth {
        0 => Act::Setback(Some(150 * SECOND)),
        _ => Act::Take,
    });
    let (_handle, _task) = world.start();
    sleep(6 * MINUTE).await;
    let tries = world.state().tries.clone();
    let pause = tries[1].0 - tries[0].0;
    // The second attempt comes with the first cycle after 150 s, at once and not 10 s later.
    assert!(pause.abs_diff(3 * MINUTE) < SECOND, "{pause:?}");
    assert_eq!(world.dropped(Reason::Superseded), 10);
    world.totals();
}

#[tokio::test(start_paused = true)]
async fn the_tries_of_a_request_end_with_its_time() {
    let world = World::new(Telling::Cumulative, |_| Act::Setback(None));
    let (handle, _task) = world.start();
    let began = tokio::time::Instant::now();
    let result = handle.flush_async(60 * SECOND).await;
    assert_eq!(result, Err(Unfinished::Undelivered));
    assert!(began.elapsed() <= 10 * SECOND, "{:?}", began.elapsed());
    assert!((3..=14).contains(&world.tries()), "{}", world.tries());
}

#[tokio::test(start_paused = true)]
async fn what_is_refused_is_not_sent_again_and_told_once() {
    let world = World::new(Telling::Cumulative, |_| Act::Refuse("400"));
    world.state().requests = 2;
    let (_handle, _task) = world.start();
    sleep(10 * MINUTE).await;
    let totals = world.totals();
    assert_eq!(totals.produced, 200);
    assert_eq!(world.dropped(Reason::Rejected), 200);
    assert_eq!(world.tries(), 20);
    assert!(matches!(
        &world.events()[..],
        [Event::Refused { items: 10, .. }]
    ));
}

#[tokio::test(start_paused = true)]
async fn a_partial_success_is_counted_and_not_sent_again() {
    let world = World::new(Telling::Cumulative, |nth| match nth {
        0 => Act::Reject(3),
        1 => Act::Reject(0),
        // More items than the request contains.
        2 => Act::Reject(u64::MAX),
        _ => Act::Take,
    });
    let (handle, _task) = world.start();
    assert_eq!(
        handle.flush_async(SECOND).await,
        Err(Unfinished::Undelivered)
    );
    assert_eq!(handle.flush_async(SECOND).await, Ok(()));
    assert_eq!(
        handle.flush_async(SECOND).await,
        Err(Unfinished::Undelivered)
    );
    assert_eq!(handle.flush_async(SECOND).await, Ok(()));
    let totals = world.totals();
    assert_eq!((totals.produced, totals.exported), (40, 27));
    assert_eq!(world.dropped(Reason::Partial), 13);
    assert_eq!(world.tries(), 4);
    let events = world.events();
    assert!(
        matches!(
            &events[..],
            [Event::Partial { rejected: 3, .. }, Event::Warning { .. }]
        ),
        "{events:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_difference_that_may_have_arrived_is_sent_again_unchanged_and_first() {
    let world = World::new(Telling::Delta, |nth| match nth {
        0 => Act::TakeInSilence,
        1 => Act::Setback(None),
        _ => Act::Take,
    });
    let (handle, _task) = world.start();
    assert!(handle.flush_async(30 * SECOND).await.is_err());
    assert!(handle.flush_async(30 * SECOND).await.is_err());
    assert_eq!(world.totals().produced, 10, "nothing newer is made before");
    assert_eq!(handle.flush_async(30 * SECOND).await, Ok(()));
    assert_eq!(world.texts(), ["1:0:0:1", "1:0:0:1", "1:0:0:1", "2:0:1:2"]);
    let state = world.state();
    assert_eq!(state.arrived.values().sum::<u64>(), state.recorded);
    drop(state);
    let totals = world.totals();
    assert_eq!((totals.produced, totals.exported), (20, 20));
}

#[tokio::test(start_paused = true)]
async fn a_difference_that_reached_nobody_is_told_anew() {
    let world = World::new(Telling::Delta, |nth| match nth {
        0..10 => Act::Setback(None),
        _ => Act::Take,
    });
    let (handle, _task) = world.start();
    sleep(20 * MINUTE).await;
    handle.flush_async(10 * SECOND).await.unwrap();
    let state = world.state();
    assert_eq!(state.arrived.values().sum::<u64>(), state.recorded);
    drop(state);
    assert!(world.dropped(Reason::Superseded) > 0);
    world.totals();
}

#[tokio::test(start_paused = true)]
async fn a_sum_that_may_have_arrived_is_told_anew() {
    let world = World::new(Telling::Cumulative, |nth| match nth {
        0 => Act::TakeInSilence,
        _ => Act::Take,
    });
    let (handle, _task) = world.start();
    assert!(handle.flush_async(30 * SECOND).await.is_err());
    assert_eq!(world.ledger.queued(), 10, "not overtaken yet");
    assert_eq!(handle.flush_async(30 * SECOND).await, Ok(()));
    assert_eq!(world.texts(), ["1:0:0:1", "2:0:0:2"]);
    assert_eq!(world.dropped(Reason::Superseded), 10);
    world.totals();
}

#[tokio::test(start_paused = true)]
async fn events_are_sent_again_unchanged() {
    let world = World::new(Telling::Events, |nth| match nth {
        0..9 => Act::Setback(None),
        _ => Act::Take,
    });
    let (_handle, _task) = world.start();
    sleep(30 * MINUTE).await;
    let totals = world.totals();
    assert_eq!(totals.produced, totals.exported);
    let state = world.state();
    assert_eq!(state.arrived.values().sum::<u64>(), state.recorded);
}

#[tokio::test(start_paused = true)]
async fn a_panic_of_the_transport_costs_one_request() {
    let world = World::new(Telling::Delta, |nth| match nth {
        1 => Act::Panic,
        _ => Act::Take,
    });
    world.state().requests = 3;
    let (handle, _task) = world.start();
    assert_eq!(
        handle.flush_async(SECOND).await,
        Err(Unfinished::Undelivered)
    );
    assert_eq!(handle.flush_async(SECOND).await, Ok(()));
    let totals = world.totals();
    assert_eq!((totals.produced, totals.exported), (60, 50));
    assert_eq!(world.dropped(Reason::Panicked), 10);
    assert_eq!(world.events(), [Event::Panicked { part: "transport" }]);
}

#[tokio::test(start_paused = true)]
async fn a_panic_while_collecting_costs_one_round() {
    let world = World::new(Telling::Cumulative, |_| Act::Take);
    let mut calls = 0;
    world.state().on_begin = Some(Box::new(move || {
        calls += 1;
        assert!(calls != 2, "a callback that panics");
    }));
    let (_handle, _task) = world.start();
    sleep(4 * MINUTE).await;
    assert_eq!(world.totals().exported, 30);
    assert_eq!(world.events(), [Event::Panicked { part: "collecting" }]);
}

#[tokio::test(start_paused = true)]
async fn a_request_too_large_is_counted_as_such() {
    // The transport reports this, because it knows the size after compression.
    let world = World::new(Telling::Cumulative, |_| Act::Refuse(Refusal::TOO_LARGE));
    let (handle, _task) = world.start();
    assert_eq!(
        handle.flush_async(SECOND).await,
        Err(Unfinished::Undelivered)
    );
    assert_eq!(world.tries(), 1);
    assert!(matches!(
        &world.events()[..],
        [Event::TooLarge { items: 10, .. }]
    ));
    assert_eq!(world.dropped(Reason::TooLarge), 10);
    world.totals();
}

#[tokio::test(start_paused = true)]
async fn a_round_that_takes_too_long_is_given_up_and_told() {
    let world = World::new(Telling::Delta, |nth| match nth % 2 {
        0 => Act::Setback(Some(SECOND)),
        _ => Act::Take,
    });
    world.state().requests = 100;
    let schedule = Schedule::new().with_timeout(20 * SECOND);
    let pipeline = world.pipeline().with_schedule(schedule);
    let (_handle, _task) = world.run(pipeline);
    sleep(3 * MINUTE).await;
    let totals = world.totals();
    assert!(totals.exported > 100 && totals.exported < 900, "{totals:?}");
    assert!(matches!(&world.events()[..], [Event::Slow { .. }]));
}
