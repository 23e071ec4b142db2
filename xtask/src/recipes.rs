//! The recipes, each a few calls of cargo.

use std::{
    error::Error,
    path::Path,
    process::Command,
    sync::Mutex,
    thread,
    time::{Duration, Instant},
};

use crate::cargo::{
    Priority, Program, Result, TARGET, build, build_tests, cargo, cargo_with, output, packages,
    report, run, target_directory, workspace,
};
use crate::package::package;

/// A check that a change must pass.
pub(crate) struct Recipe {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    pub(crate) run: fn() -> Result,
    /// Builds what the recipe runs, in a target directory of its own, while earlier recipes leave
    /// processors idle.
    pub(crate) ahead: Option<fn() -> Result>,
}

/// All recipes, the quickest to fail first. `fuzz` is the last one because its build takes longest, and
/// the recipes before it wait for most of their time.
pub(crate) const RECIPES: &[Recipe] = &[
    Recipe {
        name: "fmt",
        about: "the code is formatted",
        run: fmt,
        ahead: None,
    },
    Recipe {
        name: "clippy",
        about: "no lint has anything to say, the MSRV is held",
        run: clippy,
        ahead: None,
    },
    Recipe {
        name: "test",
        about: "the newcomer's test run, house rules and doctests too",
        run: test,
        ahead: None,
    },
    Recipe {
        name: "doc",
        about: "the documentation builds, no link is broken",
        run: doc,
        ahead: None,
    },
    Recipe {
        name: "features",
        about: "each library alone, with no feature and with each",
        run: features,
        ahead: None,
    },
    Recipe {
        name: "deny",
        about: "licenses and sources of dependencies, as deny.toml says",
        run: deny,
        ahead: None,
    },
    Recipe {
        name: "package",
        about: "a service builds and runs from the packages of the crates",
        run: package,
        ahead: None,
    },
    Recipe {
        name: "platforms",
        about: "the libraries compile for Windows, macOS and aarch64",
        run: platforms,
        ahead: None,
    },
    Recipe {
        name: "semver",
        about: "nothing public is broken since the last tag",
        run: semver,
        ahead: None,
    },
    Recipe {
        name: "loom",
        about: "every interleaving of the lock-free protocols",
        run: loom,
        ahead: Some(|| loom_tests(Priority::Idle).map(drop)),
    },
    Recipe {
        name: "stress",
        about: "tests that end in _concurrently, again and again",
        run: stress,
        ahead: None,
    },
    Recipe {
        name: "sanitize",
        about: "the core's tests under AddressSanitizer (nightly)",
        run: sanitize,
        ahead: Some(|| sanitized_tests(Priority::Idle).map(drop)),
    },
    Recipe {
        name: "attacks",
        about: "evil receivers, SIGTERM under load, damaged queues, floods",
        run: attacks,
        ahead: None,
    },
    Recipe {
        name: "soak",
        about: "memory, threads and descriptors stay level",
        run: short_soak,
        ahead: None,
    },
    Recipe {
        name: "conformance",
        about: "real servers and strict parsers check it from outside",
        run: conformance,
        ahead: None,
    },
    Recipe {
        name: "fuzz",
        about: "each fuzz target for ten seconds (nightly)",
        run: fuzz,
        ahead: Some(|| fuzz_targets(Priority::Idle).map(drop)),
    },
];

/// The packages whose tests need more than a plain `cargo test` builds: real servers, C libraries,
/// other telemetry libraries, the parser of the command's arguments. The recipes always select all of them, with all features: cargo would
/// build shared dependencies again for another selection, which enables other features of them.
const SELECTION: &str = "--package barograph-cli --package barograph-export --package barograph-kafka \
    --package benchmarks --package request-cost --package conformance --all-features";

/// The tests of `conformance` that are attacks.
const ATTACKS: [&str; 4] = [
    "evil_receiver",
    "end_under_load",
    "persistent_queue_attack",
    FLOODS,
];
/// Its time limits are meaningful for optimized builds only.
const FLOODS: &str = "floods";

/// The longest time that one run of a test program may take. A run that takes longer hangs.
const LONGEST_RUN: Duration = Duration::from_secs(300);

fn fmt() -> Result {
    run(&mut cargo("fmt --all --check"))
}

fn clippy() -> Result {
    // `incompatible_msrv` is among the lints of the workspace: it knows the version in which each
    // function of the standard library became stable.
    run(&mut cargo(
        "clippy --workspace --all-targets --all-features -- -D warnings",
    ))
}

