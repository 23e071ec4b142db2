//! The recipes, each a few calls of cargo.

use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::Mutex,
    thread,
    time::Instant,
};

use crate::cargo::{
    Result, TARGET, cargo, name_of, output, packages, programs, report, run, target_directory,
    test_programs, workspace,
};

/// A check that a change must pass.
pub(crate) struct Recipe {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    pub(crate) run: fn() -> Result,
}

/// All recipes, the quickest to fail first.
pub(crate) const RECIPES: &[Recipe] = &[
    Recipe {
        name: "fmt",
        about: "the code is formatted",
        run: fmt,
    },
    Recipe {
        name: "clippy",
        about: "no lint has anything to say, the MSRV is held",
        run: clippy,
    },
    Recipe {
        name: "test",
        about: "the newcomer's test run, house rules and doctests too",
        run: test,
    },
    Recipe {
        name: "doc",
        about: "the documentation builds, no link is broken",
        run: doc,
    },
    Recipe {
        name: "features",
        about: "each library alone, with no feature and with each",
        run: features,
    },
    Recipe {
        name: "deny",
        about: "licenses and sources of dependencies, as deny.toml says",
        run: deny,
    },
    Recipe {
        name: "loom",
        about: "every interleaving of the lock-free protocols",
        run: loom,
    },
    Recipe {
        name: "stress",
        about: "tests that end in _concurrently, again and again",
        run: stress,
    },
    Recipe {
        name: "sanitize",
        about: "the core's tests under AddressSanitizer (nightly)",
        run: sanitize,
    },
    Recipe {
        name: "fuzz",
        about: "each fuzz target for half a minute (nightly)",
        run: fuzz,
    },
    Recipe {
        name: "attacks",
        about: "evil receivers, SIGTERM under load, damaged queues, floods",
        run: attacks,
    },
    Recipe {
        name: "soak",
        about: "memory, threads and descriptors stay level",
        run: short_soak,
    },
    Recipe {
        name: "conformance",
        about: "real servers and strict parsers check it from outside",
        run: conformance,
    },
];

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
    run(&mut cargo("test"))?;
    // Also test features that are off by default.
    run(&mut cargo("test --package barograph-export --all-features"))?;
    // This builds librdkafka, whose mock broker the tests use. It takes minutes, which a plain
    // `cargo test` avoids.
    run(&mut cargo(
        "test --package barograph-kafka --features rdkafka --lib --tests",
    ))?;
    // Tests that the benchmarks parse pages and reports correctly, and that our layer works beside
    // that of OpenTelemetry.
    run(&mut cargo(
        "test --package benchmarks --package request-cost",
    ))
}

fn doc() -> Result {
    run(cargo("doc --no-deps").env("RUSTDOCFLAGS", "-D warnings"))
}

/// Checks each library by itself, as its users build it: in the workspace, the features that other
/// members enable are on as well.
fn features() -> Result {
    for package in packages("Cargo.toml")? {
        // An empty list of registries means that the package is never published.
        if package["publish"].as_array().is_some_and(Vec::is_empty) {
            continue;
        }
        let name = package["name"].as_str().ok_or("a package has no name")?;
        let check = format!(
            "check --quiet --package {name} --no-default-features --target-dir {}",
            target_directory("features").display()
        );
        println!("   {name}");
        run(cargo(&check).env("RUSTFLAGS", "-D warnings"))?;
        for feature in package["features"]
            .as_object()
            .into_iter()
            .flat_map(|all| all.keys())
        {
            println!("   {name} with {feature}");
            run(cargo(&check)
                .args(["--features", feature])
                .env("RUSTFLAGS", "-D warnings"))?;
        }
    }
    Ok(())
}

/// The loom models are inside the core crate, next to the code that they model: with `--cfg loom`
/// it has little else. Loom tries thousands of interleavings; without optimization that takes
/// minutes.
fn loom() -> Result {
    let build = format!(
        "test --release --no-run --lib --package barograph-core --target-dir {}",
        target_directory("loom").display()
    );
    rounds(
        test_programs(cargo(&build).env("RUSTFLAGS", "--cfg loom"))?,
        1,
        |_| true,
    )
}

/// Repeats the concurrent tests: a race may show only once in many runs.
fn stress() -> Result {
    let build = format!(
        "test --release --no-run --lib --tests --target-dir {}",
        target_directory("stress").display()
    );
    // Optimized, since that is what users run; link-time optimization would only take longer.
    let programs = test_programs(cargo(&build).env("CARGO_PROFILE_RELEASE_LTO", "off"))?;
    rounds(programs, 25, |test| test.ends_with("_concurrently"))
}

