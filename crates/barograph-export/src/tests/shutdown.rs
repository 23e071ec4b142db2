//! Flush and shutdown, which end in time whatever the other parts do.

use std::sync::mpsc;
use std::time::{Duration, Instant};

use tokio::time::sleep;

use super::harness::{Behavior, Harness, MINUTE, SECOND, Values};
use crate::driver::wait;
use crate::{Driver, Event, Handle, Pipeline, Reason, Schedule, Unfinished};

const MILLI: Duration = Duration::from_millis(1);

#[tokio::test(start_paused = true)]
async fn shutdown_sends_what_there_is_and_ends_the_driver() {
    let harness = Harness::new(Values::Cumulative, |_| Behavior::Accept);
    harness.state().requests = 3;
    let (handle, task) = harness.start();
    assert_eq!(handle.shutdown_async(5 * SECOND).await, Ok(()));
    task.await.unwrap();
    assert_eq!(harness.totals().exported, 30);
    assert_eq!(harness.ledger.queued(), 0);
    assert_eq!(handle.shutdown_async(SECOND).await, Err(Unfinished::Ended));
    assert_eq!(handle.flush_async(SECOND).await, Err(Unfinished::Ended));
    assert_eq!(harness.events(), []);
}

#[tokio::test(start_paused = true)]
async fn without_a_handle_the_driver_ends_in_order() {
    let harness = Harness::new(Values::Cumulative, |_| Behavior::Accept);
    let (handle, task) = harness.start();
    drop(handle);
    task.await.unwrap();
    assert_eq!(harness.totals().exported, 10);
}

#[tokio::test(start_paused = true)]
async fn a_receiver_that_hangs_does_not_block_callers() {
    for values in [Values::Cumulative, Values::Delta, Values::Events] {
        let harness = Harness::new(values, |_| Behavior::Hang);
        let (handle, task) = harness.start();
        // This is in the middle of a cycle.
        sleep(MINUTE).await;
        let flush = tokio::spawn({
            let handle = handle.clone();
            async move { handle.flush_async(3 * SECOND).await }
        });
        let began = tokio::time::Instant::now();
        assert!(flush.await.unwrap().is_err());
        assert!(began.elapsed() <= 3 * SECOND);
        let began = tokio::time::Instant::now();
        assert!(handle.shutdown_async(2 * SECOND).await.is_err());
        assert!(began.elapsed() <= 2 * SECOND);
        task.await.unwrap();
        let totals = harness.totals();
        assert_eq!(harness.ledger.queued(), 0);
        assert!(harness.dropped(Reason::Shutdown) > 0);
        assert_eq!(totals.exported, 0);
        assert!(matches!(
            harness.events().last(),
            Some(Event::LostAtShutdown { .. })
        ));
    }
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_during_a_cycle_leaves_time_for_the_last_cycle() {
    let harness = Harness::new(Values::Cumulative, |nth| match nth {
        0 => Behavior::Hang,
        _ => Behavior::Accept,
    });
    let schedule = Schedule::new().with_interval(MILLI);
    let (handle, task) = harness.run(harness.pipeline().with_schedule(schedule));
    sleep(SECOND).await;
    assert_eq!(harness.attempts(), 1, "the first one hangs");
    assert_eq!(handle.shutdown_async(5 * SECOND).await, Ok(()));
    task.await.unwrap();
    let totals = harness.totals();
    assert_eq!(totals.exported, 10);
    assert_eq!(harness.dropped(Reason::Superseded), 10);
    assert_eq!(
        harness.events(),
        [],
        "a try that was cut short says nothing"
    );
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_ends_the_pause_before_a_retry() {
    let harness = Harness::new(Values::Cumulative, |nth| match nth {
        0 => Behavior::Retryable(Some(9 * SECOND)),
        _ => Behavior::Accept,
    });
    let (handle, task) = harness.start();
    let flush = tokio::spawn({
        let handle = handle.clone();
        async move { handle.flush_async(30 * SECOND).await }
    });
    sleep(SECOND).await;
    let began = tokio::time::Instant::now();
    assert_eq!(handle.shutdown_async(5 * SECOND).await, Ok(()));
    assert!(began.elapsed() < SECOND);
    task.await.unwrap();
    assert_eq!(flush.await.unwrap(), Err(Unfinished::Undelivered));
    assert_eq!(harness.totals().exported, 10);
}

#[tokio::test(start_paused = true)]
async fn simultaneous_flushes_share_a_cycle() {
    let harness = Harness::new(Values::Cumulative, |_| Behavior::Accept);
    let (handle, _task) = harness.start();
    let flushes: Vec<_> = (0..100)
        .map(|_| {
            let handle = handle.clone();
            tokio::spawn(async move { handle.flush_async(5 * SECOND).await })
        })
        .collect();
    for flush in flushes {
        assert_eq!(flush.await.unwrap(), Ok(()));
    }
    assert!(harness.attempts() <= 3, "{}", harness.attempts());
}

/// Runs the driver on its own thread, as the facade does. The channel closes when it ends.
fn on_a_thread(harness: &Harness, pipeline: Pipeline) -> (Handle, mpsc::Receiver<()>) {
    let (driver, handle) = Driver::new([pipeline]);
    let reports = harness.clone();
    let mut driver =
        driver.with_reports(move |report| reports.state().reports.push(report.clone()));
    let (ended, end) = mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build();
        let runtime = runtime.unwrap();
        runtime.block_on(driver.run());
        runtime.shutdown_background();
        drop(ended);
    });
    (handle, end)
}

