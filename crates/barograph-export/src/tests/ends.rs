//! Flush and shutdown, which end in time whatever the other parts do.

use std::sync::mpsc;
use std::time::{Duration, Instant};

use tokio::time::sleep;

use super::world::{Act, MINUTE, SECOND, Telling, World};
use crate::driver::wait;
use crate::{Driver, Event, Handle, Pipeline, Reason, Schedule, Unfinished};

const MILLI: Duration = Duration::from_millis(1);

#[tokio::test(start_paused = true)]
async fn shutdown_sends_what_there_is_and_ends_the_driver() {
    let world = World::new(Telling::Cumulative, |_| Act::Take);
    world.state().requests = 3;
    let (handle, task) = world.start();
    assert_eq!(handle.shutdown_async(5 * SECOND).await, Ok(()));
    task.await.unwrap();
    assert_eq!(world.totals().exported, 30);
    assert_eq!(world.ledger.queued(), 0);
    assert_eq!(handle.shutdown_async(SECOND).await, Err(Unfinished::Ended));
    assert_eq!(handle.flush_async(SECOND).await, Err(Unfinished::Ended));
    assert_eq!(world.events(), []);
}

#[tokio::test(start_paused = true)]
async fn without_a_handle_the_driver_ends_in_order() {
    let world = World::new(Telling::Cumulative, |_| Act::Take);
    let (handle, task) = world.start();
    drop(handle);
    task.await.unwrap();
    assert_eq!(world.totals().exported, 10);
}

#[tokio::test(start_paused = true)]
async fn a_receiver_that_hangs_holds_nobody_up() {
    for telling in [Telling::Cumulative, Telling::Delta, Telling::Events] {
        let world = World::new(telling, |_| Act::Hang);
        let (handle, task) = world.start();
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
        let totals = world.totals();
        assert_eq!(world.ledger.queued(), 0);
        assert!(world.dropped(Reason::Shutdown) > 0);
        assert_eq!(totals.exported, 0);
        assert!(matches!(world.events().last(), Some(Event::Left { .. })));
    }
}

#[tokio::test(start_paused = true)]
async fn shutdown_in_the_middle_of_a_round_leaves_time_for_the_last_one() {
    let world = World::new(Telling::Cumulative, |nth| match nth {
        0 => Act::Hang,
        _ => Act::Take,
    });
    let schedule = Schedule::new().with_interval(MILLI);
    let (handle, task) = world.run(world.pipeline().with_schedule(schedule));
    sleep(SECOND).await;
    assert_eq!(world.tries(), 1, "the first one hangs");
    assert_eq!(handle.shutdown_async(5 * SECOND).await, Ok(()));
    task.await.unwrap();
    let totals = world.totals();
    assert_eq!(totals.exported, 10);
    assert_eq!(world.dropped(Reason::Superseded), 10);
    assert_eq!(world.events(), [], "a try that was cut short says nothing");
}

#[tokio::test(start_paused = true)]
async fn shutdown_while_waiting_to_try_again_does_not_wait() {
    let world = World::new(Telling::Cumulative, |nth| match nth {
        0 => Act::Setback(Some(9 * SECOND)),
        _ => Act::Take,
    });
    let (handle, task) = world.start();
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
    assert_eq!(world.totals().exported, 10);
}

#[tokio::test(start_paused = true)]
async fn flushes_that_come_together_share_a_round() {
    let world = World::new(Telling::Cumulative, |_| Act::Take);
    let (handle, _task) = world.start();
    let flushes: Vec<_> = (0..100)
        .map(|_| {
            let handle = handle.clone();
            tokio::spawn(async move { handle.flush_async(5 * SECOND).await })
        })
        .collect();
    for flush in flushes {
        assert_eq!(flush.await.unwrap(), Ok(()));
    }
    assert!(world.tries() <= 3, "{}", world.tries());
}

