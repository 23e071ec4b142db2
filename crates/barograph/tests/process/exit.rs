//! The telemetry of a process that ends without an orderly shutdown.

use std::io::Read as _;
use std::pin::Pin;
use std::process::{Stdio, exit};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use barograph::Telemetry;
use barograph::export::Protocol;
use barograph::export::Push;
use barograph::export::Request;
use barograph::export::{Outcome, Target, Transport};
use tracing::{error, info, info_span};

use crate::receiver::{Behavior, Receiver};
use crate::{command, look};

/// The variable that selects how the child ends.
const END: &str = "BAROGRAPH_TEST_END";

/// Longer than any machine needs, and shorter than an endless wait.
const LONG: Duration = Duration::from_secs(20);

#[test]
fn an_error_line_is_out_when_the_process_exits() {
    let test = "exit::an_error_line_is_out_when_the_process_exits";
    for run in 0..50 {
        let Some(seen) = look(test, &[]) else {
            let _telemetry = Telemetry::builder("shop")
                .without_listener()
                .without_start_line()
                .start()
                .unwrap();
            info!("the configuration is read");
            error!("no database, giving up");
            exit(1);
        };
        for line in ["the configuration is read", "no database, giving up"] {
            let lines = seen.err.lines().filter(|written| written.ends_with(line));
            assert_eq!(lines.count(), 1, "run {run}: {}", seen.err);
        }
    }
}

#[test]
fn an_exit_exports_and_writes_what_is_left() {
    let test = "exit::an_exit_exports_and_writes_what_is_left";
    if let Ok(end) = std::env::var(END) {
        return end_by(&end);
    }
    for end in ["exit", "other_thread", "forget", "static", "panic"] {
        let receiver = Receiver::start(Protocol::HttpProtobuf, Behavior::Takes);
        let base = format!("http://{}", receiver.address);
        let variables = [
            (END, end),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", &base),
            // A slow machine may need this time.
            ("BAROGRAPH_EXIT_TIMEOUT", "20000"),
        ];
        let seen = look(test, &variables).unwrap();
        let lines = seen.err.lines().filter(|line| line.contains("line i="));
        assert_eq!(lines.count(), 50, "{end}: {}", seen.err);
        assert!(seen.err.contains("the last line"), "{end}: {}", seen.err);
        let mut spans: Vec<_> = receiver.spans().into_iter().map(|span| span.name).collect();
        spans.sort();
        assert_eq!(spans, ["done", "open"], "{end}: {}", seen.err);
        assert_eq!(receiver.records().len(), 51, "{end}: {}", seen.err);
        assert_eq!(receiver.value("orders"), Some(1), "{end}: {}", seen.err);
    }
}

fn end_by(end: &str) {
    static KEPT: OnceLock<Telemetry> = OnceLock::new();
    let telemetry = Telemetry::builder("shop")
        .without_listener()
        .without_start_line()
        .start()
        .unwrap();
    barograph::counter!("orders").inc();
    drop(info_span!("done"));
    let open = info_span!("open").entered();
    for i in 0..50 {
        info!(i, "line");
    }
    error!("the last line");
    match end {
        "exit" => exit(3),
        "other_thread" => {
            let exits = std::thread::spawn(|| exit(3));
            let _ = exits.join();
        }
        "forget" => {
            std::mem::forget(open);
            std::mem::forget(telemetry);
        }
        "static" => {
            std::mem::forget(open);
            let _ = KEPT.set(telemetry);
        }
        _ => panic!("no more"),
    }
}

