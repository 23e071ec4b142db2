//! The effect of each answer on an export cycle.

use std::time::Duration;

use tokio::time::sleep;

use super::harness::{Behavior, Harness, MINUTE, SECOND, Values};
use crate::{Event, Permanent, Reason, Schedule, Unfinished};

#[tokio::test(start_paused = true)]
async fn every_interval_everything_is_delivered() {
    let harness = Harness::new(Values::Cumulative, |_| Behavior::Accept);
    harness.state().requests = 3;
    let (_handle, _task) = harness.start();
    sleep(10 * MINUTE).await;
    let totals = harness.totals();
    assert_eq!((totals.produced, totals.exported), (300, 300));
    assert_eq!(harness.attempts(), 30);
    let first_of_round: Vec<_> = harness
        .state()
        .attempts
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
    assert_eq!(harness.events(), []);
}

#[tokio::test(start_paused = true)]
async fn the_first_cycle_begins_at_a_random_time_within_the_first_interval() {
    let mut firsts = Vec::new();
    for _ in 0..20 {
        let harness = Harness::new(Values::Cumulative, |_| Behavior::Accept);
        let began = tokio::time::Instant::now();
        let (_handle, task) = harness.start();
        sleep(MINUTE + SECOND).await;
        firsts.push((harness.state().attempts[0].0 - began).as_secs());
        task.abort();
    }
    assert!(firsts.iter().all(|first| *first <= 60), "{firsts:?}");
    let spread = firsts.iter().max().unwrap() - firsts.iter().min().unwrap();
    assert!(spread > 10, "{firsts:?}");
}

#[tokio::test(start_paused = true)]
async fn a_retryable_failure_is_retried_within_the_cycle() {
    let harness = Harness::new(Values::Cumulative, |nth| match nth {
        0 | 1 => Behavior::Retryable(None),
        _ => Behavior::Accept,
    });
    let (handle, _task) = harness.start();
    assert_eq!(handle.flush_async(30 * SECOND).await, Ok(()));
    assert_eq!(harness.texts(), ["1:0:0:1"; 3]);
    assert_eq!(harness.totals().exported, 10);
    assert_eq!(harness.events(), []);
}

#[tokio::test(start_paused = true)]
async fn retry_after_is_honored() {
    let harness = Harness::new(Values::Cumulative, |nth| match nth {
        0 => Behavior::Retryable(Some(8 * SECOND)),
        _ => Behavior::Accept,
    });
    let (handle, _task) = harness.start();
    assert_eq!(handle.flush_async(30 * SECOND).await, Ok(()));
    let attempts = harness.state().attempts.clone();
    let pause = attempts[1].0 - attempts[0].0;
    assert!(pause >= 8 * SECOND && pause < 9 * SECOND, "{pause:?}");
}

#[tokio::test(start_paused = true)]
async fn retry_after_past_the_deadline_ends_the_cycle_and_delays_the_next() {
    let harness = Harness::new(Values::Cumulative, |nth| match nth {
        0 => Behavior::Retryable(Some(150 * SECOND)),
        _ => Behavior::Accept,
    });
    let (_handle, _task) = harness.start();
    sleep(6 * MINUTE).await;
    let attempts = harness.state().attempts.clone();
    let pause = attempts[1].0 - attempts[0].0;
    // The second attempt comes with the first cycle after 150 s, at once and not 10 s later.
    assert!(pause.abs_diff(3 * MINUTE) < SECOND, "{pause:?}");
    assert_eq!(harness.dropped(Reason::Superseded), 10);
    harness.totals();
}

#[tokio::test(start_paused = true)]
async fn the_attempts_of_a_request_end_at_its_deadline() {
    let harness = Harness::new(Values::Cumulative, |_| Behavior::Retryable(None));
    let (handle, _task) = harness.start();
    let began = tokio::time::Instant::now();
    let result = handle.flush_async(60 * SECOND).await;
    assert_eq!(result, Err(Unfinished::Undelivered));
    assert!(began.elapsed() <= 10 * SECOND, "{:?}", began.elapsed());
    assert!(
        (3..=14).contains(&harness.attempts()),
        "{}",
        harness.attempts()
    );
}

#[tokio::test(start_paused = true)]
async fn a_permanent_failure_is_not_retried_and_is_reported_once() {
    let harness = Harness::new(Values::Cumulative, |_| Behavior::Permanent("400"));
    harness.state().requests = 2;
    let (_handle, _task) = harness.start();
    sleep(10 * MINUTE).await;
    let totals = harness.totals();
    assert_eq!(totals.produced, 200);
    assert_eq!(harness.dropped(Reason::Rejected), 200);
    assert_eq!(harness.attempts(), 20);
    assert!(matches!(
        &harness.events()[..],
        [Event::Refused { items: 10, .. }]
    ));
}

