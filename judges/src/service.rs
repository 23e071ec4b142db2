//! The service that is judged, built by cargo and started as any user would.

use std::{
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    path::PathBuf,
    process::Command,
    sync::OnceLock,
};

use serde_json::Value;

use crate::{backends::workspace, child::Child};

/// A running service: its own address, and the page where its numbers are.
#[derive(Debug)]
pub struct Service {
    address: SocketAddr,
    page: String,
    // Held for its drop, which ends the service.
    _child: Child,
}

impl Service {
    /// `examples/hello` exactly as it is.
    #[track_caller]
    pub fn hello() -> Self {
        static BUILT: OnceLock<PathBuf> = OnceLock::new();
        Self::start(BUILT.get_or_init(|| build(&["-p", "hello"])), &[])
    }

    /// The same service with the switches that `hello` leaves at their defaults.
    #[track_caller]
    pub fn switched(switches: &[&str]) -> Self {
        static BUILT: OnceLock<PathBuf> = OnceLock::new();
        Self::start(
            BUILT.get_or_init(|| build(&["-p", "judges", "--bin", "switched"])),
            switches,
        )
    }

    #[track_caller]
    fn start(program: &PathBuf, arguments: &[&str]) -> Self {
        let address = free_address();
        let mut child = Child::start("the service", |_| {
            let mut command = Command::new(program);
            command
                .args(arguments)
                .env("HELLO_ADDR", address.to_string())
                .env("OTEL_EXPORTER_PROMETHEUS_PORT", "0");
            command
        });
        let page = child.wait_for("start line that names /metrics", |child| {
            page_in(&child.log())
        });
        child.wait_for("open port", |_| TcpStream::connect(address).ok());
        Self {
            address,
            page,
            _child: child,
        }
    }

    /// Where requests go, without the path.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The URL of `/metrics`, as the start line gave it.
    pub fn page(&self) -> &str {
        &self.page
    }

    /// The page's `host:port`, which is what a scrape configuration wants.
    pub fn page_address(&self) -> &str {
        self.page
            .trim_start_matches("http://")
            .trim_end_matches("/metrics")
    }
}

/// The first `http://…/metrics` in the service's output.
fn page_in(log: &str) -> Option<String> {
    let end = log.find("/metrics")?;
    let start = log[..end].rfind("http://")?;
    Some(log[start..end].to_owned() + "/metrics")
}

/// A port that was free a moment ago. The service takes only an address that is named to it.
fn free_address() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free loopback port");
    listener
        .local_addr()
        .expect("a bound listener has an address")
}

/// Builds one program and returns where cargo has put it.
#[track_caller]
fn build(arguments: &[&str]) -> PathBuf {
    let output = Command::new(env!("CARGO"))
        .current_dir(workspace())
        .args(["build", "--message-format=json-render-diagnostics"])
        .args(arguments)
        .output()
        .expect("cargo runs these tests, so it can be run");
    assert!(
        output.status.success(),
        "cargo build {arguments:?} fails:\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    output
        .stdout
        .split(|byte| *byte == b'\n')
        .filter_map(|line| serde_json::from_slice::<Value>(line).ok())
        .filter_map(|message| message["executable"].as_str().map(PathBuf::from))
        .next_back()
        .unwrap_or_else(|| panic!("cargo build {arguments:?} has built no program"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_start_line_gives_the_page() {
        let line = "barograph: shop, metrics at http://127.0.0.1:39001/metrics, health beside it\n";
        assert_eq!(
            page_in(line).as_deref(),
            Some("http://127.0.0.1:39001/metrics")
        );
        assert_eq!(page_in("http://127.0.0.1:1/health"), None);
    }
}
