//! Runs the command.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::Value;

/// The result of a run of the command.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Run {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Returns the command with no variables that change what it does.
pub(crate) fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_barograph"));
    command.args(arguments).stdin(Stdio::null());
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy().to_lowercase();
        let is_ours = ["otel_", "barograph_"]
            .iter()
            .any(|it| text.starts_with(it));
        if is_ours || text.ends_with("_proxy") || text == "no_color" {
            command.env_remove(name);
        }
    }
    command
}

/// Runs the command to its end.
pub(crate) fn run(arguments: &[&str]) -> Run {
    run_command(&mut command(arguments), "")
}

/// Runs the command with a text on its standard input.
pub(crate) fn run_with(arguments: &[&str], input: &str) -> Run {
    run_command(&mut command(arguments), input)
}

pub(crate) fn run_command(command: &mut Command, input: &str) -> Run {
    if !input.is_empty() {
        command.stdin(Stdio::piped());
    }
    let child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = child.unwrap();
    if let Some(mut stdin) = child.stdin.take() {
        // A command that has seen enough closes it.
        let _ = stdin.write_all(input.as_bytes());
    }
    let output = child.wait_with_output().unwrap();
    Run {
        code: output.status.code().unwrap(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

impl Run {
    /// Returns the JSON object on stdout, after checking that nothing is on stderr.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        assert_eq!(self.stderr, "");
        let value: Value = serde_json::from_str(&self.stdout).unwrap();
        assert!(value.is_object(), "{value}");
        value
    }

    /// Checks that the run failed with this message, and printed nothing else.
    #[track_caller]
    pub(crate) fn assert_unusable(&self, stderr: &str) {
        assert_eq!((self.stderr.as_str(), self.stdout.as_str()), (stderr, ""));
        assert_eq!(self.code, 2);
    }
}

/// A file that is removed at the end of a test.
pub(crate) struct File {
    _directory: tempfile::TempDir,
    path: PathBuf,
}

impl File {
    pub(crate) fn new(name: &str, contents: impl AsRef<[u8]>) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(name);
        std::fs::write(&path, contents).unwrap();
        File {
            _directory: directory,
            path,
        }
    }

    pub(crate) fn path(&self) -> &str {
        self.path.to_str().unwrap()
    }
}
