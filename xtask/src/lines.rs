//! Counts lines of code: lines of `crates/*/src` outside tests that are more than a comment.
//!
//! ```text
//! cargo xtask lines          of this checkout
//! cargo xtask lines DIR      of another one, to compare with
//! ```

use std::{
    fs,
    path::{Path, PathBuf},
};

use repo_lints::source;

use crate::cargo::{Result, workspace};

/// Prints the lines of code of each crate, and of all crates except the lints.
pub(crate) fn print(arguments: &[String]) -> Result {
    let root = match arguments {
        [] => workspace(),
        [directory] => PathBuf::from(directory),
        _ => return Err(format!("{arguments:?} are given, expected one directory at most").into()),
    };
    let crates = root.join("crates");
    let mut total = 0;
    for path in entries(&crates)? {
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else {
            continue;
        };
        let count = count(&path.join("src"))?;
        println!("{count:>7} {name}");
        if name != LINTS {
            total += count;
        }
    }
    println!("{total:>7} all but {LINTS}");
    Ok(())
}

/// The crate with the lints, which users do not build.
const LINTS: &str = "repo-lints";

/// Counts the lines below a directory, without test modules.
fn count(directory: &Path) -> Result<usize> {
    let mut files = Vec::new();
    collect(directory, &mut files)?;
    let mut read = Vec::new();
    let mut tests = Vec::new();
    for path in files {
        let lines = source::lines(&fs::read_to_string(&path)?);
        let declarations = lines.iter().filter(|line| line.test);
        for declaration in declarations.filter_map(|line| module(&line.code)) {
            tests.push(directory_of_modules(&path).join(declaration));
        }
        read.push((path, lines));
    }
    let is_test = |path: &Path| {
        let without_extension = path.with_extension("");
        tests.iter().any(|test| without_extension.starts_with(test))
    };
    let code = read
        .iter()
        .filter(|(path, _)| !is_test(path))
        .flat_map(|(_, lines)| lines)
        .filter(|line| !line.test && !line.code.trim().is_empty());
    Ok(code.count())
}

/// Returns the name of a module that is declared here and has its own file.
fn module(code: &str) -> Option<&str> {
    let declared = code.trim().strip_suffix(';')?;
    let (visibility, name) = declared.split_once("mod ")?;
    let is_declaration = visibility.is_empty() || visibility.starts_with("pub");
    is_declaration.then_some(name)
}

/// Returns the directory with the modules of a file.
fn directory_of_modules(file: &Path) -> PathBuf {
    let directory = file.parent().unwrap_or(file);
    match file.file_stem().and_then(|stem| stem.to_str()) {
        Some("lib" | "main" | "mod") | None => directory.to_owned(),
        Some(stem) => directory.join(stem),
    }
}

/// Adds the Rust files below a directory.
fn collect(directory: &Path, files: &mut Vec<PathBuf>) -> Result {
    for path in entries(directory)? {
        if path.is_dir() {
            collect(&path, files)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    Ok(())
}

/// Returns the entries of a directory, sorted by name.
fn entries(directory: &Path) -> Result<Vec<PathBuf>> {
    let error = |error| format!("{} cannot be read: {error}", directory.display());
    let mut paths = Vec::new();
    for entry in fs::read_dir(directory).map_err(error)? {
        paths.push(entry?.path());
    }
    paths.sort();
    Ok(paths)
}
