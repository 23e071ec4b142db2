//! The two programs as processes: a server gets the context of their traces.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::process::{Command, Output};
use std::thread::JoinHandle;

/// Answers one request, and returns its `traceparent`.
fn answer() -> (String, JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/price", listener.local_addr().unwrap());
    let thread = std::thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        let mut reader = BufReader::new(&stream);
        let mut traceparent = String::new();
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).unwrap();
            if let Some(value) = line.strip_prefix("traceparent: ") {
                value.trim().clone_into(&mut traceparent);
            }
            if line == "\r\n" {
                break;
            }
        }
        (&stream)
            .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\n42")
            .unwrap();
        traceparent
    });
    (url, thread)
}

fn run(program: &str, url: &str) -> Output {
    Command::new(program)
        .arg(url)
        .env("OTEL_TRACES_EXPORTER", "console")
        .output()
        .unwrap()
}

fn a_request_passes_its_context_on(program: &str) {
    let (url, thread) = answer();
    let output = run(program, &url);
    let printed = String::from_utf8(output.stdout).unwrap();
    let traceparent = thread.join().unwrap();
    assert!(output.status.success(), "{printed}");
    assert!(
        printed.contains(&format!("{url}: 200 OK: 42\n")),
        "{printed}"
    );
    let ids: Vec<&str> = traceparent.split('-').collect();
    let [_, trace, span, "01" | "03"] = ids[..] else {
        panic!("unexpected traceparent {traceparent:?}");
    };
    assert!(
        printed.contains(&format!("\"traceId\":\"{trace}\"")),
        "{printed}"
    );
    assert!(
        printed.contains(&format!("\"spanId\":\"{span}\"")),
        "{printed}"
    );
}

fn a_server_that_is_not_there_is_an_error(program: &str) {
    let free = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let output = run(program, &format!("http://{free}/price"));
    assert_eq!(output.status.code(), Some(1));
    let printed = String::from_utf8(output.stdout).unwrap();
    // The span of the attempt is exported before the program ends.
    assert!(printed.contains("connection_refused"), "{printed}");
}

#[test]
fn reqwest_passes_the_context_on() {
    a_request_passes_its_context_on(env!("CARGO_BIN_EXE_with-reqwest"));
}

#[test]
fn tower_passes_the_context_on() {
    a_request_passes_its_context_on(env!("CARGO_BIN_EXE_with-tower"));
}

#[test]
fn an_error_of_reqwest_is_exported() {
    a_server_that_is_not_there_is_an_error(env!("CARGO_BIN_EXE_with-reqwest"));
}

#[test]
fn an_error_of_tower_is_exported() {
    a_server_that_is_not_there_is_an_error(env!("CARGO_BIN_EXE_with-tower"));
}
