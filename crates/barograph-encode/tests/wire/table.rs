//! A source that supplies whatever a test puts into it.

use std::panic::panic_any;
use std::sync::Arc;

use barograph_model::bounds::Bounds;
use barograph_model::descriptor::Descriptor;
use barograph_model::exemplar::Exemplar;
use barograph_model::label::{Labels, PackedLabels};
use barograph_model::snapshot::{FamilyView, HistogramValue, Point, Source, Value};

#[derive(Clone, Debug, Default)]
pub(crate) struct Table {
    pub(crate) families: Vec<Family>,
}

#[derive(Clone, Debug)]
pub(crate) struct Family {
    pub(crate) descriptor: Descriptor,
    pub(crate) rows: Vec<Row>,
    pub(crate) promises_unique_labels: bool,
    /// The index of the row at which it panics.
    pub(crate) panics_at: Option<usize>,
}

#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) labels: RowLabels,
    pub(crate) cell: Cell,
    pub(crate) start: Option<u64>,
    pub(crate) exemplars: Vec<Exemplar>,
    pub(crate) is_overflow: bool,
}

#[derive(Clone, Debug)]
pub(crate) enum RowLabels {
    /// Values for the family's label names.
    Values(Vec<String>),
    /// Values for names that are equal to the family's, but at another address.
    Named(Vec<(Box<str>, String)>),
    Pairs(Vec<(String, String)>),
    /// Raw pieces, however malformed.
    Raw {
        names: Option<Vec<Box<str>>>,
        ends: Vec<u16>,
        text: String,
    },
}

#[derive(Clone, Debug)]
pub(crate) enum Cell {
    U64(u64),
    I64(i64),
    F64(f64),
    Buckets {
        bounds: Bounds,
        buckets: Vec<u64>,
        sum: f64,
    },
    Info,
    States(u64),
}

impl Family {
    pub(crate) fn new(descriptor: Descriptor) -> Self {
        Family {
            descriptor,
            rows: Vec::new(),
            promises_unique_labels: false,
            panics_at: None,
        }
    }

    pub(crate) fn with(mut self, row: Row) -> Self {
        self.rows.push(row);
        self
    }

    /// Adds a row with its own labels.
    pub(crate) fn with_pairs(self, pairs: &[(&str, &str)], cell: Cell) -> Self {
        let pairs = pairs
            .iter()
            .map(|(k, v)| ((*k).into(), (*v).into()))
            .collect();
        self.with(Row::new(RowLabels::Pairs(pairs), cell))
    }

    /// Adds a row with values for the family's label names.
    pub(crate) fn with_values(self, values: &[&str], cell: Cell) -> Self {
        let values = values.iter().map(|value| (*value).into()).collect();
        self.with(Row::new(RowLabels::Values(values), cell))
    }
}

impl Row {
    pub(crate) fn new(labels: RowLabels, cell: Cell) -> Self {
        Row {
            labels,
            cell,
            start: None,
            exemplars: Vec::new(),
            is_overflow: false,
        }
    }
}

impl Source for Table {
    fn collect(&self) -> Vec<Arc<dyn FamilyView>> {
        let view = |family: &Family| -> Arc<dyn FamilyView> {
            Arc::new(View {
                descriptor: Arc::new(family.descriptor.clone()),
                family: family.clone(),
            })
        };
        self.families.iter().map(view).collect()
    }
}

struct View {
    descriptor: Arc<Descriptor>,
    family: Family,
}

impl FamilyView for View {
    fn descriptor(&self) -> Arc<Descriptor> {
        Arc::clone(&self.descriptor)
    }

    fn read(&self, from: usize, show: &mut dyn FnMut(&Point<'_>)) -> Option<usize> {
        const BATCH: usize = 3;
        let end = (from + BATCH).min(self.family.rows.len());
        for i in from..end {
            if self.family.panics_at == Some(i) {
                // Bypasses the panic hook, which would print it.
                std::panic::resume_unwind(Box::new("a source that panics"));
            }
            self.show(i, show);
        }
        (end < self.family.rows.len()).then_some(end)
    }

    fn labels_are_unique(&self) -> bool {
        self.family.promises_unique_labels
    }
}

impl View {
    fn show(&self, i: usize, show: &mut dyn FnMut(&Point<'_>)) {
        let row = &self.family.rows[i];
        let mut packed = PackedLabels::default();
        let mut names: Vec<Box<str>> = Vec::new();
        let labels = match &row.labels {
            RowLabels::Values(values) => {
                values.iter().for_each(|value| packed.push(value));
                match values.len() == self.descriptor.label_names.len() {
                    true => packed.fixed(&self.descriptor.label_names),
                    false => panic_any("a row that does not fit its family"),
                }
            }
            RowLabels::Named(pairs) => {
                for (name, value) in pairs {
                    names.push(name.clone());
                    packed.push(value);
                }
                packed.fixed(&names)
            }
            RowLabels::Pairs(pairs) => {
                packed = pairs.iter().map(|(k, v)| (&**k, &**v)).collect();
                packed.inline()
            }
            RowLabels::Raw {
                names: Some(names),
                ends,
                text,
            } => Labels::fixed(names, ends, text, true),
            RowLabels::Raw {
                names: None,
                ends,
                text,
            } => Labels::inline(ends, text),
        };
        let value = match &row.cell {
            Cell::U64(value) => Value::U64(*value),
            Cell::I64(value) => Value::I64(*value),
            Cell::F64(value) => Value::F64(*value),
            Cell::Buckets {
                bounds,
                buckets,
                sum,
            } => Value::Histogram(HistogramValue {
                bounds,
                buckets,
                sum: *sum,
                has_negative: *sum < 0.0,
            }),
            Cell::Info => Value::Info,
            Cell::States(on) => Value::StateSet(*on),
        };
        let mut point = Point::new(i, labels, value).with_exemplars(&row.exemplars);
        point.start_unix_nano = row.start;
        point.is_overflow = row.is_overflow;
        show(&point);
    }
}