fn test() -> Result {
    run(&mut cargo("test --no-run"))?;
    // These tests wait for most of their time, so the others are built meanwhile. Both lock the
    // target directory while they build, so the second one begins when the first one runs.
    thread::scope(|scope| {
        let ahead = scope.spawn(|| {
            thread::sleep(Duration::from_secs(10));
            run(&mut cargo_with(Priority::Idle, &select_tests())).map_err(|error| error.to_string())
        });
        let tested = run(&mut cargo("test"));
        let built = ahead
            .join()
            .map_err(|_| "the thread that builds panicked")?;
        tested?;
        Ok::<(), Box<dyn Error>>(built?)
    })?;
    // Features that are off by default; Kafka with the mock broker of librdkafka; the benchmarks,
    // which parse pages and reports and run beside the layers of OpenTelemetry.
    run_each(|program| !is_conformance(program) && !ran_before(program))
}

/// Returns true if `cargo test` has run the same tests. The other tests of barograph-export know no
/// feature that is off by default.
fn ran_before(program: &Program) -> bool {
    program.package == Path::new("crates/barograph-export") && program.name != "client"
}

/// Runs the wanted tests of the [`SELECTION`]. Fails if there are none.
fn run_each(is_wanted: fn(&Program) -> bool) -> Result {
    let programs = selected()?;
    let mut wanted = programs.iter().filter(|it| is_wanted(it)).peekable();
    if wanted.peek().is_none() {
        return Err("none of the tests that this recipe is for was built".into());
    }
    for program in wanted {
        println!("   {} of {}", program.name, program.package.display());
        run(&mut program.command())?;
    }
    Ok(())
}

/// Builds the tests of the [`SELECTION`].
fn selected() -> Result<Vec<Program>> {
    build_tests(&mut cargo(&select_tests()))
}

fn select_tests() -> String {
    format!("test --no-run --lib --bins --tests {SELECTION}")
}

fn is_conformance(program: &Program) -> bool {
    program.package == Path::new("conformance")
}

fn doc() -> Result {
    run(cargo("doc --no-deps").env("RUSTDOCFLAGS", "-D warnings"))
}

/// Checks each library by itself, as its users build it: in the workspace, the features that other
/// members enable are on as well. Clippy does so because it has checked most dependencies before;
/// what its own lints say about code that a feature leaves empty does not matter.
fn features() -> Result {
    for package in packages("Cargo.toml")? {
        // An empty list of registries means that the package is never published.
        if package["publish"].as_array().is_some_and(Vec::is_empty) {
            continue;
        }
        let name = package["name"].as_str().ok_or("a package has no name")?;
        let features = package["features"].as_object().into_iter().flatten();
        let features = features.map(|(feature, _)| feature.as_str());
        for feature in std::iter::once("").chain(features) {
            println!("   {name} {feature}");
            run(cargo("clippy --quiet --no-default-features")
                .args(["--package", name, "--features", feature])
                .args(["--", "-D", "warnings", "-A", "clippy::all"]))?;
        }
    }
    Ok(())
}

/// The loom models are inside the core crate, next to the code that they model: with `--cfg loom`
/// it has little else. Loom tries thousands of interleavings; without optimization that takes
/// minutes.
fn loom() -> Result {
    rounds(&loom_tests(Priority::Normal)?, 1, |_| true).map(drop)
}

fn loom_tests(priority: Priority) -> Result<Vec<Program>> {
    let build = format!(
        "test --profile optimized --no-run --lib --package barograph-core --target-dir {}",
        target_directory("loom").display()
    );
    build_tests(cargo_with(priority, &build).env("RUSTFLAGS", "--cfg loom"))
}

/// Repeats the concurrent tests: a race may show only once in many runs.
fn stress() -> Result {
    let is_concurrent: fn(&str) -> bool = |test| test.ends_with(CONCURRENT);
    let mut ran = rounds(&optimized()?, 25, is_concurrent)?;
    // The others as `cargo test` has built them: to optimize what they depend on takes minutes.
    let mut others = build_tests(&mut cargo("test --no-run"))?;
    others.retain(|program| !LOCK_FREE.contains(&program.package.to_string_lossy().as_ref()));
    ran.extend(rounds(&others, 25, is_concurrent)?);
    // A test in a program that is not among those must not be left out unnoticed.
    let sources = output(
        Command::new("git")
            .args([
                "grep",
                "-hoE",
                &format!("fn \\w+{CONCURRENT}\\("),
                "--",
                "crates",
            ])
            .current_dir(workspace()),
    )?;
    for line in sources.lines() {
        let name = line.trim_start_matches("fn ").trim_end_matches('(');
        if !ran
            .iter()
            .any(|test| test.rsplit("::").next() == Some(name))
        {
            return Err(
                format!("{name} is in none of the programs that this recipe builds").into(),
            );
        }
    }
    Ok(())
}

