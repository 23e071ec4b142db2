//! The process metrics of the test's own process.
#![cfg(target_os = "linux")]

use std::collections::BTreeMap;
use std::fs::File;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use barograph_edge::process::ProcessSource;
use barograph_model::descriptor::Kind;
use barograph_model::snapshot::{Source, Value};

fn read() -> BTreeMap<String, f64> {
    let mut values = BTreeMap::new();
    for family in ProcessSource::new().collect() {
        let descriptor = family.descriptor();
        family.read(0, &mut |point| {
            let value = match point.value {
                Value::U64(value) => value as f64,
                Value::F64(value) => value,
                other => panic!("{other:?}"),
            };
            let is_counter = descriptor.kind == Kind::Counter;
            assert_eq!(point.start_unix_nano.is_some(), is_counter);
            assert!(values.insert(descriptor.name.to_string(), value).is_none());
        });
    }
    values
}

#[test]
fn all_families_are_there() {
    let names: Vec<_> = ProcessSource::new()
        .collect()
        .iter()
        .map(|family| {
            let descriptor = family.descriptor();
            assert!(!descriptor.help.is_empty());
            (descriptor.name.to_string(), descriptor.kind)
        })
        .collect();
    let expected = [
        ("process_cpu_seconds_total", Kind::Counter),
        ("process_resident_memory_bytes", Kind::Gauge),
        ("process_virtual_memory_bytes", Kind::Gauge),
        ("process_open_fds", Kind::Gauge),
        ("process_max_fds", Kind::Gauge),
        ("process_threads", Kind::Gauge),
        ("process_start_time_seconds", Kind::Gauge),
    ];
    assert_eq!(names, expected.map(|(name, kind)| (name.to_owned(), kind)));
}

#[test]
fn memory_and_time_are_in_the_right_units() {
    let now = || {
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap()
            .as_secs_f64()
    };
    let before = read();
    let memory = vec![1_u8; 64 << 20];
    let after = read();
    let grown = |name: &str| after[name] - before[name];
    // Other tests allocate and free memory at the same time, but not that much.
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
    let before = read();
    let files: Vec<_> = (0..100).map(|_| File::open("/dev/null").unwrap()).collect();
    let start = Instant::now();
    let mut after = read();
    while after["process_cpu_seconds_total"] - before["process_cpu_seconds_total"] < 0.05 {
        assert!(start.elapsed().as_secs() < 60, "a busy thread takes time");
        after = read();
    }
    assert!(after["process_open_fds"] - before["process_open_fds"] >= 90.0);
    assert!(after["process_max_fds"] >= after["process_open_fds"]);
    let handle = std::thread::scope(|scope| scope.spawn(read).join().unwrap());
    assert!(handle["process_threads"] >= 2.0);
    drop(files);
}
