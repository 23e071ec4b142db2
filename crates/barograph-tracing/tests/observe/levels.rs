//! The levels at which failures are logged.

use std::fmt;

use barograph_core::registry::Registry;
use barograph_tracing::observe::{self, ErrorType, Failure, Operation, level_errors, observe};
use tracing::Level;

use crate::capture::{Capture, now};

#[derive(Debug)]
enum Payment {
    Refused,
    Late,
    Broken,
}

impl fmt::Display for Payment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}

/// Sets the same levels in every test; the error type is used only in this file.
fn set_levels() {
    level_errors(|error: &Payment| match error {
        Payment::Refused => None,
        Payment::Late => Some(Level::INFO),
        Payment::Broken => Some(Level::ERROR),
    });
}

#[observe(crate = "barograph_tracing", service = "Levels")]
fn pay(error: Payment) -> Result<(), Payment> {
    Err(error)
}

#[observe(crate = "barograph_tracing", service = "Levels", error_level = "warn", err = kind)]
async fn pay_later(error: Payment) -> Result<(), Payment> {
    Err(error)
}

fn kind(_: &Payment) -> ErrorType {
    "payment".into()
}

/// Returns the levels of the log lines of failures.
fn levels(run: impl FnOnce()) -> Vec<String> {
    let ((), seen) = Capture::of(run);
    let lines = seen.iter().filter(|line| line.contains(" failed"));
    let level = |line: &String| line.split(' ').next().map(String::from);
    lines.filter_map(level).collect()
}

#[test]
fn the_less_severe_of_error_and_operation_is_the_level_of_a_line() {
    set_levels();
    let all = || [Payment::Refused, Payment::Late, Payment::Broken];
    let of_functions = levels(|| all().into_iter().for_each(|error| drop(pay(error))));
    assert_eq!(of_functions, ["INFO", "ERROR"]);
    let of_futures = levels(|| {
        for error in all() {
            let _ = now(pay_later(error));
        }
    });
    assert_eq!(of_futures, ["INFO", "WARN"]);
    let of_calls = levels(|| {
        for error in all() {
            let _ = now(observe("Levels", "call", async { Err::<(), _>(error) }));
        }
    });
    assert_eq!(of_calls, ["INFO", "ERROR"]);
    let of_guards = levels(|| {
        for error in all() {
            let mut op = observe::begin("Levels", "guard");
            op.error(&error);
            op.finish(&Err::<(), _>(error));
        }
    });
    assert_eq!(of_guards, ["INFO", "INFO", "ERROR", "ERROR"]);
    let silent = levels(|| {
        let operation = Operation::new("Levels", "silent").without_log_line();
        let _ = operation.run_sync(|| Err::<(), _>(Payment::Broken));
    });
    assert!(silent.is_empty(), "{silent:?}");
    // It is recorded as a failure nevertheless.
    let labels = [
        ("operation.service", "Levels"),
        ("operation.name", "call"),
        ("error.type", "observe::levels::Payment"),
    ];
    let errors = Registry::global().value("operation.errors", &labels);
    assert_eq!(errors, Some(3.0));
}

#[test]
fn a_failure_has_a_level_of_its_own() {
    let of_failures = levels(|| {
        let fail = |failure: &Failure<'_>| observe::begin("Levels", "own").fail(failure);
        fail(&Failure::new("a"));
        fail(&Failure::new("b").with_level(Level::DEBUG));
        fail(&Failure::new("c").without_log_line());
        fail(&Failure::of(&"text"));
    });
    assert_eq!(of_failures, ["ERROR", "DEBUG", "ERROR"]);
}
