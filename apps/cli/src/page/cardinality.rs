//! The families with the most series, and the labels with the most values.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use barograph_encode::prometheus::parse::ParsedPage;
use serde_json::{Value, json};

/// The families with the most series, and the labels with the most values, the largest first.
#[derive(Clone, Debug, Default)]
pub(super) struct Cardinality {
    pub(super) families: Vec<FamilySize>,
    pub(super) labels: Vec<LabelSize>,
}

/// The number of series of a family, each of which Prometheus stores: of a histogram, one for each
/// bucket and two more for each label set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FamilySize {
    pub(super) name: String,
    pub(super) kind: &'static str,
    pub(super) series: usize,
}

/// The number of values of a label.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct LabelSize {
    pub(super) name: String,
    pub(super) values: usize,
    /// The number of families that have the label.
    pub(super) families: usize,
}

impl Cardinality {
    pub(super) fn of(page: &ParsedPage<'_>, top: usize) -> Self {
        let families = page.families.iter().map(|family| FamilySize {
            name: family.name.to_string(),
            kind: family.kind.as_str_in(page.dialect),
            series: family.samples.len(),
        });
        let mut families: Vec<_> = families.collect();
        // Families of equal size stay in the order of the page.
        families.sort_by_key(|family| std::cmp::Reverse(family.series));
        families.truncate(top);
        let mut values: BTreeMap<&str, (HashSet<&str>, BTreeSet<usize>)> = BTreeMap::new();
        for (index, family) in page.families.iter().enumerate() {
            let labels = family.samples.iter().flat_map(|sample| &sample.labels);
            for (name, value) in labels.filter(|(name, _)| !BOUNDS.contains(&&**name)) {
                let entry = values.entry(name).or_default();
                entry.0.insert(value);
                entry.1.insert(index);
            }
        }
        let labels = values
            .into_iter()
            .map(|(name, (values, families))| LabelSize {
                name: name.to_owned(),
                values: values.len(),
                families: families.len(),
            });
        let mut labels: Vec<_> = labels.collect();
        labels.sort_by_key(|label| std::cmp::Reverse(label.values));
        labels.truncate(top);
        Cardinality { families, labels }
    }

    pub(super) fn json(&self) -> (Value, Value) {
        let families = self.families.iter();
        let families =
            families.map(|it| json!({ "name": it.name, "type": it.kind, "series": it.series }));
        let labels = self.labels.iter();
        let labels = labels
            .map(|it| json!({ "name": it.name, "values": it.values, "families": it.families }));
        (families.collect(), labels.collect())
    }
}

/// The labels of buckets and quantiles, which are as many as the program has configured.
const BOUNDS: [&str; 2] = ["le", "quantile"];
