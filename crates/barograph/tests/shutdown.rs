//! The end of a process that was asked to end by a signal. Each test has two processes: this one,
//! which sends the signal and observes, and a child that runs the test of the same name.
#![cfg(all(unix, feature = "axum"))]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[allow(dead_code, reason = "others ask for more")]
mod child;

use std::io::Read as _;
use std::net::{Ipv4Addr, TcpStream};
use std::thread::sleep;
use std::time::{Duration, Instant};

use axum::Router;
use axum::routing::get;
use barograph::Telemetry;
use barograph::serve::Server;
use tokio::runtime::{Builder, Runtime};

use child::{End, listens, start};

/// Printed when the telemetry is flushed.
const FLUSHED: &str = "FLUSHED";
/// Printed by a program after `serve`.
const RETURNED: &str = "RETURNED";

const REQUEST_TIME: Duration = Duration::from_secs(1);
/// The time that a shutdown may take beyond its limit.
const BEYOND: Duration = Duration::from_millis(500);
const FOR_EVER: Duration = Duration::from_secs(3600);
/// The status of a process that exceeded its time limit.
const TIMED_OUT: i32 = 124;
const TERM: &str = "TERM";

impl End {
    #[track_caller]
    fn assert(&self, status: i32, [from, to]: [Duration; 2]) {
        let (took, err) = (self.took, &self.err);
        assert_eq!((self.status, self.signal), (Some(status), None), "{err}");
        assert!(took >= from, "{took:?}: {err}");
        assert!(took < to + BEYOND, "{took:?}: {err}");
        assert!(err.contains(FLUSHED), "{err}");
    }
}

fn telemetry() -> Telemetry {
    let telemetry = Telemetry::builder("shop").on_shutdown(|_| eprintln!("{FLUSHED}"));
    telemetry.start().unwrap()
}

fn app() -> Router {
    Router::new()
        .route("/", get(async || "hello"))
        .route("/blocks", get(async || sleep(FOR_EVER)))
        .route("/blocks/3", get(async || sleep(3 * REQUEST_TIME)))
        .route(
            "/leaves/a/blocking/task",
            get(async || {
                tokio::task::spawn_blocking(|| sleep(FOR_EVER));
                "left"
            }),
        )
}

/// Serves in this process until the signal arrives, and returns when `serve` does.
fn serve(runtime: &Runtime, set: impl FnOnce(Server) -> Server + Send + 'static) {
    runtime.block_on(served(set));
}

async fn served(set: impl FnOnce(Server) -> Server) {
    let telemetry = telemetry();
    let admin = telemetry.local_addr().unwrap();
    let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
    let listener = listener.await.unwrap();
    listens(listener.local_addr().unwrap(), admin);
    let server = telemetry.server(app()).with_request_time(REQUEST_TIME);
    set(server).serve(listener).await.unwrap();
    eprintln!("{RETURNED}");
}

#[track_caller]
fn wait_until(mut is_so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(
            began.elapsed() < Duration::from_secs(30),
            "it does not come"
        );
        sleep(Duration::from_millis(10));
    }
}

fn of_two_workers() -> Runtime {
    let mut builder = Builder::new_multi_thread();
    builder.worker_threads(2).enable_all().build().unwrap()
}

fn of_one_thread() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

#[test]
fn requests_that_block_all_workers_do_not_keep_it() {
    let test = "requests_that_block_all_workers_do_not_keep_it";
    let Some(process) = start(test) else {
        return serve(&of_two_workers(), |server| server);
    };
    let blocking: Vec<_> = (0..20).map(|_| process.send("/blocks")).collect();
    sleep(Duration::from_millis(300));
    process.signal(TERM);
    let admin = process.admin;
    let end = process.wait();
    end.assert(TIMED_OUT, [REQUEST_TIME, REQUEST_TIME]);
    assert!(end.err.contains("threads are blocked"), "{}", end.err);
    assert!(end.err.contains("ended with status 124"), "{}", end.err);
    assert!(TcpStream::connect(admin).is_err());
    drop(blocking);
}

#[test]
fn requests_that_block_are_not_kept_where_serve_is_a_task_of_its_own() {
    let test = "requests_that_block_are_not_kept_where_serve_is_a_task_of_its_own";
    let Some(process) = start(test) else {
        let runtime = of_two_workers();
        let serving = runtime.spawn(served(|server| server));
        return runtime.block_on(serving).unwrap();
    };
    let blocking: Vec<_> = (0..20).map(|_| process.send("/blocks")).collect();
    sleep(Duration::from_millis(300));
    process.signal(TERM);
    let end = process.wait();
    end.assert(TIMED_OUT, [REQUEST_TIME, REQUEST_TIME]);
    assert!(!end.err.contains(RETURNED), "{}", end.err);
    drop(blocking);
}

