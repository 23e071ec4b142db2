//! The two programs as processes: the call is one trace in both of them.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Output, Stdio};

/// A running server, killed if the test fails.
struct Server {
    child: Child,
    port: String,
}

impl Server {
    fn start() -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_grpc-server"))
            .env_remove("RUST_LOG")
            .env("STOCK_ADDR", "127.0.0.1:0")
            .env("OTEL_EXPORTER_PROMETHEUS_PORT", "0")
            .env("OTEL_TRACES_EXPORTER", "console")
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let line = lines
            .find(|line| line.as_ref().unwrap().contains("listening"))
            .unwrap()
            .unwrap();
        // The rest is read, so that the server never waits for room in the pipe.
        std::thread::spawn(move || lines.count());
        let port = line.rsplit_once("127.0.0.1:").unwrap().1;
        let port = port.split_whitespace().next().unwrap().to_owned();
        Server { child, port }
    }

    fn call(&self, article: &str) -> Output {
        Command::new(env!("CARGO_BIN_EXE_grpc-client"))
            .arg(article)
            .env("STOCK_PORT", &self.port)
            .env("OTEL_TRACES_EXPORTER", "console")
            .output()
            .unwrap()
    }

    /// Sends SIGTERM, and returns what the server printed until its end.
    fn end(mut self) -> String {
        let kill = format!("kill -TERM {}", self.child.id());
        let status = Command::new("sh").args(["-c", &kill]).status().unwrap();
        assert!(status.success());
        let out = std::io::read_to_string(self.child.stdout.take().unwrap()).unwrap();
        assert_eq!(self.child.wait().unwrap().code(), Some(0));
        out
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Returns the values of a key in OTLP as JSON.
fn values<'a>(json: &'a str, key: &str) -> Vec<&'a str> {
    let before = format!("\"{key}\":\"");
    let rests = json.split(&before).skip(1);
    rests.map(|rest| rest.split('"').next().unwrap()).collect()
}

#[test]
fn a_call_is_one_trace() {
    let server = Server::start();
    let output = server.call("7");
    let printed = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{printed}");
    assert!(printed.contains("7: 7 pieces\n"), "{printed}");
    let answered = server.end();
    // The operation, the call, and its answer.
    let [call, operation] = *values(&printed, "spanId") else {
        panic!("two spans expected: {printed}");
    };
    assert_ne!(call, operation);
    assert_eq!(values(&printed, "parentSpanId"), [operation]);
    assert_eq!(values(&answered, "parentSpanId"), [call]);
    assert_eq!(
        values(&answered, "traceId")[0],
        values(&printed, "traceId")[0]
    );
}

#[test]
fn an_error_is_the_status_of_the_program() {
    let server = Server::start();
    let output = server.call("0");
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(said.contains("no article has the number 0"), "{said}");
    assert!(values(&String::from_utf8(output.stdout).unwrap(), "spanId").len() == 2);
    server.end();
}

#[test]
fn an_argument_that_is_no_number_is_answered() {
    let output = Command::new(env!("CARGO_BIN_EXE_grpc-client"))
        .arg("seven")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("usage: grpc-client ARTICLE"), "{said}");
}
