//! Runs all lints over the workspace.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use repo_lints::{layers, lines, modules, names, references, source};

/// Directories without handwritten files.
const LEFT_OUT: [&str; 4] = ["target", ".git", "corpus", "artifacts"];

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .nth(2)
        .expect("crates/repo-lints")
        .to_owned()
}

/// Returns the directories of all crates in `crates` except this one.
fn crates() -> Vec<PathBuf> {
    let entries = fs::read_dir(workspace().join("crates"))
        .expect("the directory of crates")
        .map(Result::unwrap);
    let mut crates: Vec<_> = entries.map(|entry| entry.path()).collect();
    crates.retain(|path| path.join("Cargo.toml").exists() && !path.ends_with("repo-lints"));
    assert!(crates.len() >= 6, "only {crates:?}");
    crates
}

/// Returns all files below `directory` with one of these extensions.
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

/// Fails with all findings, each with its file.
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

/// Returns the directories of all programs in `apps`. They are above all layers: no crate has one among
/// its dependencies.
fn apps() -> Vec<PathBuf> {
    let entries = fs::read_dir(workspace().join("apps")).expect("the directory of programs");
    entries
        .map(Result::unwrap)
        .map(|entry| entry.path())
        .collect()
}

/// Returns the source files of all crates and programs, except those in folders of tests.
fn sources() -> Vec<PathBuf> {
    let all = crates()
        .into_iter()
        .chain(apps())
        .flat_map(|path| files(&path.join("src"), &["rs"]));
    // `#[cfg(test)] mod tests;` is in `tests.rs` or in a folder `tests`.
    all.filter(|path| !path.with_extension("").iter().any(|part| part == "tests"))
        .collect()
}

#[test]
fn crates_depend_on_lower_layers_only() {
    report(crates().into_iter().map(|path| {
        let manifest = path.join("Cargo.toml");
        let found = layers::check(&read(&manifest));
        (manifest, found)
    }));
}

#[test]
fn modules_use_only_those_declared_above() {
    report(crates().into_iter().chain(apps()).map(|path| {
        let src = path.join("src");
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
fn names_of_public_types_are_unique_in_a_crate() {
    report(crates().into_iter().chain(apps()).map(|path| {
        let src = path.join("src");
        let files = sources().into_iter().filter(|path| path.starts_with(&src));
        let files = files.map(|path| {
            let name = path.strip_prefix(&src).expect("filtered");
            (name.display().to_string(), source::lines(&read(&path)))
        });
        let found = names::check(&files.collect());
        (src, found)
    }));
}

#[test]
fn documents_refer_to_the_code_that_they_name() {
    let root = workspace();
    let tour = root.join("docs/tour.md");
    let document = read(&tour);
    let found = references::find(&document);
    assert!(found.len() >= 5, "only {} references", found.len());
    let findings = found.iter().filter_map(|reference| {
        let path = root.join(reference.file);
        match path.exists() {
            true => references::check(reference, &read(&path)),
            false => Some(format!("{} does not exist", reference.file)),
        }
    });
    report([(tour.clone(), findings.collect())]);
}

#[test]
fn files_are_short() {
    let check = |path: PathBuf| {
        let found = lines::length(&source::lines(&read(&path)));
        (path, found)
    };
    let beside = ["conformance", "xtask", "examples", "crates/repo-lints"]
        .map(|place| workspace().join(place));
    let beside = beside
        .iter()
        .filter(|place| place.exists())
        .flat_map(|place| files(place, &["rs"]));
    report(sources().into_iter().chain(beside).map(check));
}

#[test]
fn summaries_of_docs_are_sentences() {
    report(files(&workspace(), &["rs"]).into_iter().map(|path| {
        let found = lines::summaries(&source::lines(&read(&path)));
        (path, found)
    }));
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
    let crates = crates()
        .into_iter()
        .filter(|path| !path.ends_with("barograph-core"));
    report(crates.map(|path| {
        let root = path.join("src/lib.rs");
        let found = lines::forbids_unsafe(&source::lines(&read(&root)));
        (root, found)
    }));
}

#[test]
fn unsafe_code_and_strong_orderings_are_explained() {
    report(sources().into_iter().map(|path| {
        let source = source::lines(&read(&path));
        let found = [lines::safety(&source), lines::orderings(&source)].concat();
        (path, found)
    }));
}
