//! The output of a process that sets up telemetry: each test runs itself again, as that process.

use std::process::Command;

use tracing::{debug, info};

const IS_SERVICE: &str = "BAROGRAPH_TEST_IS_SERVICE";

/// Runs the test with this name in a child process, and returns its output; None in the child itself.
fn run(test: &str) -> Option<String> {
    if std::env::var_os(IS_SERVICE).is_some() {
        return None;
    }
    let mut service = Command::new(std::env::current_exe().expect("this test"));
    let service = service
        .args(["--exact", test, "--nocapture"])
        .env(IS_SERVICE, "1")
        .env("OTEL_EXPORTER_PROMETHEUS_PORT", "0")
        .env_remove("RUST_LOG");
    let output = service.output().expect("it starts");
    let out = [output.stdout, output.stderr].map(|out| String::from_utf8_lossy(&out).into_owned());
    let out = out.concat();
    assert!(output.status.success(), "{out}");
    Some(out)
}

/// Cargo builds tracing-subscriber once, with the union of all requested features, so the features
/// that barograph requests also apply to the service.
#[test]
fn the_default_subscriber_of_a_service_shows_its_info_lines() {
    let Some(out) = run("the_default_subscriber_of_a_service_shows_its_info_lines") else {
        tracing_subscriber::fmt::init();
        info!("an info line");
        return debug!("a debug line");
    };
    assert!(out.contains("an info line"), "{out}");
    assert!(!out.contains("a debug line"), "{out}");
}

#[test]
fn a_second_init_is_an_error() {
    let Some(out) = run("a_second_init_is_an_error") else {
        let first = barograph::init("first").expect("it starts");
        let second = barograph::init("second").expect("it starts, too");
        return drop((first, second));
    };
    let line = out.lines().find(|line| line.contains("barograph: second:"));
    let line = line.expect("a start line");
    assert!(line.contains("started in this process before"), "{line}");
    assert!(line.contains("call init once"), "{line}");
    assert!(!line.contains("another subscriber"), "{line}");
}
