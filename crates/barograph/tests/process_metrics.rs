//! The process metrics on the page, in a process of their own: other tests would change the values.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::fs::File;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use barograph::Telemetry;
use barograph::exposition::{Config, Translation};

/// Lets one test measure at a time.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn telemetry(config: Config) -> Telemetry {
    let builder = Telemetry::builder("shop").without_listener();
    builder.with_prometheus_config(config).start().unwrap()
}

/// Returns the values of the process metrics on a page, by name.
fn read(telemetry: &Telemetry, accept: Option<&str>) -> BTreeMap<String, f64> {
    let page = telemetry.render(accept).body;
    let lines = page.lines().filter(|line| line.starts_with("process_"));
    lines
        .map(|line| {
            let (name, value) = line.split_once(' ').unwrap();
            (name.to_owned(), value.parse().unwrap())
        })
        .collect()
}

#[test]
fn they_have_the_names_that_dashboards_know() {
    let _alone = alone();
    let expected = [
        "process_cpu_seconds_total",
        "process_max_fds",
        "process_open_fds",
        "process_resident_memory_bytes",
        "process_start_time_seconds",
        "process_threads",
        "process_virtual_memory_bytes",
    ];
    for translation in [
        Translation::UnderscoreEscapingWithSuffixes,
        Translation::UnderscoreEscapingWithoutSuffixes,
        Translation::NoTranslation,
    ] {
        let telemetry = telemetry(Config::new().with_translation(translation));
        for accept in [
            "text/plain; version=0.0.4",
            "application/openmetrics-text; version=1.0.0",
        ] {
            let names = read(&telemetry, Some(accept)).into_keys();
            assert!(names.eq(expected), "{translation:?} {accept}");
        }
    }
}

#[test]
fn memory_and_time_are_in_the_right_units() {
    let _alone = alone();
    let telemetry = telemetry(Config::new());
    let now = || {
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap()
            .as_secs_f64()
    };
    let before = read(&telemetry, None);
    let memory = vec![1_u8; 64 << 20];
    let after = read(&telemetry, None);
    let grown = |name: &str| after[name] - before[name];
    assert!(grown("process_resident_memory_bytes") > (32 << 20) as f64);
    assert!(grown("process_virtual_memory_bytes") > (32 << 20) as f64);
    assert!(after["process_resident_memory_bytes"] < after["process_virtual_memory_bytes"]);
    assert_eq!(
        memory.iter().map(|byte| u64::from(*byte)).sum::<u64>(),
        64 << 20
    );
    let age = now() - after["process_start_time_seconds"];
    assert!((-2.0..3600.0).contains(&age), "{age}");
}

#[test]
fn work_and_files_are_counted() {
    let _alone = alone();
    let telemetry = telemetry(Config::new());
    let before = read(&telemetry, None);
    let files: Vec<_> = (0..100).map(|_| File::open("/dev/null").unwrap()).collect();
    let start = Instant::now();
    let mut after = read(&telemetry, None);
    while after["process_cpu_seconds_total"] - before["process_cpu_seconds_total"] < 0.05 {
        assert!(start.elapsed().as_secs() < 60, "a busy thread takes time");
        after = read(&telemetry, None);
    }
    assert!(after["process_open_fds"] - before["process_open_fds"] >= 90.0);
    assert!(after["process_max_fds"] >= after["process_open_fds"]);
    let handle = std::thread::scope(|scope| scope.spawn(|| read(&telemetry, None)).join().unwrap());
    assert!(handle["process_threads"] >= 2.0);
    drop(files);
}