#[test]
fn a_request_that_blocks_the_only_thread_does_not_keep_it() {
    let test = "a_request_that_blocks_the_only_thread_does_not_keep_it";
    let Some(process) = start(test) else {
        return serve(&of_one_thread(), |server| server);
    };
    let mut blocking = process.send("/blocks");
    sleep(Duration::from_millis(300));
    process.signal(TERM);
    // The client notices that the connection is closed, though the runtime is blocked.
    let began = Instant::now();
    assert_eq!(blocking.read(&mut [0; 16]).unwrap(), 0);
    assert!(began.elapsed() < REQUEST_TIME + BEYOND);
    let end = process.wait();
    end.assert(TIMED_OUT, [Duration::ZERO, REQUEST_TIME]);
}

#[test]
fn a_second_signal_ends_requests_that_block_at_once() {
    let test = "a_second_signal_ends_requests_that_block_at_once";
    let Some(process) = start(test) else {
        let longer = |server: Server| server.with_request_time(FOR_EVER);
        return serve(&of_one_thread(), longer);
    };
    let blocking = process.send("/blocks");
    sleep(Duration::from_millis(300));
    process.signal(TERM);
    sleep(Duration::from_millis(300));
    process.signal("INT");
    let end = process.wait();
    end.assert(128 + 2, [Duration::ZERO, Duration::ZERO]);
    drop(blocking);
}

#[test]
fn a_second_signal_ends_a_service_with_the_status_of_the_signal() {
    let test = "a_second_signal_ends_a_service_with_the_status_of_the_signal";
    let Some(process) = start(test) else {
        let longer = |server: Server| server.with_drain_delay(FOR_EVER);
        return serve(&of_two_workers(), longer);
    };
    process.ask("/");
    process.signal(TERM);
    sleep(Duration::from_millis(300));
    process.signal(TERM);
    let end = process.wait();
    end.assert(128 + 15, [Duration::ZERO, Duration::ZERO]);
}

#[test]
fn a_signal_after_serve_has_returned_ends_the_process() {
    let test = "a_signal_after_serve_has_returned_ends_the_process";
    let Some(process) = start(test) else {
        serve(&of_two_workers(), |server| server);
        return sleep(FOR_EVER);
    };
    process.ask("/");
    let admin = process.admin;
    process.signal(TERM);
    wait_until(|| TcpStream::connect(admin).is_err());
    sleep(Duration::from_millis(300));
    process.signal("INT");
    let end = process.wait();
    end.assert(128 + 2, [Duration::ZERO, Duration::ZERO]);
    assert!(end.err.contains(RETURNED), "{}", end.err);
}

#[test]
fn a_signal_after_serve_was_dropped_ends_the_process() {
    let test = "a_signal_after_serve_was_dropped_ends_the_process";
    let Some(mut process) = start(test) else {
        let runtime = of_two_workers();
        let serving = runtime.spawn(served(|server| server));
        std::io::stdin().read_line(&mut String::new()).unwrap();
        serving.abort();
        return sleep(FOR_EVER);
    };
    process.ask("/");
    let admin = process.admin;
    process.notify();
    wait_until(|| TcpStream::connect(admin).is_err());
    sleep(Duration::from_millis(300));
    process.signal(TERM);
    let end = process.wait();
    end.assert(128 + 15, [Duration::ZERO, Duration::ZERO]);
    assert!(!end.err.contains(RETURNED), "{}", end.err);
}

#[test]
fn a_signal_while_serve_is_dropped_ends_the_process() {
    const FLUSH_TIME: Duration = Duration::from_secs(1);
    let test = "a_signal_while_serve_is_dropped_ends_the_process";
    let Some(mut process) = start(test) else {
        let runtime = of_two_workers();
        let serving = runtime.spawn(async {
            let telemetry = Telemetry::builder("shop").on_shutdown(|_| {
                eprintln!("{FLUSHED}");
                sleep(FLUSH_TIME);
            });
            let telemetry = telemetry.start().unwrap();
            let admin = telemetry.local_addr().unwrap();
            let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
            let listener = listener.await.unwrap();
            listens(listener.local_addr().unwrap(), admin);
            telemetry.server(app()).serve(listener).await.unwrap();
        });
        std::io::stdin().read_line(&mut String::new()).unwrap();
        serving.abort();
        return sleep(FOR_EVER);
    };
    process.ask("/");
    process.notify();
    sleep(FLUSH_TIME / 2);
    process.signal(TERM);
    let end = process.wait();
    end.assert(128 + 15, [Duration::ZERO, FLUSH_TIME]);
}

#[test]
fn a_service_after_another_one_ends_in_order() {
    let test = "a_service_after_another_one_ends_in_order";
    let Some(process) = start(test) else {
        let runtime = of_two_workers();
        runtime.block_on(async {
            let telemetry = Telemetry::builder("first").without_listener();
            let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
            let first = telemetry.start().unwrap().server(app());
            let serving = first.serve(listener.await.unwrap());
            let limit = Duration::from_millis(300);
            tokio::time::timeout(limit, serving).await.unwrap_err();
        });
        return serve(&runtime, |server| server);
    };
    process.ask("/");
    process.signal(TERM);
    let end = process.wait();
    end.assert(0, [Duration::ZERO, Duration::ZERO]);
    assert!(end.err.contains(RETURNED), "{}", end.err);
}

