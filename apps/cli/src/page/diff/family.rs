//! A family in a form in which those of two pages can be compared.

use std::collections::{BTreeMap, BTreeSet};

use barograph_encode::prometheus::parse::{
    Dialect, FamilyKind, ParsedFamily, ParsedPage, ParsedSample,
};
use barograph_encode::prometheus::unescaped;

/// A family in a form in which those of two pages can be compared.
#[derive(Clone, Debug)]
pub(super) struct Family {
    /// The name that queries use: that of the samples of a counter or an info, and of the family
    /// otherwise. It is the same in text and in OpenMetrics.
    pub(super) name: String,
    pub(super) kind: FamilyKind,
    pub(super) dialect: Dialect,
    /// The names of labels as they are on the page, by their names without escapes. The labels of buckets
    /// and quantiles are not among them.
    pub(super) labels: BTreeMap<String, String>,
    /// The values of all series.
    pub(super) series: BTreeMap<Key, f64>,
}

/// The identity of a series in its family.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Key {
    /// The suffix of its name: `_bucket` or similar, empty for most.
    pub(super) suffix: &'static str,
    /// Names without escapes and values of its labels, in order of names. The numbers in `le` and
    /// `quantile` have one form.
    pub(super) labels: Vec<(String, String)>,
}

impl Family {
    /// Returns the families of a page. Times of creation are left out: they differ between any two
    /// processes.
    pub(super) fn all(page: &ParsedPage<'_>) -> Vec<Self> {
        let names: BTreeSet<&str> = page.families.iter().map(|family| &*family.name).collect();
        let is_creation = |family: &&ParsedFamily<'_>| {
            let stem = family.name.strip_suffix("_created");
            stem.is_some_and(|stem| {
                names.contains(stem) || names.contains(&*format!("{stem}_total"))
            })
        };
        let families = page.families.iter();
        families
            .filter(|family| !is_creation(family))
            .map(|family| Family::of(family, page.dialect))
            .collect()
    }

    fn of(family: &ParsedFamily<'_>, dialect: Dialect) -> Self {
        let own_suffix = match (family.kind, dialect) {
            (FamilyKind::Counter, Dialect::OpenMetrics) => "_total",
            (FamilyKind::Info, _) => "_info",
            _ => "",
        };
        let name = format!("{}{own_suffix}", family.name);
        let (mut labels, mut series) = (BTreeMap::new(), BTreeMap::new());
        for sample in &family.samples {
            let suffix = &sample.name[family.name.len()..];
            if suffix == "_created" {
                continue;
            }
            let suffixes = SUFFIXES.into_iter();
            let suffix = suffixes
                .filter(|_| suffix != own_suffix)
                .find(|it| *it == suffix);
            let key = Key {
                suffix: suffix.unwrap_or_default(),
                labels: identity(sample),
            };
            for (label, _) in sample.labels_without("") {
                if !BOUNDS.contains(&label) {
                    labels.insert(unescaped(label), label.to_owned());
                }
            }
            series.insert(key, sample.value);
        }
        Family {
            name,
            kind: family.kind,
            dialect,
            labels,
            series,
        }
    }

    /// Returns the type in words.
    pub(super) fn kind(&self) -> &'static str {
        self.kind.as_str_in(self.dialect)
    }

    /// Returns a series as it would be in a query.
    pub(super) fn shown(&self, key: &Key) -> String {
        let labels = key.labels.iter().map(|(name, value)| {
            let name = self.labels.get(name).unwrap_or(name);
            format!("{name}={value:?}")
        });
        let labels: Vec<_> = labels.collect();
        let Key { suffix, .. } = key;
        match labels.is_empty() {
            true => format!("{}{suffix}", self.name),
            false => format!("{}{suffix}{{{}}}", self.name, labels.join(",")),
        }
    }
}

fn identity(sample: &ParsedSample<'_>) -> Vec<(String, String)> {
    let labels = sample.labels_without("").into_iter();
    let mut labels: Vec<_> = labels
        .map(|(name, value)| match value.parse::<f64>() {
            Ok(number) if BOUNDS.contains(&name) => (name.to_owned(), bound(number)),
            _ => (unescaped(name), value.to_owned()),
        })
        .collect();
    labels.sort();
    labels
}

/// Returns the bound of a bucket or a quantile in one form.
fn bound(number: f64) -> String {
    match number {
        f64::INFINITY => "+Inf".to_owned(),
        number => number.to_string(),
    }
}

/// The labels of buckets and quantiles.
const BOUNDS: [&str; 2] = ["le", "quantile"];

const SUFFIXES: [&str; 7] = [
    "_bucket", "_count", "_sum", "_gcount", "_gsum", "_total", "_info",
];
