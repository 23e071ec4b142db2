//! A service without a free file descriptor. The test has two processes: this one, which sends
//! requests, and one that has no descriptor left.
#![cfg(all(unix, feature = "axum"))]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[allow(dead_code, reason = "others ask for more")]
mod child;

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::thread::sleep;
use std::time::{Duration, Instant};

use axum::Router;
use barograph::Telemetry;

use child::{listens, start_by};

/// Longer than the time without errors after which the failure counts as over.
const QUIET: Duration = Duration::from_secs(6);

fn ask(address: SocketAddr, path: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    let limit = Some(Duration::from_secs(20));
    stream.set_read_timeout(limit).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    let mut answer = String::new();
    // A connection that uses the last descriptor is not kept alive.
    stream.read_to_string(&mut answer).unwrap();
    answer
}

/// Waits for a line on stdin.
fn wait_for_parent() {
    std::io::stdin().read_line(&mut String::new()).unwrap();
}

fn serve_without_descriptors() {
    let telemetry = Telemetry::builder("shop").start().unwrap();
    let admin = telemetry.local_addr().unwrap();
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.worker_threads(1).enable_all().build().unwrap();
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
        let listener = listener.await.unwrap();
        let service = listener.local_addr().unwrap();
        tokio::task::spawn_blocking(move || {
            // Everything that starts has its descriptors by then.
            sleep(Duration::from_millis(500));
            let mut hoard = Vec::new();
            while let Ok(file) = File::open("/dev/null") {
                hoard.push(file);
            }
            listens(service, admin);
            wait_for_parent();
            drop(hoard);
        });
        telemetry
            .server(Router::new())
            .serve(listener)
            .await
            .unwrap();
    });
}

#[test]
fn health_is_answered_without_descriptors_and_it_is_said_once() {
    let test = "health_is_answered_without_descriptors_and_it_is_said_once";
    let Some(mut process) = start_by("ulimit -n 64; exec \"$0\" \"$@\"", test) else {
        return serve_without_descriptors();
    };
    let (service, admin) = (process.service, process.admin);
    // Not accepted as long as no descriptor is free, since the service has no reserve.
    let mut waits = TcpStream::connect(service).unwrap();
    write!(
        waits,
        "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    )
    .unwrap();
    let began = Instant::now();
    for _ in 0..20 {
        assert!(ask(admin, "/health").starts_with("HTTP/1.1 200"));
        assert!(ask(admin, "/ready").starts_with("HTTP/1.1 200"));
        assert!(ask(admin, "/metrics").starts_with("HTTP/1.1 503"));
        sleep(Duration::from_millis(20));
    }
    assert!(began.elapsed() < Duration::from_secs(20));
    // A client that sends nothing uses the reserve for a moment only.
    let silent = TcpStream::connect(admin).unwrap();
    assert!(ask(admin, "/health").starts_with("HTTP/1.1 200"));
    drop(silent);
    process.notify();
    let mut answer = String::new();
    waits.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 404"), "{answer}");
    sleep(QUIET);
    process.ask_at(admin, "/health");
    process.ask_at(admin, "/metrics");
    drop(TcpStream::connect(service).unwrap());
    sleep(Duration::from_millis(200));
    process.signal("TERM");
    let end = process.wait();
    assert_eq!(end.status, Some(0), "{}", end.err);
    for of in ["the admin port", "the service"] {
        let begins = format!("connections to {of} cannot be accepted");
        let ends = format!("connections to {of} are accepted again");
        for line in [begins, ends] {
            assert_eq!(end.err.matches(&line).count(), 1, "{line}: {}", end.err);
        }
    }
}
