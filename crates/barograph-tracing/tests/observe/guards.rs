//! The form in three steps.

use std::fmt;

use barograph_core::registry::Registry;
use barograph_tracing::observe::{self, Failure, Operation};

use crate::capture::Capture;

fn errors(service: &str, error: &str) -> Option<f64> {
    let labels = [
        ("operation.service", service),
        ("operation.name", "op"),
        ("error.type", error),
    ];
    Registry::global().value("operation.errors", &labels)
}

#[test]
fn a_guard_ends_with_the_outcome_of_a_result() {
    let (_, seen) = Capture::of(|| {
        let mut op = observe::begin("Guard", "op");
        op.event(
            "cache.miss",
            &[("cache.name", "users".into()), ("n", 2.into())],
        );
        let result = op.in_scope(|| {
            tracing::info!("inside");
            "x".parse::<u8>()
        });
        op.finish(&result);
    });
    assert_eq!(
        seen[0],
        "INFO in Guard/op: message=cache.miss cache.name=users n=2"
    );
    assert_eq!(seen[1], "INFO in Guard/op: message=inside");
    assert!(seen[2].starts_with("ERROR in Guard/op: message=Guard/op failed"));
    assert!(seen[3].contains("otel.status_code=ERROR"));
    assert_eq!(seen.len(), 4);
    assert_eq!(
        errors("Guard", "core::num::error::ParseIntError"),
        Some(1.0)
    );
}

#[test]
fn a_guard_that_is_dropped_was_canceled() {
    drop(observe::begin("Dropped", "op"));
    assert_eq!(errors("Dropped", "cancelled"), Some(1.0));
}

#[test]
fn an_error_that_was_noted_is_what_a_dropped_guard_failed_with() {
    let (_, seen) = Capture::of(|| {
        let mut op = observe::begin("Noted", "op");
        op.error(&"no");
    });
    let lines = seen.iter().filter(|line| line.starts_with("ERROR")).count();
    assert_eq!((lines, seen.len()), (1, 2), "{seen:?}");
    assert_eq!(errors("Noted", "_OTHER"), Some(1.0));
    assert_eq!(errors("Noted", "cancelled"), None);
}

#[test]
fn an_error_that_was_mended_is_only_a_line() {
    let mut op = observe::begin("Mended", "op");
    op.error(&"no");
    op.succeed();
    assert_eq!(errors("Mended", "_OTHER"), None);
}

#[test]
fn a_failure_is_recorded_unchanged() {
    observe::begin("Told", "op").fail(&Failure::new("E42"));
    assert_eq!(errors("Told", "E42"), Some(1.0));
}

#[test]
fn a_panic_ends_a_guard() {
    let caught = std::panic::catch_unwind(|| {
        let mut op = observe::begin("Shaken", "op");
        op.error(&"before");
        panic!("on purpose");
    });
    assert!(caught.is_err());
    assert_eq!(errors("Shaken", "panic"), Some(1.0));
    assert_eq!(errors("Shaken", "_OTHER"), None);
}

/// An error that panics when it is formatted.
struct Unformattable;

impl fmt::Display for Unformattable {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        panic!("on purpose")
    }
}

#[test]
fn an_operation_is_recorded_even_if_the_message_of_its_error_panics() {
    const ERROR: &str = "observe::guards::Unformattable";
    let (caught, seen) = Capture::of(|| {
        std::panic::catch_unwind(|| {
            Operation::new("Mute", "op").run_sync(|| Err::<(), _>(Unformattable))
        })
    });
    assert!(caught.is_err());
    assert_eq!(errors("Mute", ERROR), Some(1.0), "{seen:?}");
    // Without a log line, the message is formatted for the description of the span's status only.
    let (caught, seen) = Capture::of(|| {
        std::panic::catch_unwind(|| {
            let failure = Failure::of(&Unformattable).without_log_line();
            observe::begin("Mute", "op").fail(&failure);
        })
    });
    assert!(caught.is_err());
    assert_eq!(errors("Mute", ERROR), Some(2.0), "{seen:?}");
}
