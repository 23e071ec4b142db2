//! The program as a process: its output, its start and its end.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::process::{Child, ChildStderr, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// A running program, killed if the test fails.
struct Hello {
    child: Child,
    stderr: BufReader<ChildStderr>,
    service: SocketAddr,
}

impl Hello {
    fn start(variables: &[(&str, &str)]) -> Self {
        let service = free();
        let mut child = Command::new(env!("CARGO_BIN_EXE_hello"))
            .env_remove("RUST_LOG")
            .env_remove("OTEL_SERVICE_NAME")
            .env_remove("OTEL_SDK_DISABLED")
            .env("HELLO_ADDR", service.to_string())
            .env("OTEL_EXPORTER_PROMETHEUS_PORT", "0")
            .envs(variables.iter().copied())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        Hello {
            child,
            stderr,
            service,
        }
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.stderr.read_line(&mut line).unwrap();
        line
    }

    /// Waits until the service listens.
    fn wait(&self) {
        until("a service that listens", || {
            TcpStream::connect(self.service).is_ok()
        });
    }

    fn send(&self, signal: &str) {
        let kill = format!("kill -{signal} {}", self.child.id());
        assert!(
            Command::new("sh")
                .args(["-c", &kill])
                .status()
                .unwrap()
                .success()
        );
    }

    fn end(&mut self) -> ExitStatus {
        let mut status = None;
        until("the end of the program", || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        status.unwrap()
    }
}

impl Drop for Hello {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn free() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    listener.local_addr().unwrap()
}

#[track_caller]
fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(
            began.elapsed() < Duration::from_secs(20),
            "waited for {what}"
        );
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    stream
}

/// Returns the status line and everything that follows.
fn get(address: SocketAddr, path: &str) -> String {
    let mut stream = connect(address);
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    )
    .unwrap();
    let mut all = String::new();
    stream.read_to_string(&mut all).unwrap();
    all
}

/// Returns the address in a start line.
fn admin_in(line: &str) -> SocketAddr {
    let rest = line.split("http://").nth(1).unwrap();
    rest.split('/').next().unwrap().parse().unwrap()
}

#[test]
fn one_line_says_what_goes_where_and_the_numbers_are_there() {
    let mut hello = Hello::start(&[]);
    let line = hello.line();
    let admin = admin_in(&line);
    assert_eq!(
        line,
        format!(
            "barograph: shop: metrics at http://{admin}/metrics, also /health and /ready; \
             logs on stderr\n"
        )
    );
    hello.wait();
    assert!(get(hello.service, "/orders/7").ends_with("\r\n\r\norder 7"));
    let log = hello.line();
    assert!(log.contains("order read") && log.contains("id=7"), "{log}");
    let page = get(admin, "/metrics");
    assert!(page.contains("\norders_total{kind=\"web\"} 1\n"), "{page}");
    let is_duration = |line: &&str| line.starts_with("http_server_request_duration_seconds_count{");
    let duration = page.lines().find(is_duration).unwrap();
    assert!(
        duration.contains(r#"http_route="/orders/{id}""#),
        "{duration}"
    );
    assert!(duration.ends_with(" 1"), "{duration}");
}

#[test]
fn sigterm_ends_it_in_order() {
    let mut hello = Hello::start(&[]);
    let admin = admin_in(&hello.line());
    hello.wait();
    assert!(get(admin, "/ready").starts_with("HTTP/1.1 200"));
    // An open request delays the end of the service.
    let mut half = connect(hello.service);
    half.write_all(b"GET /orders/8 HTTP/1.1\r\n").unwrap();
    // A response to a later connection shows that the earlier one was accepted.
    assert!(get(hello.service, "/orders/7").starts_with("HTTP/1.1 200"));
    hello.send("TERM");
    until("503", || get(admin, "/ready").starts_with("HTTP/1.1 503"));
    until("a closed address", || {
        TcpStream::connect(hello.service).is_err()
    });
    assert!(get(admin, "/metrics").starts_with("HTTP/1.1 200"));
    half.write_all(b"Host: localhost\r\n\r\n").unwrap();
    let mut answer = String::new();
    half.read_to_string(&mut answer).unwrap();
    assert!(
        answer.starts_with("HTTP/1.1 200") && answer.ends_with("order 8"),
        "{answer}"
    );
    assert_eq!(hello.end().code(), Some(0));
    assert!(TcpStream::connect(admin).is_err());
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let mut hello = Hello::start(&[]);
    let admin = admin_in(&hello.line());
    hello.wait();
    let mut half = connect(hello.service);
    half.write_all(b"GET /orders/8 HTTP/1.1\r\n").unwrap();
    assert!(get(hello.service, "/orders/7").starts_with("HTTP/1.1 200"));
    let began = Instant::now();
    hello.send("INT");
    until("503", || get(admin, "/ready").starts_with("HTTP/1.1 503"));
    hello.send("INT");
    // 128 plus the number of SIGINT, as for a process that does not handle it.
    assert_eq!(hello.end().code(), Some(130));
    assert!(began.elapsed() < Duration::from_secs(8));
}

#[test]
fn a_second_one_starts_and_has_the_port_when_the_first_one_ends() {
    let mut first = Hello::start(&[]);
    let admin = admin_in(&first.line());
    first.wait();
    let port = admin.port().to_string();
    let mut second = Hello::start(&[("OTEL_EXPORTER_PROMETHEUS_PORT", &port)]);
    let warning = second.line();
    let expected = format!(
        "cannot serve metrics on {admin}: the port is taken; OTEL_EXPORTER_PROMETHEUS_PORT \
         chooses another, 0 a free one; the service starts without its pages"
    );
    assert!(
        warning.contains("WARN") && warning.contains(&expected),
        "{warning}"
    );
    assert_eq!(
        second.line(),
        "barograph: shop: no pages until their address is free; logs on stderr\n"
    );
    second.wait();
    assert!(get(second.service, "/orders/7").ends_with("order 7"));
    first.send("TERM");
    assert_eq!(first.end().code(), Some(0));
    // A later line says that the port is bound.
    loop {
        let line = second.line();
        assert!(!line.is_empty(), "it has ended");
        if line.contains(&format!("metrics at http://{admin}/metrics")) {
            break;
        }
    }
    assert!(get(admin, "/metrics").contains("\norders_total{kind=\"web\"} 1\n"));
    second.send("TERM");
    assert_eq!(second.end().code(), Some(0));
}

#[test]
fn disabled_it_serves_on_without_numbers() {
    let mut hello = Hello::start(&[("OTEL_SDK_DISABLED", "true")]);
    let admin = admin_in(&hello.line());
    hello.wait();
    assert!(get(hello.service, "/orders/7").ends_with("order 7"));
    assert!(get(admin, "/metrics").starts_with("HTTP/1.1 404"));
    assert!(get(admin, "/health").starts_with("HTTP/1.1 200"));
    assert!(get(admin, "/ready").starts_with("HTTP/1.1 200"));
}

#[test]
fn a_value_that_makes_no_sense_is_told_about() {
    let mut hello = Hello::start(&[
        ("OTEL_METRICS_EXEMPLAR_FILTER", "sometimes"),
        ("OTEL_SERVICE_NAME", "store"),
    ]);
    let warning = hello.line();
    assert!(warning.contains("WARN"), "{warning}");
    assert!(
        warning.contains(r#"OTEL_METRICS_EXEMPLAR_FILTER="sometimes" is ignored"#),
        "{warning}"
    );
    assert!(
        hello
            .line()
            .starts_with("barograph: store: metrics at http://127.0.0.1:")
    );
}
