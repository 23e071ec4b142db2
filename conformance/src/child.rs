//! A child process that runs as long as its value lives.

use std::{
    fs::{self, File},
    path::Path,
    process::{self, Command, ExitStatus, Stdio},
    sync::{PoisonError, RwLock},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// The time limit for a server to become ready, and for a value to arrive.
pub const PATIENCE: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(20);

/// Held for reading while a process starts, and for writing while a port is tested: until a new
/// process executes its program, it has all descriptors of this one, and so that of the port.
pub(crate) static STARTING: RwLock<()> = RwLock::new(());

/// A child process with its own directory, killed by its id on drop.
#[derive(Debug)]
pub struct Child {
    name: &'static str,
    process: process::Child,
    directory: TempDir,
}

impl Child {
    /// Starts the command that `command` returns for the child's own directory; stdout and stderr
    /// go to its log.
    ///
    /// # Panics
    ///
    /// Panics if the program cannot be started.
    #[track_caller]
    pub fn start(name: &'static str, command: impl FnOnce(&Path) -> Command) -> Self {
        let directory =
            TempDir::with_prefix("barograph-conformance-").expect("a temporary directory");
        let log = File::create(directory.path().join("log")).expect("a log file");
        let mut command = command(directory.path());
        let starting = STARTING.read().unwrap_or_else(PoisonError::into_inner);
        let process = command
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a second handle of the log"))
            .stderr(log)
            .spawn()
            .unwrap_or_else(|error| panic!("{name} does not start: {error}\n{command:?}"));
        drop(starting);
        Self {
            name,
            process,
            directory,
        }
    }

    /// The process id.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// The peak resident memory of the child, in bytes.
    ///
    /// # Panics
    ///
    /// Panics if `/proc` does not report it.
    pub fn peak_memory(&self) -> u64 {
        let status = format!("/proc/{}/status", self.process.id());
        let status = fs::read_to_string(status).expect("a child that runs has a status");
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kibibytes = line.and_then(|line| line.trim().strip_suffix(" kB"));
        kibibytes
            .and_then(|number| number.parse::<u64>().ok())
            .expect("a peak in kB")
            * 1024
    }

    /// The output of the child so far.
    pub fn log(&self) -> String {
        let bytes = fs::read(self.directory.path().join("log")).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Calls `ask` repeatedly until it returns a value.
    ///
    /// # Panics
    ///
    /// Panics if the child ends before that, or after the time limit; the message has the child's
    /// log.
    #[track_caller]
    pub fn wait_for<T>(&mut self, what: &str, mut ask: impl FnMut(&Self) -> Option<T>) -> T {
        let begun = Instant::now();
        loop {
            if let Some(answer) = ask(self) {
                return answer;
            }
            let name = self.name;
            if let Some(status) = self.process.try_wait().expect("a child can be asked") {
                panic!(
                    "{name} ended with {status} before {what}; its log:\n{}",
                    self.log()
                );
            }
            assert!(
                begun.elapsed() < PATIENCE,
                "{name}: no {what} within {PATIENCE:?}; its log:\n{}",
                self.log()
            );
            thread::sleep(PAUSE);
        }
    }

    /// Sends SIGTERM to the child and waits until it has ended.
    ///
    /// # Panics
    ///
    /// Panics if it does not end within the time limit; the message has its log.
    #[track_caller]
    pub fn terminate(mut self) -> Ended {
        let begun = Instant::now();
        kill_process(Pid::from_child(&self.process), Signal::TERM)
            .expect("a child that was not waited for can be sent a signal");
        loop {
            if let Some(status) = self.process.try_wait().expect("a child can be asked") {
                return Ended {
                    status,
                    took: begun.elapsed(),
                    log: self.log(),
                };
            }
            assert!(
                begun.elapsed() < PATIENCE,
                "{} does not end; its log:\n{}",
                self.name,
                self.log()
            );
            thread::sleep(PAUSE);
        }
    }

    /// Kills the child with SIGKILL and returns its log.
    pub fn kill(mut self) -> String {
        // The call fails if the child has already ended, which is fine.
        let _ = self.process.kill();
        let _ = self.process.wait();
        self.log()
    }
}

/// The end of a child that was sent SIGTERM.
#[derive(Debug)]
pub struct Ended {
    /// Its exit status.
    pub status: ExitStatus,
    /// The time from the signal to the end.
    pub took: Duration,
    /// Its complete output.
    pub log: String,
}

impl Drop for Child {
    fn drop(&mut self) {
        // The call fails if the child has already ended, which is fine.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
