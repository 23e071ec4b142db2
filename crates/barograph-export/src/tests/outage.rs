//! A receiver that is unavailable: for a while, or for a month. For a year see `tests/year.rs`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::time::sleep;

use super::world::{Act, MINUTE, SECOND, Telling, World};
use crate::{Event, Reason, Schedule};

const MONTH: Duration = Duration::from_secs(30 * 24 * 3600);
const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);

#[tokio::test(start_paused = true)]
async fn a_month_without_a_receiver_costs_next_to_nothing() {
    for telling in [Telling::Cumulative, Telling::Delta, Telling::Events] {
        let world = World::new(telling, |_| Act::Setback(None));
        // Each request holds as many points as it may.
        world.state().items = 10_000;
        let (handle, task) = world.start();
        sleep(MONTH).await;
        let totals = world.totals();
        // There is an attempt every five minutes, each for one request.
        let most = MONTH.as_secs() / 300 + 20;
        let tries = world.tries() as u64;
        assert!(
            tries > most - 40 && tries < most,
            "{tries} tries, {telling:?}"
        );
        let begun = world.state().begun;
        assert!(begun <= tries, "collected {begun} times");
        assert_eq!(totals.exported, 0);
        assert_eq!(
            world.ledger.queued(),
            10_000,
            "one request is kept: {telling:?}"
        );
        assert_eq!(
            totals.dropped[Reason::Superseded as usize],
            totals.dropped_in_all()
        );
        assert!(matches!(&world.events()[..], [Event::Away { .. }]));
        // The receiver comes back.
        world.state().script = Box::new(|_| Act::Take);
        sleep(6 * MINUTE).await;
        assert!(handle.shutdown_async(5 * SECOND).await.is_ok());
        task.await.unwrap();
        let totals = world.totals();
        assert_eq!(world.ledger.queued(), 0);
        assert!(totals.exported > 0);
        let state = world.state();
        let sum: u64 = state.arrived.values().sum();
        match telling {
            Telling::Cumulative => assert!(state.arrived.values().any(|v| *v == state.recorded)),
            _ => assert_eq!(sum, state.recorded),
        }
        drop(state);
        let [Event::Away { .. }, Event::Back { outage, dropped }] = &world.events()[..] else {
            panic!("{:?}", world.events());
        };
        assert!(outage.abs_diff(MONTH) < 10 * MINUTE);
        assert_eq!(*dropped, totals.dropped_in_all());
    }
}

#[tokio::test(start_paused = true)]
async fn a_receiver_that_never_answers_is_left_alone_too() {
    let world = World::new(Telling::Delta, |_| Act::Hang);
    let (_handle, _task) = world.start();
    sleep(24 * 60 * MINUTE).await;
    let tries = world.tries();
    assert!((280..300).contains(&tries), "{tries}");
    // The request that may have arrived is kept, and no other one is built.
    assert_eq!(world.totals().produced, 10);
    assert_eq!(world.state().begun, 1);
    assert!(world.texts().iter().all(|text| text == "1:0:0:1"));
}

#[tokio::test(start_paused = true)]
async fn no_pause_that_a_receiver_asks_for_ends_a_pipeline() {
    for asked in [Duration::from_secs(u64::MAX), Duration::MAX, 400 * YEAR] {
        for telling in [Telling::Cumulative, Telling::Delta, Telling::Events] {
            let world = World::new(telling, move |nth| match nth % 2 {
                0 => Act::Setback(Some(asked)),
                _ => Act::Take,
            });
            let (handle, task) = world.start();
            sleep(24 * 60 * MINUTE).await;
            // No attempt is made for five minutes after each failure.
            let tries = world.tries();
            assert!((300..=600).contains(&tries), "{tries} tries, {telling:?}");
            assert!(world.totals().exported > 0);
            let _ = handle.shutdown_async(5 * SECOND).await;
            task.await.unwrap();
            world.totals();
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_short_outage_is_told_when_it_begins_and_when_it_ends() {
    let is_up = Arc::new(AtomicBool::new(true));
    let up = Arc::clone(&is_up);
    let world = World::new(Telling::Cumulative, move |_| {
        match up.load(Ordering::Relaxed) {
            true => Act::Take,
            false => Act::Setback(None),
        }
    });
    let (_handle, _task) = world.start();
    for _ in 0..3 {
        is_up.store(true, Ordering::Relaxed);
        sleep(20 * MINUTE).await;
        is_up.store(false, Ordering::Relaxed);
        sleep(20 * MINUTE).await;
    }
    is_up.store(true, Ordering::Relaxed);
    sleep(20 * MINUTE).await;
    let events = world.events();
    assert_eq!(events.len(), 6, "{events:?}");
    for pair in events.chunks(2) {
        let [Event::Away { message, .. }, Event::Back { outage, dropped }] = pair else {
            panic!("{events:?}");
        };
        assert_eq!(message, "busy");
        assert!(
            *outage >= 15 * MINUTE && *outage <= 25 * MINUTE,
            "{outage:?}"
        );
        // There is a request for each attempt: after 0, 1, 3, 7, 12 and 17 minutes.
        assert!((50..=70).contains(dropped), "{dropped}");
    }
    world.totals();
}

#[tokio::test(start_paused = true)]
async fn a_flush_tries_a_receiver_that_was_away_once() {
    let world = World::new(Telling::Cumulative, |_| Act::Setback(None));
    let (handle, _task) = world.start();
    sleep(60 * MINUTE).await;
    let tries = world.tries();
    let began = tokio::time::Instant::now();
    assert!(handle.flush_async(30 * SECOND).await.is_err());
    assert_eq!(world.tries(), tries + 1);
    assert!(began.elapsed() < SECOND);
    world.state().script = Box::new(|_| Act::Take);
    assert_eq!(handle.flush_async(30 * SECOND).await, Ok(()));
    assert!(matches!(world.events().last(), Some(Event::Back { .. })));
    // The cycles continue as before the outage.
    let tries = world.tries();
    sleep(10 * MINUTE).await;
    assert_eq!(world.tries(), tries + 10);
    world.totals();
}

#[tokio::test(start_paused = true)]
async fn intervals_longer_than_the_longest_pause_are_kept() {
    let world = World::new(Telling::Cumulative, |_| Act::Setback(None));
    let schedule = Schedule::new().with_interval(30 * MINUTE);
    let (_handle, _task) = world.run(world.pipeline().with_schedule(schedule));
    sleep(24 * 60 * MINUTE).await;
    let tries = world.tries();
    // The first cycle makes several attempts, each later one makes one.
    assert!((47..=65).contains(&tries), "{tries}");
}
