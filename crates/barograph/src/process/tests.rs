//! Tests of the families of process metrics.

use barograph_model::descriptor::Kind;
use barograph_model::snapshot::Source;

use super::ProcessSource;

#[test]
fn all_families_are_there() {
    let families = ProcessSource::new().collect();
    let names = families.iter().map(|family| {
        let descriptor = family.descriptor();
        assert!(!descriptor.help.is_empty());
        let mut points = 0;
        let next = family.read(0, &mut |point| {
            let is_counter = descriptor.kind == Kind::Counter;
            assert_eq!(point.start_unix_nano.is_some(), is_counter);
            points += 1;
        });
        assert_eq!((points, next), (1, None));
        (descriptor.name.to_string(), descriptor.kind)
    });
    let expected = [
        ("process_cpu_seconds_total", Kind::Counter),
        ("process_resident_memory_bytes", Kind::Gauge),
        ("process_virtual_memory_bytes", Kind::Gauge),
        ("process_open_fds", Kind::Gauge),
        ("process_max_fds", Kind::Gauge),
        ("process_threads", Kind::Gauge),
        ("process_start_time_seconds", Kind::Gauge),
    ];
    assert!(names.eq(expected.map(|(name, kind)| (name.to_owned(), kind))));
}
