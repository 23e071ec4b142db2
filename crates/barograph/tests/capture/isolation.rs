//! Captures side by side, inside each other, and beside code that is not captured.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use barograph::testing::Capture;
use barograph::{Registry, assert_telemetry, counter, histogram, observe};
use tracing::{info, info_span};

/// Records through callsites that all captures share: `number` of each.
fn record(capture: Option<&Capture>, number: u64) {
    for at in 0..number {
        let _order = info_span!("order", at).entered();
        counter!("i.orders").inc();
        counter!("i.by_number", number = number).inc();
        let _timer = histogram!("i.wait").start_timer();
        if let Some(capture) = capture {
            capture.advance(Duration::from_secs(number));
        }
        info!(target: "shop", number, "order read");
        observe::Operation::new("i", "work").run_sync(|| ());
    }
}

fn expected(number: u64) -> String {
    let spans = (0..number).map(|at| {
        format!(
            r#"
span order internal {{at={at}}}
  log INFO shop "order read" {{number={number}}}
  span i/work internal {{..}}"#
        )
    });
    let sum = number * number;
    format!(
        r#"counter i.by_number{{number="{number}"}} {number}
counter i.orders{{}} {number}
histogram i.wait{{}} count={number} sum={sum}
histogram operation.duration{{..}} count={number} sum=0 unit=s{}"#,
        spans.collect::<String>()
    )
}

#[test]
fn hundreds_of_captures_never_see_each_other_concurrently() {
    const THREADS: u64 = 8;
    let begin = Barrier::new(THREADS as usize + 1);
    let is_over = AtomicBool::new(false);
    thread::scope(|threads| {
        let captures: Vec<_> = (0..THREADS)
            .map(|thread| {
                let begin = &begin;
                threads.spawn(move || {
                    begin.wait();
                    for round in 0..25 {
                        let number = 1 + (thread + round) % 5;
                        let capture = Capture::new();
                        capture.run(|| record(Some(&capture), number));
                        assert_telemetry!(capture, &expected(number));
                    }
                })
            })
            .collect();
        // Code that is not captured, at the same callsites.
        threads.spawn(|| {
            begin.wait();
            while !is_over.load(Ordering::Relaxed) {
                record(None, 2);
            }
        });
        let ends: Vec<_> = captures.into_iter().map(|it| it.join()).collect();
        is_over.store(true, Ordering::Relaxed);
        for end in ends {
            end.unwrap();
        }
    });
    let global = Registry::global();
    assert_eq!(global.value("i.by_number", &[("number", "3")]), None);
}

#[test]
fn threads_of_one_capture_add_up_concurrently() {
    let capture = Capture::new();
    thread::scope(|threads| {
        for _ in 0..4 {
            threads.spawn(|| {
                capture.run(|| {
                    for _ in 0..1_000 {
                        counter!("i.shared").inc();
                        info_span!("shared").in_scope(|| info!(target: "shop", "one"));
                    }
                });
            });
        }
    });
    let text = capture.telemetry();
    assert_eq!(text.lines().next(), Some("counter i.shared{} 4000"));
    let count = |wanted| text.lines().filter(|line| *line == wanted).count();
    assert_eq!(count("span shared internal {}"), 4_000);
    assert_eq!(count(r#"  log INFO shop "one" {}"#), 4_000);
}

#[test]
fn the_inner_of_two_captures_wins() {
    let (outer, inner) = (Capture::new(), Capture::new());
    let step = |name: &'static str| {
        counter!("i.steps", name = name).inc();
        info!(target: "shop", "{name}");
    };
    outer.run(|| {
        step("before");
        let _span = info_span!("around").entered();
        inner.run(|| {
            let _span = info_span!("within").entered();
            step("inside");
        });
        step("after");
    });
    assert_telemetry!(
        outer,
        r#"
            counter i.steps{name="after"} 1
            counter i.steps{name="before"} 1
            log INFO shop "before" {}
            span around internal {}
              log INFO shop "after" {}
        "#
    );
    assert_telemetry!(
        inner,
        r#"
            counter i.steps{name="inside"} 1
            span within internal {}
              log INFO shop "inside" {}
        "#
    );
}

#[test]
fn a_panic_leaves_the_capture() {
    let capture = Capture::new();
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        capture.run(|| {
            counter!("i.panics").inc();
            let _span = info_span!("fatal").entered();
            panic!("expected");
        });
    }));
    assert!(panicked.is_err());
    counter!("i.panics").inc();
    info!(target: "shop", "afterwards");
    assert!(std::ptr::eq(Registry::current(), Registry::global()));
    assert_telemetry!(
        capture,
        r#"
            counter i.panics{} 1
            span fatal internal error="" {error.type="panic"}
        "#
    );
}

#[test]
fn a_callsite_that_another_thread_reached_first_is_captured() {
    fn say() {
        let _span = info_span!("first").entered();
        info!(target: "shop", "said");
    }
    let capture = Capture::new();
    capture.run(|| {
        thread::spawn(say).join().unwrap();
        say();
    });
    assert_telemetry!(
        capture,
        r#"
            span first internal {}
              log INFO shop "said" {}
        "#
    );
}

#[test]
fn other_threads_are_not_captured_unless_they_run_in_the_capture() {
    let capture = Capture::new();
    capture.run(|| {
        let inner = capture.clone();
        let threads = [
            thread::spawn(|| counter!("i.threads", of = "outside").inc()),
            thread::spawn(move || inner.run(|| counter!("i.threads", of = "inside").inc())),
        ];
        for thread in threads {
            thread.join().unwrap();
        }
    });
    assert_telemetry!(capture, r#"counter i.threads{of="inside"} 1"#);
}

#[test]
fn a_capture_collects_what_several_runs_record() {
    let capture = Capture::new();
    for at in 0..2 {
        capture.run(|| info!(target: "shop", at, "run"));
        capture.clone().run(|| counter!("i.runs").inc());
    }
    assert_telemetry!(
        capture,
        r#"
            counter i.runs{} 2
            log INFO shop "run" {at=0}
            log INFO shop "run" {at=1}
        "#
    );
}
