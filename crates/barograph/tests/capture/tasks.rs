//! Futures and tasks, on runtimes with one thread and with several.

use barograph::testing::Capture;
use barograph::{assert_telemetry, counter, observe};
use tokio::task::yield_now;
use tracing::{Instrument as _, info, info_span};

async fn work(name: &'static str) {
    let work = async {
        for _ in 0..20 {
            counter!("t.steps", name = name).inc();
            yield_now().await;
        }
        info!(target: "shop", "{name} done");
    };
    work.instrument(info_span!("work")).await;
}

fn expected(name: &str) -> String {
    format!(
        r#"
            counter t.steps{{name="{name}"}} 20
            span work internal {{}}
              log INFO shop "{name} done" {{}}
        "#
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn futures_that_move_between_threads_stay_in_their_captures_concurrently() {
    let tasks: Vec<_> = (0..50)
        .map(|at| {
            let name = if at % 2 == 0 { "even" } else { "odd" };
            let capture = Capture::new();
            let task = tokio::spawn(capture.run_async(work(name)));
            (capture, name, task)
        })
        .collect();
    for (capture, name, task) in tasks {
        task.await.unwrap();
        assert_telemetry!(capture, &expected(name));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn spawned_tasks_belong_to_the_capture_only_if_they_are_wrapped() {
    let capture = Capture::new();
    let inner = capture.clone();
    let future = async move {
        let outside = tokio::spawn(work("outside"));
        let inside = tokio::spawn(inner.run_async(work("inside")));
        outside.await.unwrap();
        inside.await.unwrap();
    };
    capture.run_async(future).await;
    assert_telemetry!(capture, &expected("inside"));
}

#[test]
fn a_runtime_of_the_current_thread_is_captured_with_all_its_tasks() {
    let capture = Capture::new();
    capture.run(|| {
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        runtime.unwrap().block_on(async {
            tokio::spawn(work("spawned")).await.unwrap();
        });
    });
    assert_telemetry!(capture, &expected("spawned"));
}

#[tokio::test]
async fn a_guard_captures_the_tasks_of_a_test() {
    let capture = Capture::new();
    let guard = capture.enter();
    tokio::spawn(work("spawned")).await.unwrap();
    drop(guard);
    work("afterwards").await;
    assert_telemetry!(capture, &expected("spawned"));
}

#[tokio::test]
async fn a_future_that_is_dropped_is_dropped_in_its_capture() {
    let capture = Capture::new();
    let hangs = std::future::pending::<Result<(), std::fmt::Error>>();
    let mut future = Box::pin(capture.run_async(observe("t", "hang", hangs)));
    let polled = std::future::poll_fn(|cx| std::task::Poll::Ready(future.as_mut().poll(cx)));
    assert!(polled.await.is_pending());
    drop(future);
    assert_telemetry!(
        capture,
        r#"
            histogram operation.duration{error.type="cancelled", ..} count=1 sum=0 unit=s
            counter operation.errors{error.type="cancelled", ..} 1 unit={error}
            span t/hang internal error="" {error.type="cancelled", ..}
              log WARN barograph::observe "t/hang was canceled" {..}
        "#
    );
}
