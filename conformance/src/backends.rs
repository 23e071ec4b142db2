//! Finds the programs that `tools/backends/install` installs.

use std::{
    env,
    path::{Path, PathBuf},
};

/// The command that installs every program.
pub const INSTALL: &str = "tools/backends/install";

/// The root directory of the workspace.
pub fn workspace() -> &'static Path {
    const MANIFEST: &str = env!("CARGO_MANIFEST_DIR");
    Path::new(MANIFEST).parent().unwrap_or(Path::new(MANIFEST))
}

/// Returns the path of an installed backend program, given its path below their directory.
///
/// # Panics
///
/// Panics if the program is not installed: a check that cannot run has failed.
#[track_caller]
pub fn program(path: &str) -> PathBuf {
    let program = directory().join(path);
    assert!(
        program.exists(),
        "the program {} is missing; install it with `{INSTALL}`",
        program.display()
    );
    program
}

/// The directory of the backends, found by the same rule as in `tools/backends/install`.
fn directory() -> PathBuf {
    let given = |name| {
        env::var_os(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    given("BAROGRAPH_BACKENDS").unwrap_or_else(|| {
        given("XDG_CACHE_HOME")
            .or_else(|| given("HOME").map(|home| home.join(".cache")))
            .expect(
                "one of BAROGRAPH_BACKENDS, XDG_CACHE_HOME and HOME says where the backends are",
            )
            .join("barograph/backends")
    })
}
