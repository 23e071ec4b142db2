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