#[tokio::test(start_paused = true)]
async fn a_partial_success_is_counted_and_not_sent_again() {
    let harness = Harness::new(Values::Cumulative, |nth| match nth {
        0 => Behavior::RejectItems(3),
        1 => Behavior::RejectItems(0),
        // More items than the request contains.
        2 => Behavior::RejectItems(u64::MAX),
        _ => Behavior::Accept,
    });
    let (handle, _task) = harness.start();
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
    let totals = harness.totals();
    assert_eq!((totals.produced, totals.exported), (40, 27));
    assert_eq!(harness.dropped(Reason::Partial), 13);
    assert_eq!(harness.attempts(), 4);
    let events = harness.events();
    assert!(
        matches!(
            &events[..],
            [Event::Partial { rejected: 3, .. }, Event::Warning { .. }]
        ),
        "{events:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_delta_that_may_have_arrived_is_sent_again_unchanged_and_first() {
    let harness = Harness::new(Values::Delta, |nth| match nth {
        0 => Behavior::AcceptSilently,
        1 => Behavior::Retryable(None),
        _ => Behavior::Accept,
    });
    let (handle, _task) = harness.start();
    assert!(handle.flush_async(30 * SECOND).await.is_err());
    assert!(handle.flush_async(30 * SECOND).await.is_err());
    assert_eq!(
        harness.totals().produced,
        10,
        "nothing newer is made before"
    );
    assert_eq!(handle.flush_async(30 * SECOND).await, Ok(()));
    assert_eq!(
        harness.texts(),
        ["1:0:0:1", "1:0:0:1", "1:0:0:1", "2:0:1:2"]
    );
    let state = harness.state();
    assert_eq!(state.arrived.values().sum::<u64>(), state.recorded);
    drop(state);
    let totals = harness.totals();
    assert_eq!((totals.produced, totals.exported), (20, 20));
}

#[tokio::test(start_paused = true)]
async fn a_delta_that_did_not_arrive_is_superseded_by_the_next_cycle() {
    let harness = Harness::new(Values::Delta, |nth| match nth {
        0..10 => Behavior::Retryable(None),
        _ => Behavior::Accept,
    });
    let (handle, _task) = harness.start();
    sleep(20 * MINUTE).await;
    handle.flush_async(10 * SECOND).await.unwrap();
    let state = harness.state();
    assert_eq!(state.arrived.values().sum::<u64>(), state.recorded);
    drop(state);
    assert!(harness.dropped(Reason::Superseded) > 0);
    harness.totals();
}

#[tokio::test(start_paused = true)]
async fn a_sum_that_may_have_arrived_is_superseded_by_the_next_cycle() {
    let harness = Harness::new(Values::Cumulative, |nth| match nth {
        0 => Behavior::AcceptSilently,
        _ => Behavior::Accept,
    });
    let (handle, _task) = harness.start();
    assert!(handle.flush_async(30 * SECOND).await.is_err());
    assert_eq!(harness.ledger.queued(), 10, "not overtaken yet");
    assert_eq!(handle.flush_async(30 * SECOND).await, Ok(()));
    assert_eq!(harness.texts(), ["1:0:0:1", "2:0:0:2"]);
    assert_eq!(harness.dropped(Reason::Superseded), 10);
    harness.totals();
}

#[tokio::test(start_paused = true)]
async fn events_are_sent_again_unchanged() {
    let harness = Harness::new(Values::Events, |nth| match nth {
        0..9 => Behavior::Retryable(None),
        _ => Behavior::Accept,
    });
    let (_handle, _task) = harness.start();
    sleep(30 * MINUTE).await;
    let totals = harness.totals();
    assert_eq!(totals.produced, totals.exported);
    let state = harness.state();
    assert_eq!(state.arrived.values().sum::<u64>(), state.recorded);
}

#[tokio::test(start_paused = true)]
async fn a_panic_of_the_transport_costs_one_request() {
    let harness = Harness::new(Values::Delta, |nth| match nth {
        1 => Behavior::Panic,
        _ => Behavior::Accept,
    });
    harness.state().requests = 3;
    let (handle, _task) = harness.start();
    assert_eq!(
        handle.flush_async(SECOND).await,
        Err(Unfinished::Undelivered)
    );
    assert_eq!(handle.flush_async(SECOND).await, Ok(()));
    let totals = harness.totals();
    assert_eq!((totals.produced, totals.exported), (60, 50));
    assert_eq!(harness.dropped(Reason::Panicked), 10);
    assert_eq!(harness.events(), [Event::Panicked { part: "transport" }]);
}

#[tokio::test(start_paused = true)]
async fn a_panic_while_collecting_costs_one_cycle() {
    let harness = Harness::new(Values::Cumulative, |_| Behavior::Accept);
    let mut calls = 0;
    harness.state().on_begin = Some(Box::new(move || {
        calls += 1;
        assert!(calls != 2, "a callback that panics");
    }));
    let (_handle, _task) = harness.start();
    sleep(4 * MINUTE).await;
    assert_eq!(harness.totals().exported, 30);
    assert_eq!(harness.events(), [Event::Panicked { part: "collecting" }]);
}

#[tokio::test(start_paused = true)]
async fn a_request_too_large_is_counted_as_such() {
    // The transport reports this, because it knows the size after compression.
    let harness = Harness::new(Values::Cumulative, |_| {
        Behavior::Permanent(Permanent::TOO_LARGE)
    });
    let (handle, _task) = harness.start();
    assert_eq!(
        handle.flush_async(SECOND).await,
        Err(Unfinished::Undelivered)
    );
    assert_eq!(harness.attempts(), 1);
    assert!(matches!(
        &harness.events()[..],
        [Event::TooLarge { items: 10, .. }]
    ));
    assert_eq!(harness.dropped(Reason::TooLarge), 10);
    harness.totals();
}

#[tokio::test(start_paused = true)]
async fn a_cycle_past_its_time_limit_is_given_up_and_reported() {
    let harness = Harness::new(Values::Delta, |nth| match nth % 2 {
        0 => Behavior::Retryable(Some(SECOND)),
        _ => Behavior::Accept,
    });
    harness.state().requests = 100;
    let schedule = Schedule::new().with_timeout(20 * SECOND);
    let pipeline = harness.pipeline().with_schedule(schedule);
    let (_handle, _task) = harness.run(pipeline);
    sleep(3 * MINUTE).await;
    let totals = harness.totals();
    assert!(totals.exported > 100 && totals.exported < 900, "{totals:?}");
    assert!(matches!(
        &harness.events()[..],
        [Event::ExportTimedOut { .. }]
    ));
}
