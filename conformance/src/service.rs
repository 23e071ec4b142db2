//! The service under test, built by cargo and started as any user would.

use std::{
    collections::BTreeMap,
    env,
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{self, Command},
    sync::{
        OnceLock,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use serde_json::Value;

use crate::{
    ask::agent,
    backends::workspace,
    child::{Child, PATIENCE},
    page,
    samples::Samples,
};

/// Variables of the environment.
pub type Variables = BTreeMap<&'static str, String>;

/// A running service: its own address, and the page where its numbers are.
#[derive(Debug)]
pub struct Service {
    address: SocketAddr,
    page: String,
    child: Child,
}

impl Service {
    /// `examples/hello` exactly as it is.
    #[track_caller]
    pub fn hello() -> Self {
        Self::hello_with(&Variables::new())
    }

    /// `examples/hello` with variables in its environment, and none of OpenTelemetry's besides.
    #[track_caller]
    pub fn hello_with(variables: &Variables) -> Self {
        static BUILT: OnceLock<PathBuf> = OnceLock::new();
        let program = BUILT.get_or_init(|| build(&["-p", "hello"]));
        Self::start(program, &[], variables)
    }

    /// The same service with the switches that `hello` leaves at their defaults.
    #[track_caller]
    pub fn switched(switches: &[&str]) -> Self {
        static BUILT: OnceLock<PathBuf> = OnceLock::new();
        let program = BUILT.get_or_init(|| build(&["-p", "conformance", "--bin", "switched"]));
        Self::start(program, switches, &Variables::new())
    }

    /// A service that writes to every kind of instrument, from several threads at once.
    #[track_caller]
    pub fn instruments(variables: &Variables) -> Self {
        static BUILT: OnceLock<PathBuf> = OnceLock::new();
        let program = BUILT.get_or_init(|| build(&["-p", "conformance", "--bin", "instruments"]));
        Self::start(program, &[], variables)
    }

    /// A service that makes every kind of span and log record.
    #[track_caller]
    pub fn events(variables: &Variables) -> Self {
        static BUILT: OnceLock<PathBuf> = OnceLock::new();
        let program = BUILT.get_or_init(|| build(&["-p", "conformance", "--bin", "events"]));
        Self::start(program, &[], variables)
    }

    /// A service that keeps traces which were not sampled; without `keep` one that does not.
    #[track_caller]
    pub fn keeping(arguments: &[&str], variables: &Variables) -> Self {
        static BUILT: OnceLock<PathBuf> = OnceLock::new();
        let program = BUILT.get_or_init(|| build(&["-p", "conformance", "--bin", "keeping"]));
        Self::start(program, arguments, variables)
    }

    /// A service that is attacked.
    #[track_caller]
    pub fn target(arguments: &[&str]) -> Self {
        Self::start(&target_program(), arguments, &Variables::new())
    }

    /// The same within limits that a shell sets, such as `ulimit -n 64`.
    #[track_caller]
    pub fn target_limited(limits: &str, arguments: &[String]) -> Self {
        let script = format!("{limits}; exec \"$0\" \"$@\"");
        let mut all = vec!["-c".to_owned(), script];
        all.push(target_program().display().to_string());
        all.extend_from_slice(arguments);
        let all: Vec<&str> = all.iter().map(String::as_str).collect();
        Self::start(Path::new("bash"), &all, &Variables::new())
    }

    /// One of a chain of services: its arguments say what comes before and after it.
    #[track_caller]
    pub fn link(arguments: &[&str], variables: &Variables) -> Self {
        static BUILT: OnceLock<PathBuf> = OnceLock::new();
        let program = BUILT.get_or_init(|| build(&["-p", "conformance", "--bin", "link"]));
        Self::start(program, arguments, variables)
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

    /// Where requests go, without the path.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Asks the service for a path and returns what it answers.
    ///
    /// # Panics
    ///
    /// When there is nothing in time, or its status is not 200.
    #[track_caller]
    pub fn ask(&self, path: &str) -> String {
        let answer = agent(PATIENCE).get(format!("{}{path}", self.url())).call();
        let mut answer = answer.expect("the service answers");
        answer.body_mut().read_to_string().expect("a body of text")
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

    /// What the page says now.
    #[track_caller]
    pub fn samples(&self) -> Samples {
        Samples::of_page(&page::fetch(&self.page, page::OPENMETRICS))
    }

    /// Asks again and again until there is an answer.
    ///
    /// # Panics
    ///
    /// When there is none in time.
    #[track_caller]
    pub fn wait_for<T>(&mut self, what: &str, ask: impl FnMut(&Child) -> Option<T>) -> T {
        self.child.wait_for(what, ask)
    }

    /// Ends the service in order, and returns what it has printed.
    ///
    /// # Panics
    ///
    /// When it ends late, with an error or with a panic.
    #[track_caller]
    pub fn end(self) -> String {
        let ended = self.child.terminate();
        let log = ended.log;
        assert_eq!(ended.status.code(), Some(0), "{log}");
        assert!(!log.contains("panicked"), "{log}");
        // Five seconds for requests in flight, five for what is left to push, and one for luck.
        assert!(
            ended.took < Duration::from_secs(11),
            "{:?}: {log}",
            ended.took
        );
        log
    }

    /// The process itself.
    pub fn child(&self) -> &Child {
        &self.child
    }

    /// The process itself, to be waited for or ended.
    pub fn into_child(self) -> Child {
        self.child
    }
}

/// What starts a service at an address, with variables and none of OpenTelemetry's besides.
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
        // A line for each request would bury what the library says.
        .env("RUST_LOG", "info,hello=warn,target_service=warn")
        .envs(variables);
    command
}

/// The program of [`Service::target`].
#[track_caller]
pub fn target_program() -> PathBuf {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    let build = || build(&["-p", "conformance", "--bin", "target_service"]);
    BUILT.get_or_init(build).clone()
}

/// The URL of the page, as the start line has it. Other lines may name receivers.
fn page_in(log: &str) -> Option<String> {
    let (_, rest) = log.split_once("metrics at http://")?;
    let end = rest.find("/metrics")?;
    Some(format!("http://{}/metrics", &rest[..end]))
}

/// A port that was free a moment ago. The service takes only an address that is named to it.
///
/// It is none of those that the system gives to whoever asks for any, one of whom might be given it
/// before the service has it.
///
/// # Panics
///
/// When there is none.
pub fn free_address() -> SocketAddr {
    const FIRST: u32 = 10_000;
    const PORTS: u32 = 22_000;
    static NEXT: AtomicU32 = AtomicU32::new(0);
    // Other tests that run now begin elsewhere.
    let begin = process::id().wrapping_mul(64);
    let ports = (0..PORTS).map(|_| {
        let next = begin.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed));
        (FIRST + next % PORTS) as u16
    });
    let addresses = ports.map(|port| SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
    let mut free = addresses.filter(|address| TcpListener::bind(address).is_ok());
    free.next().expect("a free loopback port")
}

/// Builds one program and returns where cargo has put it.
#[track_caller]
fn build(arguments: &[&str]) -> PathBuf {
    let mut command = Command::new(env!("CARGO"));
    // What cargo tells these tests is not for another cargo: a dependency's build script that asks for
    // it would run anew each time.
    for (name, _) in env::vars_os() {
        let own = ["CARGO_MANIFEST_", "CARGO_PKG_"];
        if own
            .iter()
            .any(|own| name.to_string_lossy().starts_with(own))
        {
            command.env_remove(name);
        }
    }
    // Optimized where these tests are: they measure it then.
    let profile = match cfg!(debug_assertions) {
        true => "dev",
        false => "release",
    };
    let output = command
        .current_dir(workspace())
        .args(["build", "--message-format=json-render-diagnostics"])
        .args(["--profile", profile])
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
        let warning = "WARN no queue for http://127.0.0.1:4318/v1/metrics\n";
        assert_eq!(page_in(&format!("{warning}{line}")), page_in(line));
        assert_eq!(page_in("http://127.0.0.1:1/health"), None);
    }
}
