//! A process that forks after its telemetry has started.
#![expect(unsafe_code, reason = "std has no fork")]

use std::process::exit;
use std::time::Duration;

use barograph::Telemetry;
use barograph::export::Protocol;
use tracing::{error, info, info_span};

use crate::look;
use crate::receiver::{Behavior, Receiver};

unsafe extern "C" {
    fn fork() -> i32;
    fn waitpid(pid: i32, status: *mut i32, options: i32) -> i32;
}

/// Forks, runs the closure in the child and exits it. Returns the exit status of the child.
fn in_a_child(run: impl FnOnce()) -> i32 {
    // SAFETY: the child continues with only this thread, and this test checks what it does.
    let pid = unsafe { fork() };
    assert!(pid >= 0);
    if pid == 0 {
        run();
        exit(0);
    }
    let mut status = -1;
    // SAFETY: `status` is valid for writes, and `pid` is a child of this process.
    let ended = unsafe { waitpid(pid, &raw mut status, 0) };
    assert_eq!(ended, pid);
    status
}

#[test]
fn a_forked_child_ends_and_exports_nothing() {
    let test = "fork::a_forked_child_ends_and_exports_nothing";
    let receiver = Receiver::start(Protocol::HttpProtobuf, Behavior::Takes);
    let base = format!("http://{}", receiver.address);
    let variables = [("OTEL_EXPORTER_OTLP_ENDPOINT", &*base)];
    let Some(seen) = look(test, &variables) else {
        let telemetry = Telemetry::builder("shop")
            .without_start_line()
            .start()
            .unwrap();
        // Both are queued when it forks.
        info_span!("parent").in_scope(|| info!("line of the parent"));
        for end in 0..3 {
            let status = in_a_child(|| {
                error!(end, "line of a child");
                drop(info_span!("child"));
                assert!(telemetry.flush(Duration::from_secs(3600)).is_err());
                match end {
                    // The exit hook is installed, as in the parent.
                    0 => {}
                    // SAFETY: it is not used again: the child exits.
                    1 => drop(unsafe { std::ptr::read(&raw const telemetry) }),
                    // SAFETY: as above.
                    _ => unsafe { std::ptr::read(&raw const telemetry) }.shutdown_blocking(),
                }
            });
            assert_eq!(status, 0);
        }
        drop(telemetry);
        return;
    };
    let count = |line: &str| {
        seen.err
            .lines()
            .filter(|written| written.contains(line))
            .count()
    };
    assert_eq!(count("line of the parent"), 1, "{}", seen.err);
    assert_eq!(count("line of a child"), 3, "{}", seen.err);
    assert_eq!(count("panicked"), 0, "{}", seen.err);
    let spans: Vec<_> = receiver.spans().into_iter().map(|span| span.name).collect();
    assert_eq!(spans, ["parent"], "{}", seen.err);
    assert_eq!(receiver.records().len(), 1, "{}", seen.err);
}