/// The end of the names of the tests that `stress` repeats.
const CONCURRENT: &str = "_concurrently";

/// The packages with lock-free code of their own.
const LOCK_FREE: [&str; 2] = ["crates/barograph-core", "crates/barograph-tracing"];

/// Builds the tests that have to be optimized, since that is what users run: the concurrent ones of
/// [`LOCK_FREE`] packages, and the floods.
fn optimized() -> Result<Vec<Program>> {
    build_tests(&mut cargo(
        "test --profile optimized --no-run --package barograph-core --package barograph-tracing \
         --package conformance --no-default-features --features conformance/attacks \
         --lib --test api --test log --test floods",
    ))
}

/// Runs the tests with wanted names this number of times, and returns their names. Fails if there
/// are none.
fn rounds(programs: &[Program], times: usize, wanted: fn(&str) -> bool) -> Result<Vec<String>> {
    let mut found = Vec::new();
    for program in programs {
        let list = output(program.command().args(["--list", "--format=terse"]))?;
        let tests = list.lines().filter_map(|line| line.strip_suffix(": test"));
        let tests: Vec<&str> = tests.filter(|test| wanted(test)).collect();
        if tests.is_empty() {
            continue;
        }
        println!(
            "   {} of {}: {} tests, {times} times",
            program.name,
            program.package.display(),
            tests.len()
        );
        for _ in 0..times {
            let mut round = program.command();
            round.args(["--quiet", "--exact"]).args(&tests);
            report(&mut round, LONGEST_RUN)?;
        }
        found.extend(tests.into_iter().map(str::to_owned));
    }
    match found.is_empty() {
        true => Err("none of the tests that this recipe is for was found".into()),
        false => Ok(found),
    }
}

/// Finds memory errors in the core's unsafe code. ThreadSanitizer is not used: the prebuilt
/// standard library is not instrumented, so every `Arc` looks like a race. Loom checks for races.
fn sanitize() -> Result {
    let programs = sanitized_tests(Priority::Normal)?;
    // The compiler is not under test.
    let is_of_the_core =
        |test: &str| !test.ends_with("the_macros_accept_and_refuse_what_they_should");
    rounds(&programs, 1, is_of_the_core).map(drop)
}

fn sanitized_tests(priority: Priority) -> Result<Vec<Program>> {
    let build = format!(
        "+nightly test --no-run --package barograph-core --lib --tests --target {TARGET} \
         --target-dir {}",
        target_directory("sanitize").display()
    );
    // Leaks are errors too: what a thread or a registry leaves behind must be reachable or freed.
    build_tests(cargo_with(priority, &build).env("RUSTFLAGS", "-Zsanitizer=address"))
}

/// The flags that cargo-fuzz would pass; the targets are plain programs that include libFuzzer.
const FUZZING: [&str; 8] = [
    "--cfg=fuzzing",
    "-Zsanitizer=address",
    "-Cdebug-assertions",
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
];

fn fuzz_targets(priority: Priority) -> Result<Vec<Program>> {
    let arguments = format!(
        "+nightly build --release --bins --manifest-path fuzz/Cargo.toml --target {TARGET} \
         --target-dir {} -Zprofile-rustflags",
        target_directory("fuzz").display()
    );
    let mut building = cargo_with(priority, &arguments);
    // Only our crates are instrumented and optimized: they are under test, and the others take most of
    // the build. A procedural macro cannot be instrumented, since it is loaded into the compiler.
    building.args(["--config", "profile.release.package.\"*\".opt-level=0"]);
    for package in packages("fuzz/Cargo.toml")?
        .iter()
        .chain(&packages("Cargo.toml")?)
    {
        let Some(name) = package["name"].as_str() else {
            return Err("a package has no name".into());
        };
        if name.starts_with("barograph") && name != "barograph-macros" {
            building.args([
                "--config",
                &format!("profile.release.package.{name}.rustflags={FUZZING:?}"),
                "--config",
                &format!("profile.release.package.{name}.opt-level=3"),
            ]);
        }
    }
    build(&mut building)
}

fn fuzz() -> Result {
    let targets = fuzz_targets(Priority::Normal)?;
    if targets.is_empty() {
        return Err("there is no fuzz target".into());
    }
    // Each keeps one processor busy.
    let at_once = thread::available_parallelism().map_or(1, usize::from);
    let waiting = Mutex::new(targets.into_iter());
    let next = || waiting.lock().map_or(None, |mut waiting| waiting.next());
    thread::scope(|scope| {
        let work = || -> std::result::Result<(), String> {
            while let Some(target) = next() {
                fuzz_one(&target).map_err(|error| error.to_string())?;
            }
            Ok(())
        };
        let workers: Vec<_> = (0..at_once).map(|_| scope.spawn(work)).collect();
        for worker in workers {
            worker.join().map_err(|_| "a worker panicked")??;
        }
        Ok(())
    })
}

