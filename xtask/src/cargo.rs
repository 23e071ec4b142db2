//! Cargo, as the recipes call it.

use std::{
    env,
    error::Error,
    io::Read,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use serde_json::Value;

/// The result of a recipe; its error is printed to the terminal.
pub(crate) type Result<T = ()> = std::result::Result<T, Box<dyn Error>>;

/// The target platform of the recipes that need one. Naming it keeps the flags of fuzzing and of
/// sanitizers away from build scripts and procedural macros.
pub(crate) const TARGET: &str = "x86_64-unknown-linux-gnu";

/// Returns the root directory of the workspace.
pub(crate) fn workspace() -> PathBuf {
    const MANIFEST: &str = env!("CARGO_MANIFEST_DIR");
    Path::new(MANIFEST)
        .parent()
        .unwrap_or(Path::new(MANIFEST))
        .to_owned()
}

/// Returns the target directory of a recipe that builds with special flags, so that the other
/// recipes do not rebuild everything.
pub(crate) fn target_directory(recipe: &str) -> PathBuf {
    let given = env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    workspace()
        .join(given.unwrap_or_else(|| "target".into()))
        .join(recipe)
}

/// The priority at which cargo and its compilers run.
#[derive(Clone, Copy)]
pub(crate) enum Priority {
    Normal,
    /// They take no time from other programs.
    Idle,
}

/// Returns a command for cargo of the current toolchain, with arguments that are separated by
/// spaces.
pub(crate) fn cargo(arguments: &str) -> Command {
    cargo_with(Priority::Normal, arguments)
}

/// Returns a command like [`cargo`], with this priority.
pub(crate) fn cargo_with(priority: Priority, arguments: &str) -> Command {
    // `$CARGO` belongs to one toolchain and does not support `+nightly`.
    match priority {
        Priority::Normal => of_workspace("cargo", arguments),
        Priority::Idle => of_workspace("nice", &format!("-n 19 cargo {arguments}")),
    }
}

fn of_workspace(program: &str, arguments: &str) -> Command {
    let mut command = Command::new(program);
    command
        .current_dir(workspace())
        .args(arguments.split_whitespace());
    // The variables of the outer cargo would set the toolchain and the package of the inner one.
    for name in [
        "RUSTUP_TOOLCHAIN",
        "CARGO",
        "CARGO_MANIFEST_DIR",
        "CARGO_PKG_NAME",
    ] {
        command.env_remove(name);
    }
    command
}

/// Runs a command to its end.
pub(crate) fn run(command: &mut Command) -> Result {
    let status = command
        .status()
        .map_err(|error| format!("{command:?} does not start: {error}"))?;
    match status.success() {
        true => Ok(()),
        false => Err(format!("{command:?}: {status}").into()),
    }
}

/// Runs a command to its end and returns its output.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let output = command.stderr(Stdio::inherit()).output();
    let output = output.map_err(|error| format!("{command:?} does not start: {error}"))?;
    match output.status.success() {
        true => Ok(String::from_utf8(output.stdout)?),
        false => Err(format!("{command:?}: {}", output.status).into()),
    }
}

/// Runs a command whose output is shown only if it fails, or does not end within the limit.
pub(crate) fn report(command: &mut Command, limit: Duration) -> Result {
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| format!("{command:?} does not start: {error}"))?;
    let (stdout, stderr) = (collect(child.stdout.take()), collect(child.stderr.take()));
    let begun = Instant::now();
    let mut status = child.try_wait()?;
    while status.is_none() && begun.elapsed() < limit {
        thread::sleep(Duration::from_millis(10));
        status = child.try_wait()?;
    }
    let verdict = match status {
        Some(status) if status.success() => return Ok(()),
        Some(status) => status.to_string(),
        None => {
            child.kill()?;
            child.wait()?;
            format!("has not ended within {} s", limit.as_secs())
        }
    };
    let texts = [stdout, stderr].map(|text| text.join().unwrap_or_default());
    let text = texts.concat();
    Err(format!("{command:?}: {verdict}\n{}", String::from_utf8_lossy(&text)).into())
}

/// Reads a pipe to its end on another thread, so that the writer never waits for room.
fn collect(pipe: Option<impl Read + Send + 'static>) -> JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut text = Vec::new();
        if let Some(mut pipe) = pipe {
            // A pipe that breaks ends the text.
            let _ = pipe.read_to_end(&mut text);
        }
        text
    })
}

/// Returns the packages of a workspace, as `cargo metadata` describes them.
pub(crate) fn packages(manifest: &str) -> Result<Vec<Value>> {
    let arguments = format!("metadata --format-version 1 --no-deps --manifest-path {manifest}");
    let mut metadata: Value = serde_json::from_str(&output(&mut cargo(&arguments))?)?;
    match metadata["packages"].take() {
        Value::Array(packages) => Ok(packages),
        other => Err(format!("cargo metadata lists no packages: {other}").into()),
    }
}

/// A program that cargo has built.
pub(crate) struct Program {
    pub(crate) path: PathBuf,
    /// The name of the target in its package.
    pub(crate) name: String,
    /// The directory of the package, relative to the workspace. Cargo runs tests in it.
    pub(crate) package: PathBuf,
    pub(crate) is_test: bool,
}

impl Program {
    /// Returns a command that runs the program as `cargo test` does.
    pub(crate) fn command(&self) -> Command {
        let package = workspace().join(&self.package);
        let mut command = Command::new(&self.path);
        // Otherwise it would be the package of this program.
        command.env("CARGO_MANIFEST_DIR", &package);
        command.current_dir(package);
        command
    }
}

/// Builds, and returns all programs that were built.
pub(crate) fn build(command: &mut Command) -> Result<Vec<Program>> {
    let text = output(command.arg("--message-format=json-render-diagnostics"))?;
    let messages = text
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok());
    Ok(messages.filter_map(|message| program(&message)).collect())
}

/// Builds, and returns the test programs, without the plain programs that they start.
pub(crate) fn build_tests(command: &mut Command) -> Result<Vec<Program>> {
    let programs = build(command)?;
    Ok(programs.into_iter().filter(|it| it.is_test).collect())
}

/// Reads a message of cargo, which may be about a program.
fn program(message: &Value) -> Option<Program> {
    let manifest = Path::new(message["manifest_path"].as_str()?);
    let package = manifest.parent()?;
    Some(Program {
        path: message["executable"].as_str()?.into(),
        name: message["target"]["name"].as_str()?.to_owned(),
        package: package.strip_prefix(workspace()).unwrap_or(package).into(),
        is_test: message["profile"]["test"] == true,
    })
}
