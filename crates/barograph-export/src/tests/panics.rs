//! Panics in the driver, around it or beneath it: the pipelines continue, and their accounts balance.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use barograph_model::snapshot::{Source as _, Value};
use tokio::time::{sleep, timeout};

use super::harness::{Behavior, Harness, MINUTE, MemoryQueue, SECOND, Values};
use crate::{Driver, Event, LedgerSource, Reason, Schedule, Unfinished};

const MILLI: Duration = Duration::from_millis(1);
const ALL: [Values; 3] = [Values::Cumulative, Values::Delta, Values::Events];

/// Returns the value of the restarts metric.
fn shown(harness: &Harness) -> u64 {
    let mut shown = None;
    for family in LedgerSource::new([harness.ledger.clone()]).collect() {
        if &*family.descriptor().name == "barograph.export.restarts" {
            family.read(0, &mut |point| match point.value {
                Value::U64(count) => shown = Some(count),
                _ => panic!("it is a count"),
            });
        }
    }
    shown.expect("the family is shown")
}

#[tokio::test(start_paused = true)]
async fn a_pipeline_that_panics_is_restarted_and_its_account_balances() {
    for values in ALL {
        for has_persistent_queue in [false, true] {
            let harness = Harness::new(values, |nth| match nth % 5 {
                2 => Behavior::PanicOnDrop,
                _ => Behavior::Accept,
            });
            harness.state().requests = 2;
            let memory = MemoryQueue::default();
            let (handle, task) = match has_persistent_queue {
                true => harness.run(harness.pipeline().with_store(Box::new(memory.clone()))),
                false => harness.start(),
            };
            sleep(10 * MINUTE).await;
            let restarts = harness.ledger.restarts();
            assert!((2..=5).contains(&restarts), "{restarts} restarts");
            assert_eq!(shown(&harness), restarts);
            let totals = harness.totals();
            assert_eq!(harness.dropped(Reason::Panicked), 10 * restarts);
            assert!(totals.exported > 0);
            assert_eq!(
                harness.events(),
                [Event::Panicked { part: "pipeline" }],
                "it is reported once"
            );
            harness.state().script = Box::new(|_| Behavior::Accept);
            // A flush may still give up one attempt, and the next one reports what was lost.
            let _ = handle.flush_async(30 * SECOND).await;
            let _ = handle.flush_async(30 * SECOND).await;
            assert_eq!(handle.flush_async(30 * SECOND).await, Ok(()));
            assert_eq!(handle.shutdown_async(30 * SECOND).await, Ok(()));
            task.await.unwrap();
            let totals = harness.totals();
            assert_eq!(totals.produced, totals.exported + totals.dropped_in_all());
            assert_eq!(harness.dropped(Reason::Shutdown), 0);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_pipeline_that_always_panics_is_restarted_at_growing_intervals() {
    for values in ALL {
        let harness = Harness::new(values, |_| Behavior::PanicOnDrop);
        let (handle, task) = harness.start();
        sleep(24 * 60 * MINUTE).await;
        let restarts = harness.ledger.restarts();
        assert!((250..=320).contains(&restarts), "{restarts} restarts");
        harness.totals();
        assert_eq!(harness.events(), [Event::Panicked { part: "pipeline" }]);
        let began = tokio::time::Instant::now();
        let flushed = handle.flush_async(5 * SECOND).await;
        assert!(flushed.is_err() && began.elapsed() <= 5 * SECOND);
        let began = tokio::time::Instant::now();
        let ended = handle.shutdown_async(5 * SECOND).await;
        assert!(ended.is_err() && began.elapsed() <= 5 * SECOND);
        task.await.unwrap();
        harness.totals();
        assert_eq!(harness.ledger.queued(), 0, "what is left is accounted for");
    }
}

#[tokio::test(start_paused = true)]
async fn a_report_hook_may_panic() {
    let harness = Harness::new(Values::Delta, |nth| match nth {
        0 => Behavior::Permanent("400"),
        _ => Behavior::Accept,
    });
    let (driver, handle) = Driver::new([harness.pipeline()]);
    let reported = Arc::new(AtomicU32::new(0));
    let counting = Arc::clone(&reported);
    let mut driver = driver.with_reports(move |_| {
        counting.fetch_add(1, Ordering::Relaxed);
        panic!("a subscriber that panics");
    });
    let task = tokio::spawn(async move { driver.run().await });
    sleep(5 * MINUTE).await;
    assert_eq!(reported.load(Ordering::Relaxed), 1);
    assert_eq!(harness.ledger.restarts(), 0);
    assert_eq!(harness.dropped(Reason::Rejected), 10);
    assert!(harness.totals().exported > 0);
    assert_eq!(handle.shutdown_async(5 * SECOND).await, Ok(()));
    task.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_driver_whose_future_was_dropped_continues_where_it_was() {
    for values in ALL {
        let harness = Harness::new(values, |nth| match nth {
            3 => Behavior::Hang,
            _ => Behavior::Accept,
        });
        let (driver, handle) = Driver::new([harness.pipeline()]);
        let reported = harness.clone();
        let mut driver =
            driver.with_reports(move |report| reported.state().reports.push(report.clone()));
        // The driver is dropped in the middle of the fourth request.
        let first = async {
            let flushing = async {
                while harness.attempts() < 4 {
                    let _ = handle.flush_async(5 * SECOND).await;
                }
            };
            tokio::join!(driver.run(), flushing);
        };
        assert!(timeout(20 * MINUTE, first).await.is_err());
        harness.totals();
        let exported = harness.totals().exported;
        let task = tokio::spawn(async move { driver.run().await });
        sleep(10 * MINUTE).await;
        let totals = harness.totals();
        assert!(totals.exported >= exported + 80, "{totals:?}");
        assert_eq!(handle.shutdown_async(5 * SECOND).await, Ok(()));
        task.await.unwrap();
        let totals = harness.totals();
        assert_eq!(totals.produced, totals.exported + totals.dropped_in_all());
    }
}

/// With real runtimes, the second one takes over what the first one leaves behind.
#[test]
fn a_driver_outlives_its_runtime() {
    let runtime = || {
        let runtime = tokio::runtime::Builder::new_current_thread();
        { runtime }.enable_time().build().unwrap()
    };
    let harness = Harness::new(Values::Events, |_| Behavior::Accept);
    let (release, hang) = mpsc::channel::<()>();
    let (collects, is_collecting) = mpsc::channel::<()>();
    let mut cycles = 0;
    harness.state().on_begin = Some(Box::new(move || {
        cycles += 1;
        if cycles == 3 {
            let _ = collects.send(());
            let _ = hang.recv();
        }
    }));
    let schedule = Schedule::new().with_interval(MILLI);
    let (mut driver, handle) = Driver::new([harness.pipeline().with_schedule(schedule)]);
    let first = runtime();
    first.block_on(async {
        let _ = timeout(300 * MILLI, driver.run()).await;
    });
    is_collecting.recv_timeout(10 * SECOND).unwrap();
    first.shutdown_background();
    assert_eq!(harness.totals().exported, 20);
    let thread = std::thread::spawn(move || {
        runtime().block_on(driver.run());
    });
    // The earlier callback still hangs.
    assert!(handle.flush(100 * MILLI).is_err());
    release.send(()).unwrap();
    assert_eq!(handle.flush(10 * SECOND), Ok(()));
    assert_eq!(handle.shutdown(10 * SECOND), Ok(()));
    thread.join().unwrap();
    let totals = harness.totals();
    assert_eq!(totals.produced, totals.exported, "{totals:?}");
    assert_eq!(handle.flush(10 * SECOND), Err(Unfinished::Ended));
}