#[test]
fn a_signal_after_a_worker_has_ended_its_telemetry_ends_the_process() {
    let test = "a_signal_after_a_worker_has_ended_its_telemetry_ends_the_process";
    let Some(process) = start(test) else {
        let telemetry = telemetry();
        let admin = telemetry.local_addr().unwrap();
        let asked = telemetry.shutdown_signal();
        listens(admin, admin);
        of_one_thread().block_on(asked);
        telemetry.shutdown_blocking();
        return sleep(FOR_EVER);
    };
    let admin = process.admin;
    process.signal(TERM);
    wait_until(|| TcpStream::connect(admin).is_err());
    sleep(Duration::from_millis(300));
    process.signal(TERM);
    let end = process.wait();
    end.assert(128 + 15, [Duration::ZERO, Duration::ZERO]);
}

#[test]
fn a_blocking_task_that_never_returns_does_not_keep_it() {
    let test = "a_blocking_task_that_never_returns_does_not_keep_it";
    let Some(process) = start(test) else {
        return serve(&of_two_workers(), |server| server);
    };
    process.ask("/leaves/a/blocking/task");
    process.signal(TERM);
    let end = process.wait();
    // `serve` has returned long before: dropping the runtime waits.
    let limit = REQUEST_TIME + Duration::from_secs(5);
    end.assert(TIMED_OUT, [limit, limit]);
    assert!(end.err.contains(RETURNED), "{}", end.err);
}

#[test]
fn a_blocking_task_that_returns_is_waited_for() {
    let test = "a_blocking_task_that_returns_is_waited_for";
    let Some(process) = start(test) else {
        let runtime = of_one_thread();
        let guard = runtime.enter();
        tokio::task::spawn_blocking(|| sleep(2 * REQUEST_TIME));
        drop(guard);
        return serve(&runtime, |server| server);
    };
    process.ask("/");
    process.signal(TERM);
    let end = process.wait();
    end.assert(0, [Duration::ZERO, 2 * REQUEST_TIME]);
}

#[test]
fn without_an_exit_requests_that_block_are_waited_for() {
    let test = "without_an_exit_requests_that_block_are_waited_for";
    let Some(process) = start(test) else {
        return serve(&of_two_workers(), Server::without_exit);
    };
    let blocking = process.send("/blocks/3");
    sleep(Duration::from_millis(300));
    process.signal(TERM);
    let end = process.wait();
    end.assert(0, [2 * REQUEST_TIME, 3 * REQUEST_TIME]);
    drop(blocking);
}

#[test]
fn the_code_of_a_program_after_serve_is_not_limited() {
    let test = "the_code_of_a_program_after_serve_is_not_limited";
    let pause = REQUEST_TIME + Duration::from_secs(6);
    let Some(process) = start(test) else {
        return of_two_workers().block_on(async {
            served(|server| server).await;
            tokio::time::sleep(pause).await;
        });
    };
    process.ask("/");
    process.signal(TERM);
    let end = process.wait();
    end.assert(0, [pause, pause]);
}

#[test]
fn a_worker_ends_in_order() {
    let Some(process) = start("a_worker_ends_in_order") else {
        let telemetry = telemetry();
        let admin = telemetry.local_addr().unwrap();
        return of_one_thread().block_on(async {
            let mut is_first = true;
            loop {
                tokio::select! {
                    () = telemetry.shutdown_signal() => break,
                    () = tokio::time::sleep(Duration::from_millis(5)) => {}
                }
                if std::mem::take(&mut is_first) {
                    listens(admin, admin);
                }
            }
            assert!(!telemetry.readiness().is_ready());
            // It completes at once after the first request.
            telemetry.shutdown_signal().await;
            tracing::info!("the last line");
            telemetry.shutdown().await;
            eprintln!("{RETURNED}");
        });
    };
    process.signal(TERM);
    let end = process.wait();
    end.assert(0, [Duration::ZERO, Duration::ZERO]);
    assert!(end.err.contains("the last line"), "{}", end.err);
    assert!(end.err.contains(RETURNED), "{}", end.err);
}

#[test]
fn a_worker_that_does_not_follow_ends_at_the_second_signal() {
    let test = "a_worker_that_does_not_follow_ends_at_the_second_signal";
    let Some(process) = start(test) else {
        let telemetry = telemetry();
        let admin = telemetry.local_addr().unwrap();
        let ignored = telemetry.shutdown_signal();
        listens(admin, admin);
        sleep(FOR_EVER);
        return drop((ignored, telemetry));
    };
    process.signal(TERM);
    sleep(Duration::from_millis(300));
    process.signal(TERM);
    let end = process.wait();
    assert_eq!(end.status, Some(128 + 15), "{}", end.err);
    assert!(end.took < BEYOND);
    assert!(!end.out.contains("panicked"), "{}", end.out);
}