fn fuzz_one(target: &Program) -> Result {
    println!("   {}", target.name);
    let corpus = workspace().join("fuzz/corpus").join(&target.name);
    let artifacts = workspace().join("fuzz/artifacts").join(&target.name);
    for directory in [&corpus, &artifacts] {
        std::fs::create_dir_all(directory)?;
    }
    let mut fuzzer = target.command();
    fuzzer.args([
        "-max_total_time=10",
        "-timeout=10",
        "-print_final_stats=1",
        "-verbosity=0",
    ]);
    fuzzer
        .arg(format!("-artifact_prefix={}/", artifacts.display()))
        .arg(corpus);
    run(&mut fuzzer)
}

/// The advisory database is left out: it is a clone of a repository that is not always reachable.
fn deny() -> Result {
    let programs = output(install().arg("cargo-deny"))?;
    let mut deny = Command::new(Path::new(programs.trim_end()).join("cargo-deny"));
    run(deny
        .args(["--workspace", "check", "bans", "licenses", "sources"])
        .current_dir(workspace()))
}

/// The platforms that the libraries are compiled for, besides that of this machine.
const PLATFORMS: [&str; 4] = [
    "x86_64-pc-windows-gnu",
    "x86_64-apple-darwin",
    "aarch64-apple-darwin",
    "aarch64-unknown-linux-gnu",
];

/// Checks the libraries for other platforms, with the features that need no C compiler for the platform:
/// `otlp` needs one for ring, `zstd` and `rdkafka` need one for their libraries. The tests are not run
/// there.
fn platforms() -> Result {
    for platform in PLATFORMS {
        println!("   {platform}");
        run(Command::new("rustup").args(["target", "add", platform]))?;
        let features = "axum,reqwest-middleware";
        run(&mut cargo(&format!(
            "check --quiet --package barograph --no-default-features --features {features} \
             --target {platform}"
        )))?;
    }
    Ok(())
}

/// Compares the public API with that of the last tag. Before the first tag there is nothing to compare.
fn semver() -> Result {
    let tags = output(
        Command::new("git")
            .args(["tag", "--list", "v*", "--sort=-creatordate"])
            .current_dir(workspace()),
    )?;
    let Some(tag) = tags.lines().next() else {
        println!("   there is no tag, so no version was published");
        return Ok(());
    };
    let programs = output(install().arg("cargo-semver-checks"))?;
    let checks = Path::new(programs.trim_end()).join("cargo-semver-checks");
    run(Command::new(checks)
        .args(["semver-checks", "--baseline-rev", tag])
        .current_dir(workspace()))
}

fn conformance() -> Result {
    // All of them are required: without one of these programs a check could not run.
    output(install().args([
        "prometheus",
        "promtool",
        "prometheus-old",
        "openmetrics",
        "collector",
        "otlp",
        "rotel",
        "jaeger",
        "zipkin",
        "kafka",
        "kcat",
    ]))?;
    run_each(|program| is_conformance(program) && !ATTACKS.contains(&program.name.as_str()))
}

/// Runs the attack programs one after the other, since each keeps the machine busy and has time
/// limits. The figures that they print are results as well.
fn attacks() -> Result {
    let (selected, optimized) = (selected()?, optimized()?);
    for name in ATTACKS {
        let programs = if name == FLOODS {
            &optimized
        } else {
            &selected
        };
        let program = programs
            .iter()
            .find(|it| is_conformance(it) && it.name == name);
        let program = program.ok_or_else(|| format!("{name} was not built"))?;
        let begun = Instant::now();
        run(program
            .command()
            .args(["--nocapture", "--test-threads", "1"]))?;
        println!("   {name}: {:.1} s", begun.elapsed().as_secs_f64());
    }
    Ok(())
}

/// Long enough to detect a leak of some megabytes per minute; a manual run is longer.
fn short_soak() -> Result {
    soak(&["--seconds".into(), "45".into()])
}

/// Runs the soak with these arguments.
pub(crate) fn soak(arguments: &[String]) -> Result {
    let programs = build(&mut cargo(&format!(
        "build --bin soak --bin target_service {SELECTION}"
    )))?;
    let soak = programs.iter().find(|it| it.name == "soak");
    run(soak.ok_or("soak was not built")?.command().args(arguments))
}

fn install() -> Command {
    Command::new(workspace().join("tools/backends/install"))
}