/// Runs the driver on its own thread, as the facade does. The channel closes when it ends.
fn on_a_thread(world: &World, pipeline: Pipeline) -> (Handle, mpsc::Receiver<()>) {
    let (driver, handle) = Driver::new([pipeline]);
    let reports = world.clone();
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
fn a_callback_that_hangs_holds_nobody_up() {
    let world = World::new(Telling::Cumulative, |_| Act::Take);
    let (release, hang) = mpsc::channel::<()>();
    world.state().on_begin = Some(Box::new(move || {
        let _ = hang.recv();
    }));
    let schedule = Schedule::new().with_timeout(200 * MILLI);
    let (handle, end) = on_a_thread(&world, world.pipeline().with_schedule(schedule));
    let began = Instant::now();
    assert!(handle.flush(500 * MILLI).is_err());
    assert!(handle.flush(500 * MILLI).is_err());
    assert!(
        matches!(&world.events()[..], [Event::Stuck { .. }]),
        "{:?}",
        world.events()
    );
    assert!(handle.shutdown(500 * MILLI).is_err());
    assert!(began.elapsed() < 3 * SECOND, "{:?}", began.elapsed());
    end.recv_timeout(10 * SECOND).unwrap_err();
    drop(release);
}

#[test]
fn a_callback_that_hangs_for_a_while_costs_what_it_made_nothing() {
    let world = World::new(Telling::Events, |_| Act::Take);
    let mut calls = 0;
    world.state().on_begin = Some(Box::new(move || {
        calls += 1;
        if calls == 1 {
            std::thread::sleep(600 * MILLI);
        }
    }));
    let (handle, end) = on_a_thread(&world, world.pipeline());
    assert!(handle.flush(200 * MILLI).is_err());
    assert_eq!(handle.flush(10 * SECOND), Ok(()));
    // The report contains the time limit of the flush, not that of a scheduled cycle.
    let told = world.events().into_iter().find_map(|event| match event {
        Event::Slow { limit } => Some(limit),
        _ => None,
    });
    assert!(told.is_some_and(|limit| limit <= 200 * MILLI), "{told:?}");
    assert_eq!(handle.shutdown(10 * SECOND), Ok(()));
    let _ = end.recv_timeout(10 * SECOND);
    let totals = world.totals();
    assert_eq!((totals.produced, totals.exported), (30, 30));
}

#[test]
fn flush_and_shutdown_work_from_any_thread() {
    let world = World::new(Telling::Cumulative, |_| Act::Take);
    let (handle, end) = on_a_thread(&world, world.pipeline());
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
    world.totals();
}

/// A driver that hangs, here in a hook, which belongs to the service.
#[test]
fn a_hook_that_hangs_holds_nobody_up() {
    let world = World::new(Telling::Cumulative, |_| Act::Refuse("400"));
    let (driver, handle) = Driver::new([world.pipeline()]);
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
    world.totals();
}

#[test]
fn a_flush_in_a_callback_ends_in_time() {
    let world = World::new(Telling::Cumulative, |_| Act::Take);
    let (handle, end) = on_a_thread(&world, world.pipeline());
    let (told, flushed) = mpsc::channel();
    world.state().on_begin = Some(Box::new({
        let handle = handle.clone();
        move || {
            let _ = told.send((handle.flush(200 * MILLI), Instant::now()));
        }
    }));
    let began = Instant::now();
    assert_eq!(handle.flush(10 * SECOND), Ok(()));
    let (result, at) = flushed.recv_timeout(10 * SECOND).unwrap();
    assert!(result.is_err() && at.duration_since(began) < 5 * SECOND);
    world.state().on_begin = None;
    assert_eq!(handle.shutdown(10 * SECOND), Ok(()));
    end.recv_timeout(10 * SECOND).unwrap_err();
    world.totals();
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
    let world = World::new(Telling::Cumulative, |_| Act::Take);
    let (handle, end) = on_a_thread(&world, world.pipeline());
    let flush = FlushOnDrop(handle.clone());
    let unwinding = std::thread::spawn(move || {
        let _flush = flush;
        panic!("a thread that panics");
    });
    unwinding.join().unwrap_err();
    assert_eq!(world.totals().exported, 10);
    assert_eq!(handle.shutdown(10 * SECOND), Ok(()));
    end.recv_timeout(10 * SECOND).unwrap_err();
}

#[test]
fn the_driver_of_the_process_before_a_fork_is_not_waited_for() {
    let world = World::new(Telling::Cumulative, |_| Act::Take);
    let (handle, end) = on_a_thread(&world, world.pipeline());
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
fn a_driver_that_is_never_run_holds_nobody_up() {
    let world = World::new(Telling::Cumulative, |_| Act::Take);
    let (driver, handle) = Driver::new([world.pipeline()]);
    let limit = 50 * MILLI;
    assert_eq!(handle.flush(limit), Err(Unfinished::Late { limit }));
    drop(driver);
    assert_eq!(handle.flush(limit), Err(Unfinished::Ended));
}
