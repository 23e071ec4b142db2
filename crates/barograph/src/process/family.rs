//! Families with one series each, and their values at one instant.

use std::sync::Arc;

use barograph_model::descriptor::{Descriptor, Kind};
use barograph_model::label::Labels;
use barograph_model::snapshot::{FamilyView, Point, Value};

/// The values of a process. A value that cannot be read is none.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Reading {
    pub(super) cpu_seconds: Option<f64>,
    pub(super) resident_bytes: Option<u64>,
    pub(super) virtual_bytes: Option<u64>,
    pub(super) open_fds: Option<u64>,
    pub(super) max_fds: Option<u64>,
    pub(super) threads: Option<u64>,
    /// Since the Unix epoch.
    pub(super) start_seconds: Option<f64>,
}

/// A function that takes a value from a reading.
type Field = fn(&Reading) -> Option<Value<'static>>;

/// The name, unit, help and value of each family, in the order of output.
///
/// The names are those of the Prometheus text format and already include the unit, so that no encoder
/// adds it again.
pub(super) const FAMILIES: [(&str, &str, &str, Field); 7] = [
    (
        "process_cpu_seconds_total",
        "s",
        "Total user and system CPU time spent in seconds.",
        |reading| reading.cpu_seconds.map(Value::F64),
    ),
    (
        "process_resident_memory_bytes",
        "By",
        "Resident memory size in bytes.",
        |reading| reading.resident_bytes.map(Value::U64),
    ),
    (
        "process_virtual_memory_bytes",
        "By",
        "Virtual memory size in bytes.",
        |reading| reading.virtual_bytes.map(Value::U64),
    ),
    (
        "process_open_fds",
        "",
        "Number of open file descriptors.",
        |reading| reading.open_fds.map(Value::U64),
    ),
    (
        "process_max_fds",
        "",
        "Maximum number of open file descriptors.",
        |reading| reading.max_fds.map(Value::U64),
    ),
    (
        "process_threads",
        "",
        "Number of operating system threads.",
        |reading| reading.threads.map(Value::U64),
    ),
    (
        "process_start_time_seconds",
        "s",
        "Start time of the process since the Unix epoch in seconds.",
        |reading| reading.start_seconds.map(Value::F64),
    ),
];

/// The descriptors of [`FAMILIES`].
pub(super) fn descriptors() -> Vec<Arc<Descriptor>> {
    let descriptor = |(name, unit, help, _): (&str, &str, &str, Field)| {
        let kind = match name.ends_with("_total") {
            true => Kind::Counter,
            false => Kind::Gauge,
        };
        let mut descriptor = Descriptor::new(name, kind);
        descriptor.unit = unit.into();
        descriptor.help = help.into();
        Arc::new(descriptor)
    };
    FAMILIES.into_iter().map(descriptor).collect()
}

/// A family with one series.
pub(super) struct Single {
    pub(super) descriptor: Arc<Descriptor>,
    pub(super) value: Value<'static>,
    /// The time when a counter began to count.
    pub(super) start_unix_nano: Option<u64>,
}

impl FamilyView for Single {
    fn descriptor(&self) -> Arc<Descriptor> {
        self.descriptor.clone()
    }

    fn read(&self, _from: usize, show: &mut dyn FnMut(&Point<'_>)) -> Option<usize> {
        let mut point = Point::new(0, Labels::EMPTY, self.value);
        point.start_unix_nano = self.start_unix_nano;
        show(&point);
        None
    }

    fn labels_are_unique(&self) -> bool {
        true
    }
}