#[test]
fn a_callback_that_hangs_does_not_block_callers() {
    let harness = Harness::new(Values::Cumulative, |_| Behavior::Accept);
    let (release, hang) = mpsc::channel::<()>();
    harness.state().on_begin = Some(Box::new(move || {
        let _ = hang.recv();
    }));
    let schedule = Schedule::new().with_timeout(200 * MILLI);
    let (handle, end) = on_a_thread(&harness, harness.pipeline().with_schedule(schedule));
    let began = Instant::now();
    assert!(handle.flush(500 * MILLI).is_err());
    assert!(handle.flush(500 * MILLI).is_err());
    assert!(
        matches!(&harness.events()[..], [Event::CollectionTimedOut { .. }]),
        "{:?}",
        harness.events()
    );
    assert!(handle.shutdown(500 * MILLI).is_err());
    assert!(began.elapsed() < 3 * SECOND, "{:?}", began.elapsed());
    end.recv_timeout(10 * SECOND).unwrap_err();
    drop(release);
}

#[test]
fn a_callback_that_hangs_for_a_while_loses_no_request() {
    let harness = Harness::new(Values::Events, |_| Behavior::Accept);
    let mut calls = 0;
    harness.state().on_begin = Some(Box::new(move || {
        calls += 1;
        if calls == 1 {
            std::thread::sleep(600 * MILLI);
        }
    }));
    let (handle, end) = on_a_thread(&harness, harness.pipeline());
    assert!(handle.flush(200 * MILLI).is_err());
    assert_eq!(handle.flush(10 * SECOND), Ok(()));
    // The report contains the time limit of the flush, not that of a scheduled cycle.
    let reported = harness.events().into_iter().find_map(|event| match event {
        Event::ExportTimedOut { limit } => Some(limit),
        _ => None,
    });
    assert!(
        reported.is_some_and(|limit| limit <= 200 * MILLI),
        "{reported:?}"
    );
    assert_eq!(handle.shutdown(10 * SECOND), Ok(()));
    let _ = end.recv_timeout(10 * SECOND);
    let totals = harness.totals();
    assert_eq!((totals.produced, totals.exported), (30, 30));
}

#[test]
fn flush_and_shutdown_work_from_any_thread() {
    let harness = Harness::new(Values::Cumulative, |_| Behavior::Accept);
    let (handle, end) = on_a_thread(&harness, harness.pipeline());
    let threads: Vec<_> = (0..8)
        .map(|_| {
            let handle = handle.clone();
            std::thread::spawn(move || handle.flush(10 * SECOND))
        })
        .collect();
    for thread in threads {
        assert_eq!(thread.join().unwrap(), Ok(()));
    }
    assert_eq!(handle.shutdown(10 * SECOND), Ok(()));
    assert!(end.recv_timeout(10 * SECOND).is_err());
    harness.totals();
}

