//! The whole workspace keeps the house rules.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use tidy::{floors, lines, modules, source};

/// Directories that hold nothing written by hand.
const LEFT_OUT: [&str; 4] = ["target", ".git", "corpus", "artifacts"];

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .nth(2)
        .expect("crates/tidy")
        .to_owned()
}

/// The rooms: every directory in `crates` but this one.
fn rooms() -> Vec<PathBuf> {
    let entries = fs::read_dir(workspace().join("crates"))
        .expect("the rooms")
        .map(Result::unwrap);
    let mut rooms: Vec<_> = entries.map(|entry| entry.path()).collect();
    rooms.retain(|room| room.join("Cargo.toml").exists() && !room.ends_with("tidy"));
    assert!(rooms.len() >= 6, "only {rooms:?}");
    rooms
}

/// Every file below `directory` whose name ends in one of `endings`.
fn files(directory: &Path, endings: &[&str]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory)
        .expect("a directory")
        .map(Result::unwrap)
    {
        let (path, name) = (entry.path(), entry.file_name());
        if path.is_dir() {
            if !LEFT_OUT.iter().any(|left_out| name == *left_out) {
                found.extend(files(&path, endings));
            }
        } else if path
            .extension()
            .is_some_and(|end| endings.iter().any(|wanted| end == *wanted))
        {
            found.push(path);
        }
    }
    found.sort();
    found
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Fails with everything that was found, each with the file it was found in.
fn report(found: impl IntoIterator<Item = (PathBuf, Vec<String>)>) {
    let root = workspace();
    let all: Vec<String> = found
        .into_iter()
        .flat_map(|(path, found)| {
            let path = path
                .strip_prefix(&root)
                .unwrap_or(&path)
                .display()
                .to_string();
            found
                .into_iter()
                .map(move |found| format!("{path}: {found}"))
        })
        .collect();
    assert!(all.is_empty(), "\n{}\n", all.join("\n"));
}

/// The sources of the rooms that are not tests by their place.
fn sources() -> Vec<PathBuf> {
    let all = rooms()
        .into_iter()
        .flat_map(|room| files(&room.join("src"), &["rs"]));
    // `tests.rs`, or a folder `tests`, is what `#[cfg(test)] mod tests;` has put next door.
    all.filter(|path| !path.with_extension("").iter().any(|part| part == "tests"))
        .collect()
}

#[test]
fn crates_depend_only_downwards() {
    report(rooms().into_iter().map(|room| {
        let manifest = room.join("Cargo.toml");
        let found = floors::check(&read(&manifest));
        (manifest, found)
    }));
}

#[test]
fn modules_look_only_down() {
    report(rooms().into_iter().map(|room| {
        let src = room.join("src");
        let mut modules = BTreeMap::new();
        for path in sources().into_iter().filter(|path| path.starts_with(&src)) {
            let lines = source::lines(&read(&path));
            let place = path
                .strip_prefix(&src)
                .expect("filtered")
                .with_extension("");
            let mut place: Vec<_> = place
                .iter()
                .map(|part| part.to_str().expect("a plain name").to_owned())
                .collect();
            place.pop_if(|last| last == "mod" || place_is_root(last));
            modules.insert(place, lines);
        }
        (src, modules::check(&modules))
    }));
}

fn place_is_root(name: &str) -> bool {
    name == "lib" || name == "main"
}

#[test]
fn files_are_short() {
    let check = |path: PathBuf| {
        let found = lines::length(&source::lines(&read(&path)));
        (path, found)
    };
    let beside =
        ["conformance", "xtask", "examples", "crates/tidy"].map(|place| workspace().join(place));
    let beside = beside
        .iter()
        .filter(|place| place.exists())
        .flat_map(|place| files(place, &["rs"]));
    report(sources().into_iter().chain(beside).map(check));
}

#[test]
fn no_notes_stand_in_place_of_work() {
    let all = files(
        &workspace(),
        &["rs", "toml", "md", "py", "sh", "yaml", "yml", "xml"],
    );
    assert!(all.len() > 30, "only {} files", all.len());
    report(all.into_iter().map(|path| {
        let found = lines::notes(&read(&path));
        (path, found)
    }));
}

#[test]
fn every_fuzz_target_is_built_and_described() {
    let fuzz = workspace().join("fuzz");
    let between = |line: &str, start: &str, end: &str| {
        let (name, _) = line.strip_prefix(start)?.split_once(end)?;
        Some(name.to_owned())
    };
    let manifest = read(&fuzz.join("Cargo.toml"));
    // The first name is that of the package.
    let names = manifest
        .lines()
        .filter_map(|line| between(line, "name = \"", "\""));
    let built: BTreeSet<_> = names.skip(1).collect();
    let readme = read(&fuzz.join("README.md"));
    let table = readme
        .split("\n\n")
        .nth(1)
        .expect("a table after the title");
    let described: BTreeSet<_> = table
        .lines()
        .filter_map(|line| between(line, "| `", "`"))
        .collect();
    let written: BTreeSet<_> = files(&fuzz.join("fuzz_targets"), &["rs"])
        .iter()
        .filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned()))
        .collect();
    assert!(built.len() >= 10, "{built:?}");
    assert_eq!(built, described, "Cargo.toml and the table of README.md");
    assert_eq!(built, written, "Cargo.toml and the files");
}

#[test]
fn only_the_core_may_be_unsafe() {
    let rooms = rooms()
        .into_iter()
        .filter(|room| !room.ends_with("barograph-core"));
    report(rooms.map(|room| {
        let root = room.join("src/lib.rs");
        let found = lines::forbids_unsafe(&source::lines(&read(&root)));
        (root, found)
    }));
}

#[test]
fn unsafe_code_and_strong_orderings_are_argued() {
    report(sources().into_iter().map(|path| {
        let source = source::lines(&read(&path));
        let found = [lines::safety(&source), lines::orderings(&source)].concat();
        (path, found)
    }));
}
