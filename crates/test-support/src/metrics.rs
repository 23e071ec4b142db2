//! Reads the metrics of a registry.

use barograph_core::registry::Registry;
use barograph_model::exemplar::Exemplar;
use barograph_model::snapshot::{Point, Source, Value};

/// Returns the exemplars of all series of a family.
pub fn exemplars(registry: &Registry, name: &str) -> Vec<Exemplar> {
    let mut all = Vec::new();
    each_point(registry, name, |point| {
        all.extend_from_slice(point.exemplars)
    });
    all
}

/// Returns the series of a family of histograms or counters, sorted: the values of the labels that are
/// not empty, in the order of the names of the labels, then `=` and the count.
pub fn counts(registry: &Registry, name: &str) -> Vec<String> {
    let mut lines = Vec::new();
    each_point(registry, name, |point| {
        let count = match point.value {
            Value::Histogram(histogram) => histogram.count(),
            Value::U64(count) => count,
            other => panic!("{other:?}"),
        };
        let labels = point.labels.iter().filter(|label| !label.1.is_empty());
        let labels: Vec<_> = labels.map(|label| label.1.to_owned()).collect();
        lines.push(format!("{} = {count}", labels.join(" ")));
    });
    lines.sort();
    lines
}

fn each_point(registry: &Registry, name: &str, mut show: impl FnMut(&Point<'_>)) {
    for family in registry.collect() {
        if *family.descriptor().name == *name {
            let mut from = Some(0);
            while let Some(cursor) = from {
                from = family.read(cursor, &mut show);
            }
        }
    }
}
