//! The clock that stands still.

use std::time::Duration;

use barograph::instruments::{Clock as _, ManualClock, SystemClock};
use barograph::observe::Operation;
use barograph::testing::Capture;
use barograph::{assert_telemetry, describe, histogram};
use tracing::{info, info_span};

const MS: Duration = Duration::from_millis(1);

#[test]
fn durations_are_exact() {
    let capture = Capture::new();
    capture.run(|| {
        describe!("c.duration", unit = "s", help = "Time.");
        for _ in 0..3 {
            let timer = histogram!("c.duration").start_timer();
            capture.advance(250 * MS);
            drop(timer);
            capture.advance(7 * MS);
        }
        Operation::new("c", "work").run_sync(|| capture.advance(125 * MS));
    });
    assert_telemetry!(
        capture,
        "
            histogram c.duration{} count=3 sum=0.75 unit=s
            histogram operation.duration{..} count=1 sum=0.125 unit=s
            span c/work internal {..}
        "
    );
}

#[test]
fn times_of_spans_and_log_records_are_shown_on_request() {
    let capture = Capture::new().with_times();
    capture.run(|| {
        capture.advance(Duration::from_secs(2));
        let span = info_span!("wait").entered();
        capture.advance(250 * MS);
        info!(target: "shop", "waiting");
        capture.advance(Duration::from_nanos(1));
        drop(span);
        std::mem::forget(info_span!("hang"));
    });
    assert_telemetry!(
        capture,
        r#"
            span wait internal at=2 duration=0.250000001 {}
              log INFO shop "waiting" at=2.25 {}
            span hang internal unfinished at=2.250000001 {}
        "#
    );
}

#[test]
fn it_begins_at_the_same_time_in_each_capture_and_ends_with_it() {
    let capture = Capture::new();
    let read = || SystemClock.unix_nanos();
    assert_eq!(capture.run(read), 1_577_836_800_000_000_000);
    assert_eq!(capture.clock().unix_nanos(), 1_577_836_800_000_000_000);
    capture.advance(MS);
    assert_eq!(capture.run(read), 1_577_836_800_001_000_000);
    assert_eq!(Capture::new().run(read), 1_577_836_800_000_000_000);
    assert!(read() > 1_577_836_800_001_000_000);
}

#[test]
fn captures_can_share_a_clock() {
    let clock = ManualClock::at(5);
    let captures = [(); 2].map(|()| Capture::new().with_clock(clock.clone()).with_times());
    for capture in &captures {
        capture.run(|| {
            let _wait = info_span!("wait").entered();
            clock.advance(MS);
        });
    }
    assert_telemetry!(captures[0], "span wait internal at=0 duration=0.001 {}");
    assert_telemetry!(captures[1], "span wait internal at=0.001 duration=0.001 {}");
    assert_eq!(clock.unix_nanos(), 2_000_005);
}

#[test]
fn a_timer_that_ends_on_another_thread_shows_the_clock_of_its_capture() {
    let capture = Capture::new();
    let timer = capture.run(|| histogram!("c.moved").start_timer());
    capture.advance(250 * MS);
    std::thread::spawn(move || drop(timer)).join().unwrap();
    assert_telemetry!(capture, "histogram c.moved{} count=1 sum=0.25");
}
