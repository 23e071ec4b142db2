//! A real Zipkin, and queries for traces.

use std::process::Command;

use serde_json::Value;

use crate::{ask, backends::program, child::Child, service::free_address};

/// Zipkin with its traces in memory.
#[derive(Debug)]
pub struct Zipkin {
    port: u16,
    child: Child,
}

impl Zipkin {
    /// Starts a Zipkin.
    ///
    /// # Panics
    ///
    /// Panics if it is not installed or not ready in time.
    #[track_caller]
    pub fn start() -> Self {
        let jar = program("zipkin/zipkin-server-3.6.1-exec.jar");
        let port = free_address().port();
        let mut child = Child::start("Zipkin", |_| {
            let mut command = Command::new("java");
            command
                .args(["-Xmx256m", "-jar"])
                .arg(jar)
                .arg("--armeria.ports[0].ip=127.0.0.1")
                .arg(format!("--armeria.ports[0].port={port}"))
                .arg("--armeria.ports[0].protocols[0]=http");
            command
        });
        child.wait_for("answer about its health", |_| get(port, "/health"));
        Self { port, child }
    }

    /// The endpoint that accepts spans.
    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}/api/v2/spans", self.port)
    }

    /// Returns the spans of a trace as Zipkin writes them, once there are that many.
    ///
    /// # Panics
    ///
    /// Panics if there are fewer when the time is over.
    #[track_caller]
    pub fn trace(&mut self, trace_id: &str, spans: usize) -> Vec<Value> {
        let port = self.port;
        let path = format!("/api/v2/trace/{trace_id}");
        self.child.wait_for("whole trace", |_| {
            let answer = get(port, &path)?;
            let found = answer.as_array()?;
            (found.len() >= spans).then(|| found.clone())
        })
    }
}

fn get(port: u16, path: &str) -> Option<Value> {
    ask::json(&format!("http://127.0.0.1:{port}{path}"))
}
