//! The services under test, started as a user would start them.

use std::{
    collections::BTreeMap,
    env,
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{self, Command},
    sync::{
        PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use crate::{
    ask::agent,
    child::{Child, PATIENCE, STARTING},
    page,
    samples::Samples,
};

/// Environment variables.
pub type Variables = BTreeMap<&'static str, String>;

/// A running service, with its own address and the URL of its page.
#[derive(Debug)]
pub struct Service {
    address: SocketAddr,
    page: String,
    child: Child,
}

impl Service {
    /// Starts `examples/hello` unchanged.
    #[track_caller]
    pub fn hello() -> Self {
        Self::hello_with(&Variables::new())
    }

    /// Starts `examples/hello` with these environment variables, and no other `OTEL_` variables.
    #[track_caller]
    pub fn hello_with(variables: &Variables) -> Self {
        Self::start(&program("hello_service"), &[], variables)
    }

    /// Starts the same service with options that `hello` leaves at their defaults.
    #[track_caller]
    pub fn switched(switches: &[&str]) -> Self {
        Self::start(&program("switched"), switches, &Variables::new())
    }

    /// Starts a service that writes to every kind of instrument, from several threads at once.
    #[track_caller]
    pub fn instruments(variables: &Variables) -> Self {
        Self::start(&program("instruments"), &[], variables)
    }

    /// Starts a service that produces every kind of span and log record.
    #[track_caller]
    pub fn events(variables: &Variables) -> Self {
        Self::start(&program("events"), &[], variables)
    }

    /// Starts a service with tail sampling of unsampled traces, up to the rate in its argument; without
    /// one it has no tail sampling.
    #[track_caller]
    pub fn tail_sampling(arguments: &[&str], variables: &Variables) -> Self {
        Self::start(&program("tail_sampling"), arguments, variables)
    }

    /// Starts the service that the attack tests run against.
    #[track_caller]
    pub fn target(arguments: &[&str]) -> Self {
        Self::start(&target_program(), arguments, &Variables::new())
    }

    /// Starts the same service within limits that a shell sets, such as `ulimit -n 64`.
    #[track_caller]
    pub fn target_limited(limits: &str, arguments: &[String]) -> Self {
        let script = format!("{limits}; exec \"$0\" \"$@\"");
        let mut all = vec!["-c".to_owned(), script];
        all.push(target_program().display().to_string());
        all.extend_from_slice(arguments);
        let all: Vec<&str> = all.iter().map(String::as_str).collect();
        Self::start(Path::new("bash"), &all, &Variables::new())
    }

    /// Starts one service of a chain: its arguments name the services before and after it.
    #[track_caller]
    pub fn link(arguments: &[&str], variables: &Variables) -> Self {
        Self::start(&program("link"), arguments, variables)
    }

    #[track_caller]
    fn start(program: &Path, arguments: &[&str], variables: &Variables) -> Self {
        let address = free_address();
        let mut child = Child::start("the service", |_| {
            let mut command = command(program, address, variables);
            command.args(arguments);
            command
        });
        let page = child.wait_for("start line that names /metrics", |child| {
            page_in(&child.log())
        });
        child.wait_for("open port", |_| TcpStream::connect(address).ok());
        Self {
            address,
            page,
            child,
        }
    }

    /// The URL of the service, without a path.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Requests a path from the service and returns the response body.
    ///
    /// # Panics
    ///
    /// Panics if there is no response in time, or its status is not 200.
    #[track_caller]
    pub fn ask(&self, path: &str) -> String {
        let answer = agent(PATIENCE).get(format!("{}{path}", self.url())).call();
        let mut answer = answer.expect("the service answers");
        answer.body_mut().read_to_string().expect("a body of text")
    }

    /// The URL of `/metrics`, from the start line.
    pub fn page(&self) -> &str {
        &self.page
    }

    /// The `host:port` of the page, as a scrape configuration has it.
    pub fn page_address(&self) -> &str {
        self.page
            .trim_start_matches("http://")
            .trim_end_matches("/metrics")
    }

    /// Fetches and parses the page.
    #[track_caller]
    pub fn samples(&self) -> Samples {
        Samples::of_page(&page::fetch(&self.page, page::OPENMETRICS))
    }

    /// Calls `ask` repeatedly until it returns a value.
    ///
    /// # Panics
    ///
    /// Panics if there is none in time.
    #[track_caller]
    pub fn wait_for<T>(&mut self, what: &str, ask: impl FnMut(&Child) -> Option<T>) -> T {
        self.child.wait_for(what, ask)
    }

    /// Shuts the service down with SIGTERM, and returns its output.
    ///
    /// # Panics
    ///
    /// Panics if it ends late, with an error or with a panic.
    #[track_caller]
    pub fn end(self) -> String {
        let ended = self.child.terminate();
        let log = ended.log;
        assert_eq!(ended.status.code(), Some(0), "{log}");
        assert!(!log.contains("panicked"), "{log}");
        // Five seconds for requests in flight, five for the final export, and one as a margin.
        assert!(
            ended.took < Duration::from_secs(11),
            "{:?}: {log}",
            ended.took
        );
        log
    }

    /// The process of the service.
    pub fn child(&self) -> &Child {
        &self.child
    }

    /// Returns the process, to wait for it or to end it.
    pub fn into_child(self) -> Child {
        self.child
    }
}

/// Returns the command that starts a service at an address, with these variables and no other
/// `OTEL_` variables.
pub fn command(program: &Path, address: SocketAddr, variables: &Variables) -> Command {
    let mut command = Command::new(program);
    for (name, _) in env::vars_os() {
        if name.to_string_lossy().starts_with("OTEL_") {
            command.env_remove(name);
        }
    }
    command
        .env("HELLO_ADDR", address.to_string())
        .env("OTEL_EXPORTER_PROMETHEUS_PORT", "0")
        // A log line per request would hide the library's messages.
        .env("RUST_LOG", "info,hello=warn,target_service=warn")
        .envs(variables);
    command
}

/// The program of [`Service::target`].
#[track_caller]
pub fn target_program() -> PathBuf {
    program("target_service")
}

/// Returns the URL of the page from the start line. Other lines may name receivers.
fn page_in(log: &str) -> Option<String> {
    let (_, rest) = log.split_once("metrics at http://")?;
    let end = rest.find("/metrics")?;
    Some(format!("http://{}/metrics", &rest[..end]))
}

/// Returns an address with a port that was free a moment ago, since the service must be given a
/// fixed address.
///
/// The port is outside the ephemeral range, so that the system does not give it to another process
/// before the service binds it.
///
/// # Panics
///
/// Panics if no port is free.
pub fn free_address() -> SocketAddr {
    const FIRST: u32 = 10_000;
    const PORTS: u32 = 22_000;
    static NEXT: AtomicU32 = AtomicU32::new(0);
    // Tests that run at the same time begin at different ports.
    let begin = process::id().wrapping_mul(64);
    let ports = (0..PORTS).map(|_| {
        let next = begin.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed));
        (FIRST + next % PORTS) as u16
    });
    let addresses = ports.map(|port| SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
    let _no_process_starts = STARTING.write().unwrap_or_else(PoisonError::into_inner);
    let mut free = addresses.filter(|address| TcpListener::bind(address).is_ok());
    free.next().expect("a free loopback port")
}

/// Returns the path of a program of this package, which cargo builds before its tests.
#[track_caller]
fn program(name: &str) -> PathBuf {
    let tests = env::current_exe().expect("the path of this program");
    // Test programs are in `deps`, beside the other programs.
    let directory = tests.ancestors().skip(1).find(|it| !it.ends_with("deps"));
    let program = directory.expect("a parent directory").join(name);
    assert!(
        program.exists(),
        "{} is missing; build it with `cargo build -p conformance --bins`",
        program.display()
    );
    program
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_start_line_gives_the_page() {
        let line =
            "barograph: shop, metrics at http://127.0.0.1:39001/metrics, also /health and /ready\n";
        assert_eq!(
            page_in(line).as_deref(),
            Some("http://127.0.0.1:39001/metrics")
        );
        let warning = "WARN no queue for http://127.0.0.1:4318/v1/metrics\n";
        assert_eq!(page_in(&format!("{warning}{line}")), page_in(line));
        assert_eq!(page_in("http://127.0.0.1:1/health"), None);
    }
}