#[test]
fn an_exit_that_loses_telemetry_reports_it() {
    let test = "exit::an_exit_that_loses_telemetry_reports_it";
    // No process listens there once this is dropped.
    let address = std::net::TcpListener::bind("127.0.0.1:0")
        .and_then(|listener| listener.local_addr())
        .unwrap();
    let base = format!("http://{address}");
    let variables = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &*base),
        ("BAROGRAPH_EXIT_TIMEOUT", "1000"),
    ];
    let Some(seen) = look(test, &variables) else {
        let _telemetry = Telemetry::builder("shop")
            .without_listener()
            .without_start_line()
            .start()
            .unwrap();
        drop(info_span!("charge"));
        exit(1);
    };
    let said = "the process exits before all telemetry was exported";
    assert_eq!(seen.err.matches(said).count(), 1, "{}", seen.err);
}

#[test]
fn an_exit_waits_no_longer_than_its_timeout() {
    let test = "exit::an_exit_waits_no_longer_than_its_timeout";
    let receiver = Receiver::start(Protocol::HttpProtobuf, Behavior::Hangs);
    let base = format!("http://{}", receiver.address);
    let variables = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &*base),
        ("BAROGRAPH_EXIT_TIMEOUT", "300"),
    ];
    let Some(mut command) = command(test, &variables) else {
        let telemetry = Telemetry::builder("shop")
            .without_listener()
            .with_exit_timeout(Duration::from_secs(3600))
            .start()
            .unwrap();
        std::mem::forget(telemetry);
        // More than a pipe holds; it is not read.
        for _ in 0..5_000 {
            error!("a line of some length for whoever does not read it");
        }
        println!("IT EXITS");
        exit(0);
    };
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut out = child.stdout.take().unwrap();
    let mut said = String::new();
    while !said.contains("IT EXITS") {
        let mut bytes = [0; 1_000];
        let read = out.read(&mut bytes).unwrap();
        assert!(read > 0, "{said}");
        said.push_str(&String::from_utf8_lossy(&bytes[..read]));
    }
    let began = Instant::now();
    assert!(child.wait().unwrap().success());
    let took = began.elapsed();
    assert!(took < LONG, "{took:?}");
    assert!(took >= Duration::from_millis(200), "{took:?}");
}

#[test]
fn an_exit_after_an_orderly_end_waits_for_nothing() {
    let test = "exit::an_exit_after_an_orderly_end_waits_for_nothing";
    let variables = [("BAROGRAPH_EXIT_TIMEOUT", "60000")];
    let Some(mut command) = command(test, &variables) else {
        let telemetry = Telemetry::builder("shop").without_listener().start();
        for _ in 0..5_000 {
            error!("a line of some length for whoever does not read it");
        }
        drop(telemetry);
        exit(0);
    };
    let began = Instant::now();
    let mut child = command
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    assert!(child.wait().unwrap().success());
    let took = began.elapsed();
    assert!(took < LONG, "{took:?}");
}

/// A transport that exits the process in the middle of an export.
struct Exits(Target);

impl Transport for Exits {
    fn send<'a>(
        &'a mut self,
        _: &'a Request,
    ) -> Pin<Box<dyn Future<Output = Outcome> + Send + 'a>> {
        exit(3)
    }

    fn target(&self) -> &Target {
        &self.0
    }
}

#[test]
fn an_exit_of_the_thread_that_pushes_does_not_wait_for_it() {
    let test = "exit::an_exit_of_the_thread_that_pushes_does_not_wait_for_it";
    let variables = [("BAROGRAPH_EXIT_TIMEOUT", "60000")];
    let Some(mut command) = command(test, &variables) else {
        let exits = Exits(Target {
            url: "nowhere".into(),
            component_type: "exits",
            host: String::new(),
            port: None,
        });
        let telemetry = Telemetry::builder("shop")
            .without_listener()
            .with_push(Push::metrics("exits", exits))
            .start()
            .unwrap();
        error!("the last line");
        let _ = telemetry.flush(LONG);
        unreachable!("it exits before");
    };
    let began = Instant::now();
    let output = command.output().unwrap();
    let took = began.elapsed();
    let err = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{err}");
    assert!(took < LONG, "{took:?}");
    assert!(err.contains("the last line"), "{err}");
}
