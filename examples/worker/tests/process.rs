//! The program as a process: how it ends, and how two of them start.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::{BufRead as _, BufReader};
use std::net::{Ipv4Addr, TcpListener};
use std::process::{Child, ChildStderr, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

/// A running program, killed if the test fails.
struct Worker {
    child: Child,
    out: Option<BufReader<ChildStdout>>,
    err: BufReader<ChildStderr>,
}

impl Worker {
    fn start(port: u16) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_worker"))
            .env_remove("RUST_LOG")
            .env("OTEL_EXPORTER_PROMETHEUS_PORT", port.to_string())
            .env("OTEL_TRACES_EXPORTER", "console")
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        Worker {
            out: child.stdout.take().map(BufReader::new),
            err: BufReader::new(child.stderr.take().unwrap()),
            child,
        }
    }

    /// Returns the next line on stderr that contains this text.
    fn line(&mut self, with: &str) -> String {
        loop {
            let mut line = String::new();
            assert_ne!(self.err.read_line(&mut line).unwrap(), 0, "no {with}");
            if line.contains(with) {
                return line;
            }
        }
    }

    /// Sends SIGTERM, and returns the number of spans that it exported until its end.
    fn end(mut self) -> usize {
        let kill = format!("kill -TERM {}", self.child.id());
        let began = Instant::now();
        assert!(
            Command::new("sh")
                .args(["-c", &kill])
                .status()
                .unwrap()
                .success()
        );
        let out = self.out.take().unwrap();
        let spans = out
            .lines()
            .map(|line| line.unwrap().matches("\"traceId\"").count());
        let spans = spans.sum();
        assert_eq!(self.child.wait().unwrap().code(), Some(0));
        assert!(began.elapsed() < Duration::from_secs(10));
        spans
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn sigterm_ends_it_with_all_its_spans() {
    let mut worker = Worker::start(0);
    let mut jobs = 0;
    for _ in 0..3 {
        worker.line("job done");
        jobs += 1;
    }
    assert!(worker.end() >= jobs);
}

#[test]
fn two_of_them_start_on_one_port() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let mut first = Worker::start(port);
    let at = format!("http://127.0.0.1:{port}/metrics");
    first.line(&at);
    let mut second = Worker::start(port);
    second.line("OTEL_EXPORTER_PROMETHEUS_PORT chooses another");
    second.line("job done");
    first.end();
    second.line(&at);
    assert!(second.end() > 0);
}
