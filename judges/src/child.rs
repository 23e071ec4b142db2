//! A server that runs as long as its value lives.

use std::{
    fs::{self, File},
    path::Path,
    process::{self, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use tempfile::TempDir;

/// How long a server may take to be ready, and a value to arrive.
const PATIENCE: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(50);

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
        let directory = TempDir::with_prefix("barograph-judge-").expect("a temporary directory");
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
}

impl Drop for Child {
    fn drop(&mut self) {
        // A child that has ended already cannot be killed, which is as good.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
