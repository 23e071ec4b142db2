//! A test with two processes: this one, which sends signals and requests, and a child that runs the
//! test of the same name.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// The variable that makes this process the child.
const IS_CHILD: &str = "BAROGRAPH_TEST_IS_CHILD";
/// The beginning of the line in which the child prints its addresses.
const HERE: &str = "LISTENS ON ";
/// Held by the only child process that runs at a time: others would delay its end.
static ONLY: Mutex<()> = Mutex::new(());

/// A child process that can be asked to end; killed if the test fails.
pub(crate) struct Process {
    _only: MutexGuard<'static, ()>,
    child: Child,
    out: BufReader<ChildStdout>,
    pub(crate) service: SocketAddr,
    pub(crate) admin: SocketAddr,
}

/// The result of a process.
pub(crate) struct End {
    pub(crate) status: Option<i32>,
    pub(crate) signal: Option<i32>,
    pub(crate) took: Duration,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// Runs a test in a child process; None in the child itself.
pub(crate) fn start(test: &str) -> Option<Process> {
    start_by("exec \"$0\" \"$@\"", test)
}

/// The same, started by a shell command.
pub(crate) fn start_by(shell: &str, test: &str) -> Option<Process> {
    if std::env::var_os(IS_CHILD).is_some() {
        return None;
    }
    let only = ONLY.lock().unwrap_or_else(PoisonError::into_inner);
    let mut child = Command::new("sh")
        .args(["-c", shell])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture", "--test-threads=1"])
        .env(IS_CHILD, "1")
        .env("OTEL_EXPORTER_PROMETHEUS_PORT", "0")
        .env_remove("RUST_LOG")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let addresses = loop {
        let mut line = String::new();
        assert_ne!(
            out.read_line(&mut line).unwrap(),
            0,
            "it says where it listens"
        );
        if let Some((_, addresses)) = line.split_once(HERE) {
            break addresses.trim().to_owned();
        }
    };
    let (service, admin) = addresses.split_once(' ').unwrap();
    Some(Process {
        _only: only,
        child,
        out,
        service: service.parse().unwrap(),
        admin: admin.parse().unwrap(),
    })
}

/// Prints the addresses of the child.
#[expect(clippy::print_stdout, reason = "it is how the other process knows")]
pub(crate) fn listens(service: SocketAddr, admin: SocketAddr) {
    // The test harness prints the name of the test at the beginning of the line.
    println!("\n{HERE}{service} {admin}");
}

impl Process {
    /// Sends a request, and does not wait for its response.
    pub(crate) fn send(&self, path: &str) -> TcpStream {
        send(self.service, path)
    }

    /// Sends a request and waits for its response, which shows that signals are handled.
    pub(crate) fn ask(&self, path: &str) {
        self.ask_at(self.service, path);
    }

    /// The same, at another address of the process.
    pub(crate) fn ask_at(&self, address: SocketAddr, path: &str) {
        let mut first = [0; 12];
        send(address, path).read_exact(&mut first).unwrap();
        assert_eq!(&first, b"HTTP/1.1 200");
    }

    pub(crate) fn signal(&self, name: &str) {
        let kill = format!("kill -{name} {}", self.child.id());
        let status = Command::new("sh").args(["-c", &kill]).status().unwrap();
        assert!(status.success());
    }

    /// Writes a line to the process.
    pub(crate) fn notify(&mut self) {
        self.child.stdin.as_mut().unwrap().write_all(b"\n").unwrap();
    }

    /// Waits for the end of the process after a signal that was just sent.
    pub(crate) fn wait(mut self) -> End {
        use std::os::unix::process::ExitStatusExt as _;
        let began = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(began.elapsed() < Duration::from_secs(40), "it does not end");
            sleep(Duration::from_millis(5));
        };
        let took = began.elapsed();
        let (mut out, mut err) = (String::new(), String::new());
        self.out.read_to_string(&mut out).unwrap();
        let mut stderr = self.child.stderr.take().unwrap();
        stderr.read_to_string(&mut err).unwrap();
        End {
            status: status.code(),
            signal: status.signal(),
            took,
            out,
            err,
        }
    }
}

fn send(address: SocketAddr, path: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).unwrap();
    let limit = Some(Duration::from_secs(30));
    stream.set_read_timeout(limit).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    stream
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
