//! A receiver that is unavailable: for a while, or for a month. For a year see `tests/year.rs`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::time::sleep;

use super::harness::{Behavior, Harness, MINUTE, SECOND, Values};
use crate::{Event, Reason, Schedule};

const MONTH: Duration = Duration::from_secs(30 * 24 * 3600);
const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);

#[tokio::test(start_paused = true)]
async fn a_month_without_a_receiver_costs_next_to_nothing() {
    for values in [Values::Cumulative, Values::Delta, Values::Events] {
        let harness = Harness::new(values, |_| Behavior::Retryable(None));
        // Each request holds as many points as it may.
        harness.state().items = 10_000;
        let (handle, task) = harness.start();
        sleep(MONTH).await;
        let totals = harness.totals();
        // There is an attempt every five minutes, each for one request.
        let most = MONTH.as_secs() / 300 + 20;
        let attempts = harness.attempts() as u64;
        assert!(
            attempts > most - 40 && attempts < most,
            "{attempts} attempts, {values:?}"
        );
        let cycles = harness.state().cycles;
        assert!(cycles <= attempts, "collected {cycles} times");
        assert_eq!(totals.exported, 0);
        assert_eq!(
            harness.ledger.queued(),
            10_000,
            "one request is kept: {values:?}"
        );
        assert_eq!(
            totals.dropped[Reason::Superseded as usize],
            totals.dropped_in_all()
        );
        assert!(matches!(&harness.events()[..], [Event::Unavailable { .. }]));
        // The receiver comes back.
        harness.state().script = Box::new(|_| Behavior::Accept);
        sleep(6 * MINUTE).await;
        assert!(handle.shutdown_async(5 * SECOND).await.is_ok());
        task.await.unwrap();
        let totals = harness.totals();
        assert_eq!(harness.ledger.queued(), 0);
        assert!(totals.exported > 0);
        let state = harness.state();
        let sum: u64 = state.arrived.values().sum();
        match values {
            Values::Cumulative => assert!(state.arrived.values().any(|v| *v == state.recorded)),
            _ => assert_eq!(sum, state.recorded),
        }
        drop(state);
        let [
            Event::Unavailable { .. },
            Event::Recovered { outage, dropped },
        ] = &harness.events()[..]
        else {
            panic!("{:?}", harness.events());
        };
        assert!(outage.abs_diff(MONTH) < 10 * MINUTE);
        assert_eq!(*dropped, totals.dropped_in_all());
    }
}

#[tokio::test(start_paused = true)]
async fn a_receiver_that_never_answers_is_probed_rarely() {
    let harness = Harness::new(Values::Delta, |_| Behavior::Hang);
    let (_handle, _task) = harness.start();
    sleep(24 * 60 * MINUTE).await;
    let attempts = harness.attempts();
    assert!((280..300).contains(&attempts), "{attempts}");
    // The request that may have arrived is kept, and no other one is built.
    assert_eq!(harness.totals().produced, 10);
    assert_eq!(harness.state().cycles, 1);
    assert!(harness.texts().iter().all(|text| text == "1:0:0:1"));
}

#[tokio::test(start_paused = true)]
async fn no_pause_that_a_receiver_asks_for_ends_a_pipeline() {
    for asked in [Duration::from_secs(u64::MAX), Duration::MAX, 400 * YEAR] {
        for values in [Values::Cumulative, Values::Delta, Values::Events] {
            let harness = Harness::new(values, move |nth| match nth % 2 {
                0 => Behavior::Retryable(Some(asked)),
                _ => Behavior::Accept,
            });
            let (handle, task) = harness.start();
            sleep(24 * 60 * MINUTE).await;
            // No attempt is made for five minutes after each failure.
            let attempts = harness.attempts();
            assert!(
                (300..=600).contains(&attempts),
                "{attempts} attempts, {values:?}"
            );
            assert!(harness.totals().exported > 0);
            let _ = handle.shutdown_async(5 * SECOND).await;
            task.await.unwrap();
            harness.totals();
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_outage_is_reported_when_it_begins_and_when_it_ends() {
    let is_up = Arc::new(AtomicBool::new(true));
    let up = Arc::clone(&is_up);
    let harness = Harness::new(Values::Cumulative, move |_| {
        match up.load(Ordering::Relaxed) {
            true => Behavior::Accept,
            false => Behavior::Retryable(None),
        }
    });
    let (_handle, _task) = harness.start();
    for _ in 0..3 {
        is_up.store(true, Ordering::Relaxed);
        sleep(20 * MINUTE).await;
        is_up.store(false, Ordering::Relaxed);
        sleep(20 * MINUTE).await;
    }
    is_up.store(true, Ordering::Relaxed);
    sleep(20 * MINUTE).await;
    let events = harness.events();
    assert_eq!(events.len(), 6, "{events:?}");
    for pair in events.chunks(2) {
        let [
            Event::Unavailable { message, .. },
            Event::Recovered { outage, dropped },
        ] = pair
        else {
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
    harness.totals();
}

#[tokio::test(start_paused = true)]
async fn a_flush_makes_one_attempt_while_the_receiver_is_unavailable() {
    let harness = Harness::new(Values::Cumulative, |_| Behavior::Retryable(None));
    let (handle, _task) = harness.start();
    sleep(60 * MINUTE).await;
    let attempts = harness.attempts();
    let began = tokio::time::Instant::now();
    assert!(handle.flush_async(30 * SECOND).await.is_err());
    assert_eq!(harness.attempts(), attempts + 1);
    assert!(began.elapsed() < SECOND);
    harness.state().script = Box::new(|_| Behavior::Accept);
    assert_eq!(handle.flush_async(30 * SECOND).await, Ok(()));
    assert!(matches!(
        harness.events().last(),
        Some(Event::Recovered { .. })
    ));
    // The cycles continue as before the outage.
    let attempts = harness.attempts();
    sleep(10 * MINUTE).await;
    assert_eq!(harness.attempts(), attempts + 10);
    harness.totals();
}

#[tokio::test(start_paused = true)]
async fn an_interval_longer_than_the_longest_pause_is_observed() {
    let harness = Harness::new(Values::Cumulative, |_| Behavior::Retryable(None));
    let schedule = Schedule::new().with_interval(30 * MINUTE);
    let (_handle, _task) = harness.run(harness.pipeline().with_schedule(schedule));
    sleep(24 * 60 * MINUTE).await;
    let attempts = harness.attempts();
    // The first cycle makes several attempts, each later one makes one.
    assert!((47..=65).contains(&attempts), "{attempts}");
}
