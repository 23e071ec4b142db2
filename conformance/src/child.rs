//! A server that runs as long as its value lives.

use std::{
    fs::{self, File},
    path::Path,
    process::{self, Command, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// How long a server may take to be ready, and a value to arrive.
pub const PATIENCE: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(20);

/// A child process with a directory of its own, killed by its id on drop.
#[derive(Debug)]
pub struct Child {
    name: &'static str,
    process: process::Child,
    directory: TempDir,
}

impl Child {
    /// Starts what `command` makes of the child's own directory; both outputs go to its log.
    ///
    /// # Panics
    ///
    /// When the program cannot be started.
    #[track_caller]
    pub fn start(name: &'static str, command: impl FnOnce(&Path) -> Command) -> Self {
        let directory = TempDir::with_prefix("barograph-conformance-").expect("a temporary directory");
        let log = File::create(directory.path().join("log")).expect("a log file");
        let mut command = command(directory.path());
        let process = command
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a second handle of the log"))
            .stderr(log)
            .spawn()
            .unwrap_or_else(|error| panic!("{name} does not start: {error}\n{command:?}"));
        Self {
            name,
            process,
            directory,
        }
    }

    /// The id of its process.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// What the child uses up, in bytes: the most that it had in memory at once.
    ///
    /// # Panics
    ///
    /// When the system does not tell.
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

    /// What the child has printed so far.
    pub fn log(&self) -> String {
        let bytes = fs::read(self.directory.path().join("log")).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Asks again and again until there is an answer.
    ///
    /// # Panics
    ///
    /// When the child ends meanwhile, or there is no answer in time; with the child's log.
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

    /// Asks the child to end, by SIGTERM, and waits until it has.
    ///
    /// # Panics
    ///
    /// When it does not end in time; with its log.
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

    /// Ends the child without a word, by SIGKILL, and returns its log.
    pub fn kill(mut self) -> String {
        // A child that has ended already cannot be killed, which is as good.
        let _ = self.process.kill();
        let _ = self.process.wait();
        self.log()
    }
}

/// How a child ended that was asked to.
#[derive(Debug)]
pub struct Ended {
    /// What it ended with.
    pub status: ExitStatus,
    /// From the signal to the end.
    pub took: Duration,
    /// All that it has printed.
    pub log: String,
}

impl Drop for Child {
    fn drop(&mut self) {
        // A child that has ended already cannot be killed, which is as good.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