/// A driver that hangs, here in a hook, which belongs to the service.
#[test]
fn a_hook_that_hangs_does_not_block_callers() {
    let harness = Harness::new(Values::Cumulative, |_| Behavior::Permanent("400"));
    let (driver, handle) = Driver::new([harness.pipeline()]);
    let (release, hang) = mpsc::channel::<()>();
    let hang = std::sync::Mutex::new(hang);
    let mut driver = driver.with_reports(move |_| {
        let _ = hang.lock().unwrap().recv();
    });
    let thread = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build();
        runtime.unwrap().block_on(driver.run());
    });
    let limit = 100 * MILLI;
    let late = Err(Unfinished::Late { limit });
    let began = Instant::now();
    assert_eq!(handle.flush(limit), late);
    // The same holds in a runtime with a single thread, and without a runtime.
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    assert_eq!(runtime.unwrap().block_on(handle.flush_async(limit)), late);
    let flush = std::thread::spawn({
        let handle = handle.clone();
        move || wait(handle.flush_async(limit), 20 * SECOND)
    });
    assert_eq!(flush.join().unwrap(), late);
    assert_eq!(handle.shutdown(limit), late);
    assert!(began.elapsed() < 10 * SECOND, "{:?}", began.elapsed());
    drop(release);
    thread.join().unwrap();
    harness.totals();
}

#[test]
fn a_flush_in_a_callback_ends_in_time() {
    let harness = Harness::new(Values::Cumulative, |_| Behavior::Accept);
    let (handle, end) = on_a_thread(&harness, harness.pipeline());
    let (reported, flushed) = mpsc::channel();
    harness.state().on_begin = Some(Box::new({
        let handle = handle.clone();
        move || {
            let _ = reported.send((handle.flush(200 * MILLI), Instant::now()));
        }
    }));
    let began = Instant::now();
    assert_eq!(handle.flush(10 * SECOND), Ok(()));
    let (result, at) = flushed.recv_timeout(10 * SECOND).unwrap();
    assert!(result.is_err() && at.duration_since(began) < 5 * SECOND);
    harness.state().on_begin = None;
    assert_eq!(handle.shutdown(10 * SECOND), Ok(()));
    end.recv_timeout(10 * SECOND).unwrap_err();
    harness.totals();
}

#[test]
fn a_flush_while_a_thread_unwinds_sends_everything() {
    struct FlushOnDrop(Handle);
    impl Drop for FlushOnDrop {
        fn drop(&mut self) {
            assert!(std::thread::panicking());
            assert_eq!(self.0.flush(10 * SECOND), Ok(()));
        }
    }
    let harness = Harness::new(Values::Cumulative, |_| Behavior::Accept);
    let (handle, end) = on_a_thread(&harness, harness.pipeline());
    let flush = FlushOnDrop(handle.clone());
    let unwinding = std::thread::spawn(move || {
        let _flush = flush;
        panic!("a thread that panics");
    });
    unwinding.join().unwrap_err();
    assert_eq!(harness.totals().exported, 10);
    assert_eq!(handle.shutdown(10 * SECOND), Ok(()));
    end.recv_timeout(10 * SECOND).unwrap_err();
}

#[test]
fn the_driver_of_the_process_before_a_fork_is_not_waited_for() {
    let harness = Harness::new(Values::Cumulative, |_| Behavior::Accept);
    let (handle, end) = on_a_thread(&harness, harness.pipeline());
    assert_eq!(handle.flush(10 * SECOND), Ok(()));
    let child = handle.clone().of_process(std::process::id() ^ 1);
    let began = Instant::now();
    assert_eq!(child.flush(10 * SECOND), Err(Unfinished::Ended));
    assert_eq!(child.shutdown(10 * SECOND), Err(Unfinished::Ended));
    assert!(began.elapsed() < SECOND);
    assert_eq!(handle.shutdown(10 * SECOND), Ok(()));
    end.recv_timeout(10 * SECOND).unwrap_err();
}

#[test]
fn a_driver_that_is_never_run_does_not_block_callers() {
    let harness = Harness::new(Values::Cumulative, |_| Behavior::Accept);
    let (driver, handle) = Driver::new([harness.pipeline()]);
    let limit = 50 * MILLI;
    assert_eq!(handle.flush(limit), Err(Unfinished::Late { limit }));
    drop(driver);
    assert_eq!(handle.flush(limit), Err(Unfinished::Ended));
}
