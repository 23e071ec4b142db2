//! Cargo, as the recipes call it.

use std::{
    env,
    error::Error,
    path::{Path, PathBuf},
    process::{Command, Stdio},
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

/// Returns a command for cargo of the current toolchain, with arguments that are separated by
/// spaces.
pub(crate) fn cargo(arguments: &str) -> Command {
    // `$CARGO` belongs to one toolchain and does not support `+nightly`.
    let mut command = Command::new("cargo");
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

/// Runs a command whose output is shown only if it fails.
pub(crate) fn report(command: &mut Command) -> Result {
    let output = command
        .output()
        .map_err(|error| format!("{command:?} does not start: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let said = [output.stdout, output.stderr].concat();
    Err(format!(
        "{command:?}: {}\n{}",
        output.status,
        String::from_utf8_lossy(&said)
    )
    .into())
}

/// Returns the file name of a program.
pub(crate) fn name_of(program: &Path) -> Result<String> {
    let name = program
        .file_name()
        .ok_or_else(|| format!("{program:?} has no file name"))?;
    Ok(name.display().to_string())
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

/// Builds, and returns the path of each program that was built.
pub(crate) fn programs(command: &mut Command) -> Result<Vec<PathBuf>> {
    built(command, |_| true)
}

/// Builds, and returns the path of each test program, without the plain programs that the tests
/// start.
pub(crate) fn test_programs(command: &mut Command) -> Result<Vec<PathBuf>> {
    built(command, |message| message["profile"]["test"] == true)
}

fn built(command: &mut Command, wanted: fn(&Value) -> bool) -> Result<Vec<PathBuf>> {
    let text = output(command.arg("--message-format=json-render-diagnostics"))?;
    let messages = text
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let wanted = messages.filter(wanted);
    Ok(wanted
        .filter_map(|message| Some(message["executable"].as_str()?.into()))
        .collect())
}
