//! Reads the metrics of a registry.

use barograph_core::registry::Registry;
use barograph_model::exemplar::Exemplar;
use barograph_model::snapshot::Source;

/// Returns the exemplars of all series of a family.
pub fn exemplars(registry: &Registry, name: &str) -> Vec<Exemplar> {
    let mut all = Vec::new();
    for family in registry.collect() {
        if *family.descriptor().name == *name {
            let mut from = Some(0);
            while let Some(cursor) = from {
                from = family.read(cursor, &mut |point| all.extend_from_slice(point.exemplars));
            }
        }
    }
    all
}
