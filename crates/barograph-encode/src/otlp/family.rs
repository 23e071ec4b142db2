//! A family as it is exported to one receiver.

use std::sync::Arc;

use barograph_model::descriptor::{Descriptor, Kind};

use crate::otlp::attributes;
use crate::otlp::data_point::Shape;
use crate::otlp::metric_encoder::MetricEncoder;
use crate::otlp::temporality::Temporality;
use crate::walk::{FamilyReader, Uniqueness};

/// A family whose points are being written; `F` holds its encoded parts.
pub(super) struct Family<F> {
    pub(super) descriptor: Arc<Descriptor>,
    pub(super) temporality: Temporality,
    /// Its index among the families of the cycle.
    pub(super) index: usize,
    pub(super) encoded: F,
    /// True if the family is open in the current request.
    pub(super) is_open: bool,
    /// The number of points written.
    pub(super) written: u64,
}

impl<F> Family<F> {
    /// Prepares a family for writing; `index` is its index in the cycle.
    pub(super) fn new(
        encoder: &impl MetricEncoder<Family = F>,
        reader: &FamilyReader,
        temporality: Temporality,
        index: usize,
    ) -> Self {
        let descriptor = reader.descriptor();
        let uniqueness = match attributes::names_differ(descriptor) {
            true => reader.uniqueness(),
            false => Uniqueness::Unknown,
        };
        let shape = Shape::new(descriptor, temporality);
        let name = export_name(descriptor);
        Family {
            descriptor: Arc::clone(descriptor),
            temporality,
            index,
            encoded: encoder.family(descriptor, &name, shape, uniqueness),
            is_open: false,
            written: 0,
        }
    }
}

/// Returns the name to export: that of an info metric ends in `_info`, as it does on a Prometheus
/// page.
pub(super) fn export_name(descriptor: &Descriptor) -> String {
    let name = &*descriptor.name;
    match descriptor.kind {
        Kind::Info if !name.ends_with("_info") => format!("{name}_info"),
        _ => name.into(),
    }
}