/// Runs the tests with wanted names this number of times. Fails if there are none.
fn rounds(programs: Vec<PathBuf>, times: usize, wanted: fn(&str) -> bool) -> Result {
    let mut found = 0;
    for path in programs {
        let program = name_of(&path)?;
        let list = output(Command::new(&path).args(["--list", "--format=terse"]))?;
        let tests = list.lines().filter_map(|line| line.strip_suffix(": test"));
        let tests: Vec<&str> = tests.filter(|test| wanted(test)).collect();
        if tests.is_empty() {
            continue;
        }
        found += tests.len();
        println!("   {program}: {} tests, {times} times", tests.len());
        for _ in 0..times {
            let mut round = Command::new(&path);
            round
                .args(["--quiet", "--exact"])
                .args(&tests)
                .current_dir(workspace());
            report(&mut round)?;
        }
    }
    match found {
        0 => Err("none of the tests that this recipe is for was found".into()),
        _ => Ok(()),
    }
}

/// Finds memory errors in the core's unsafe code. ThreadSanitizer is not used: the prebuilt
/// standard library is not instrumented, so every `Arc` looks like a race. Loom checks for races.
fn sanitize() -> Result {
    let build = format!(
        "+nightly test --no-run --package barograph-core --lib --tests --target {TARGET} \
         --target-dir {}",
        target_directory("sanitize").display()
    );
    // Leaks are errors too: what a thread or a registry leaves behind must be reachable or freed.
    rounds(
        test_programs(cargo(&build).env("RUSTFLAGS", "-Zsanitizer=address"))?,
        1,
        |_| true,
    )
}

/// The flags that cargo-fuzz would pass; the targets are plain programs that include libFuzzer.
const FUZZING: &str = "--cfg fuzzing -Zsanitizer=address -Cdebug-assertions \
    -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
    -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares";

fn fuzz() -> Result {
    let build = format!(
        "+nightly build --release --bins --manifest-path fuzz/Cargo.toml --target {TARGET} \
         --target-dir {}",
        target_directory("fuzz").display()
    );
    let targets = programs(cargo(&build).env("RUSTFLAGS", FUZZING))?;
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

fn fuzz_one(target: &Path) -> Result {
    let name = name_of(target)?;
    println!("   {name}");
    let corpus = workspace().join("fuzz/corpus").join(&name);
    let artifacts = workspace().join("fuzz/artifacts").join(&name);
    for directory in [&corpus, &artifacts] {
        std::fs::create_dir_all(directory)?;
    }
    let mut fuzzer = Command::new(target);
    fuzzer.args([
        "-max_total_time=30",
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
    run(&mut cargo("test --package conformance"))
}

/// Runs the attack programs one after the other, since each keeps the machine busy and has time
/// limits. The figures that they print are results as well.
fn attacks() -> Result {
    for program in ["evil_receiver", "end_under_load", "persistent_queue_attack"] {
        attack(&mut cargo("test"), program)?;
    }
    // The floods limit the time in which `/health` is answered, which is meaningful for optimized
    // builds only. They share the build of `stress`, and so does the service that they build.
    let mut optimized = cargo("test --release");
    optimized
        .env("CARGO_TARGET_DIR", target_directory("stress"))
        .env("CARGO_PROFILE_RELEASE_LTO", "off");
    attack(&mut optimized, "floods")
}

fn attack(test: &mut Command, program: &str) -> Result {
    let begun = Instant::now();
    run(test
        .args(["--package", "conformance", "--features", "attacks"])
        .args(["--test", program])
        .args(["--", "--nocapture", "--test-threads", "1"]))?;
    println!("   {program}: {:.1} s", begun.elapsed().as_secs_f64());
    Ok(())
}

/// Long enough to detect a leak of some megabytes per minute; a manual run is longer.
fn short_soak() -> Result {
    soak(&["--seconds".into(), "45".into()])
}

/// Runs the soak with these arguments.
pub(crate) fn soak(arguments: &[String]) -> Result {
    let program = "run --quiet --package conformance --features attacks --bin soak --";
    run(cargo(program).args(arguments))
}

fn install() -> Command {
    Command::new(workspace().join("tools/backends/install"))
}
