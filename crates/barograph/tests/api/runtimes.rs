//! Telemetry works without a runtime, inside any runtime, and while that one is busy.

use std::time::{Duration, Instant};

use barograph::Registry;

use crate::client::get;
use crate::service::{address, builder};

#[track_caller]
fn starts_answers_and_ends() {
    let telemetry = builder(&Registry::new()).start().unwrap();
    // Blocks the thread, and with it a single-threaded runtime.
    assert_eq!(get(address(&telemetry), "/metrics").status, 200);
    let began = Instant::now();
    telemetry.shutdown_blocking();
    assert!(began.elapsed() < Duration::from_secs(3));
    // Dropping also ends the telemetry.
    drop(builder(&Registry::new()).start().unwrap());
}

#[test]
fn without_a_runtime() {
    starts_answers_and_ends();
}

#[tokio::test]
async fn inside_a_runtime_of_one_thread_that_is_blocked() {
    starts_answers_and_ends();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn inside_a_task_of_a_runtime_of_many() {
    tokio::spawn(async { starts_answers_and_ends() })
        .await
        .unwrap();
}

#[tokio::test]
async fn inside_a_blocking_task() {
    tokio::task::spawn_blocking(starts_answers_and_ends)
        .await
        .unwrap();
}

#[test]
fn the_metrics_of_a_runtime_are_read_at_each_scrape() -> Result<(), Box<dyn std::error::Error>> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    let telemetry = builder(&Registry::new())
        .with_tokio_metrics(runtime.handle())
        .start()?;
    let page = || telemetry.render(None).body;
    let before = page();
    assert!(before.contains("tokio_runtime_workers 2\n"), "{before}");
    assert!(before.contains("tokio_runtime_tasks_alive 0\n"), "{before}");
    let waits = runtime.spawn(std::future::pending::<()>());
    runtime.block_on(async {
        tokio::spawn(async { std::thread::sleep(Duration::from_millis(50)) }).await
    })?;
    // A worker removes the task a moment after it was awaited, and adds up its time when it parks.
    let is_counted = |page: &str| {
        let busy = |worker| {
            let line =
                format!("tokio_runtime_worker_busy_time_seconds_total{{worker=\"{worker}\"}} ");
            let value = page.lines().find_map(|text| text.strip_prefix(&line));
            value.and_then(|value| value.parse::<f64>().ok())
        };
        page.contains("tokio_runtime_tasks_alive 1\n")
            && busy(0).zip(busy(1)).is_some_and(|(a, b)| a + b >= 0.05)
    };
    let began = Instant::now();
    while !is_counted(&page()) {
        assert!(began.elapsed() < Duration::from_secs(20), "{}", page());
        std::thread::sleep(Duration::from_millis(5));
    }
    // A runtime that has ended keeps no page from being made.
    waits.abort();
    runtime.shutdown_background();
    assert!(page().contains("tokio_runtime_workers 2\n"));
    Ok(())
}
