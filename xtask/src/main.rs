//! The recipes that a change must pass. CI runs all of them but those that are left to a release.
//!
//! ```text
//! cargo xtask               lists them
//! cargo xtask NAME...       runs them in the order given
//! cargo xtask check         what to run before a commit: fmt, clippy, test, doc
//! cargo xtask release       what to run before a release as well: package, platforms, semver
//! cargo xtask ci            all others, as CI does
//! cargo xtask soak --help   what else the soak can do
//! cargo xtask lines         counts lines of code
//! ```
//!
//! A recipe that cannot run has failed: nothing is skipped because a tool is missing.
#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, reason = "a program at a terminal")]

mod cargo;
mod lines;
mod package;
mod recipes;

use std::{
    env,
    process::ExitCode,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::{Duration, Instant},
};

use crate::recipes::{RECIPES, Recipe};

/// The recipes to run before a commit: all that are quick.
const CHECK: [&str; 4] = ["fmt", "clippy", "test", "doc"];

/// The recipes that CI does not run: those to run before a release.
const RELEASE: [&str; 3] = ["package", "platforms", "semver"];

fn main() -> ExitCode {
    let names: Vec<String> = env::args().skip(1).collect();
    if names.is_empty() {
        list();
        return ExitCode::SUCCESS;
    }
    // These take arguments, so they are not recipes.
    if let [name, arguments @ ..] = &names[..] {
        let result = match name.as_str() {
            "soak" => Some(recipes::soak(arguments)),
            "lines" => Some(lines::print(arguments)),
            _ => None,
        };
        if let Some(result) = result {
            return match result {
                Ok(()) => ExitCode::SUCCESS,
                Err(error) => {
                    eprintln!("{name}: {error}");
                    ExitCode::FAILURE
                }
            };
        }
    }
    let mut chosen: Vec<&Recipe> = Vec::new();
    for name in &names {
        match name.as_str() {
            "ci" => chosen.extend(
                RECIPES
                    .iter()
                    .filter(|recipe| !RELEASE.contains(&recipe.name)),
            ),
            "release" => chosen.extend(
                RECIPES
                    .iter()
                    .filter(|recipe| RELEASE.contains(&recipe.name)),
            ),
            "check" => chosen.extend(RECIPES.iter().filter(|recipe| CHECK.contains(&recipe.name))),
            name => match RECIPES.iter().find(|recipe| recipe.name == name) {
                Some(recipe) => chosen.push(recipe),
                None => {
                    list();
                    eprintln!("\nno recipe is called {name}");
                    return ExitCode::from(2);
                }
            },
        }
    }
    run(&chosen)
}

fn list() {
    for recipe in RECIPES {
        println!("{:10} {}", recipe.name, recipe.about);
    }
    println!("{:10} {}", "check", CHECK.join(", "));
    println!("{:10} {}", "release", RELEASE.join(", "));
    println!("{:10} all of them but those of `release`", "ci");
    println!(
        "{:10} counts lines of code, of this checkout or of another one",
        "lines"
    );
    println!("\n`soak` takes arguments, and lasts 10 minutes without any: cargo xtask soak --help");
}

/// Runs until the first failure, and prints the time of each recipe at the end.
fn run(recipes: &[&Recipe]) -> ExitCode {
    let mut times: Vec<(&str, Duration)> = Vec::new();
    let mut verdict = ExitCode::SUCCESS;
    // The number of recipes that have begun.
    let begun = AtomicUsize::new(0);
    thread::scope(|scope| {
        scope.spawn(|| build_ahead(recipes, &begun));
        for recipe in recipes {
            println!("== {}: {}", recipe.name, recipe.about);
            begun.fetch_add(1, Ordering::Relaxed);
            let start = Instant::now();
            let result = (recipe.run)();
            times.push((recipe.name, start.elapsed()));
            if let Err(failed) = result {
                println!("== {} failed: {failed}", recipe.name);
                verdict = ExitCode::FAILURE;
                begun.store(recipes.len(), Ordering::Relaxed);
                break;
            }
        }
    });
    for (name, time) in times {
        println!("== {name:10} {:6.1} s", time.as_secs_f64());
    }
    verdict
}

/// Builds what later recipes run, one after the other, unless they have begun. Cargo lets a recipe wait
/// for a build in the same directory. A build that fails fails again in its recipe, which reports it.
fn build_ahead(recipes: &[&Recipe], begun: &AtomicUsize) {
    for (at, recipe) in recipes.iter().enumerate().skip(1) {
        if let Some(build) = recipe.ahead
            && at >= begun.load(Ordering::Relaxed)
        {
            let _ = build();
        }
    }
}
