//! Families made from counts that are kept elsewhere.

use std::sync::Arc;

use barograph_model::descriptor::{Descriptor, Kind};
use barograph_model::label::PackedLabels;
use barograph_model::snapshot::{FamilyView, Point, Value};

/// A family made from counts that are kept elsewhere.
pub(super) struct Table {
    descriptor: Arc<Descriptor>,
    /// The start time of a counter; None for a gauge.
    start: Option<u64>,
    rows: Vec<(PackedLabels, Value<'static>)>,
}

impl Table {
    pub(super) fn new(name: &str, unit: &str, help: &str, kind: Kind) -> Self {
        let mut descriptor = Descriptor::new(name, kind);
        descriptor.unit = unit.into();
        descriptor.help = help.into();
        Table {
            descriptor: Arc::new(descriptor),
            start: None,
            rows: Vec::new(),
        }
    }

    pub(super) fn since(mut self, start_unix_nano: u64) -> Self {
        self.start = Some(start_unix_nano);
        self
    }

    pub(super) fn row(&mut self, labels: &[(&str, &str)], value: u64) {
        let labels = labels.iter().copied().collect();
        self.rows.push((labels, Value::U64(value)));
    }

    /// Adds a row with a share of a limit.
    pub(super) fn share(&mut self, labels: &[(&str, &str)], value: f64) {
        let labels = labels.iter().copied().collect();
        self.rows.push((labels, Value::F64(value)));
    }
}

impl FamilyView for Table {
    fn descriptor(&self) -> Arc<Descriptor> {
        Arc::clone(&self.descriptor)
    }

    fn read(&self, from: usize, show: &mut dyn FnMut(&Point<'_>)) -> Option<usize> {
        let rows = self.rows.iter().enumerate().skip(from);
        for (index, (labels, value)) in rows.take(BATCH) {
            let point = Point::new(index, labels.inline(), *value);
            show(&match self.start {
                Some(start) => point.with_start(start),
                None => point,
            });
        }
        let next = from + BATCH;
        (next < self.rows.len()).then_some(next)
    }
}

/// The number of rows read at once.
const BATCH: usize = 256;
