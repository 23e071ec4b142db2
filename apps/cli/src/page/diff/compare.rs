//! Compares two families that are taken for the same.

use std::collections::{BTreeMap, BTreeSet};

use barograph_encode::prometheus::parse::FamilyKind;
use barograph_model::text::counted;

use super::difference::{Difference, DifferenceKind, SeriesDifference};
use super::family::{Family, Key};
use super::pairs::{Evidence, Pair};
use crate::arguments::Tolerance;

/// The way in which values are compared.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Values {
    /// They may differ by this much.
    Within(Tolerance),
    /// They are not compared.
    Ignored,
}

/// Adds the differences of a pair.
pub(super) fn compare(pair: Pair<'_>, values: Values, differences: &mut Vec<Difference>) {
    let Pair { before, after, by } = pair;
    let mut add = |kind, message: String, series| {
        let mut difference = Difference::new(kind, before.name.clone(), message);
        difference.series = series;
        differences.push(difference);
    };
    match by {
        Evidence::Name => {}
        Evidence::Stem => {
            let message = format!("{}, by the rules for suffixes and escapes", after.name);
            add(DifferenceKind::Renamed, message, Vec::new());
        }
        Evidence::Contents => {
            let message = format!("{}, which has the same labels and values", after.name);
            add(DifferenceKind::Renamed, message, Vec::new());
        }
    }
    if !is_same_kind(before, after) {
        let message = format!("{} -> {}", before.kind(), after.kind());
        add(DifferenceKind::Type, message, Vec::new());
    }
    let common = common_labels(before, after);
    let changes = label_changes(before, after);
    let (Some(old), Some(new)) = (projected(before, &common), projected(after, &common)) else {
        let message = format!("{changes}; too many changed for the values to be compared");
        return add(DifferenceKind::Labels, message, Vec::new());
    };
    if !changes.is_empty() {
        add(DifferenceKind::Labels, changes, Vec::new());
    }
    let (mut series, mut changed) = (Vec::new(), Vec::new());
    for (key, (own, value)) in &old {
        let shown = || before.shown(own);
        match new.get(key) {
            None => series.push(SeriesDifference {
                series: shown(),
                before: Some(*value),
                after: None,
            }),
            Some((_, now)) if !values.are_equal(*value, *now) => changed.push(SeriesDifference {
                series: shown(),
                before: Some(*value),
                after: Some(*now),
            }),
            Some(_) => {}
        }
    }
    let missing = series.len();
    let fresh = new.iter().filter(|(key, _)| !old.contains_key(*key));
    series.extend(fresh.map(|(_, (own, value))| SeriesDifference {
        series: after.shown(own),
        before: None,
        after: Some(*value),
    }));
    if !series.is_empty() {
        let added = series.len() - missing;
        let message = match (missing, added) {
            (_, 0) => format!("{missing} missing"),
            (0, _) => format!("{added} added"),
            _ => format!("{missing} missing, {added} added"),
        };
        add(DifferenceKind::Series, message, series);
    }
    if !changed.is_empty() {
        let count = counted(
            changed.len() as u64,
            "series has another value",
            "series have other values",
        );
        add(DifferenceKind::Value, count.to_string(), changed);
    }
}

impl Values {
    fn are_equal(self, before: f64, after: f64) -> bool {
        match self {
            Values::Ignored => true,
            Values::Within(_) if before == after || before.is_nan() && after.is_nan() => true,
            // The difference from an infinity is one too, or no number.
            Values::Within(_) if !before.is_finite() || !after.is_finite() => false,
            Values::Within(Tolerance::Absolute(most)) => (before - after).abs() <= most,
            Values::Within(Tolerance::Relative(ratio)) => {
                (before - after).abs() <= ratio * before.abs().max(after.abs())
            }
        }
    }
}

/// Returns true if two types are the same, or one of them has no equivalent in the other format.
fn is_same_kind(before: &Family, after: &Family) -> bool {
    let plain = |kind| match kind {
        FamilyKind::Info | FamilyKind::StateSet => FamilyKind::Gauge,
        FamilyKind::GaugeHistogram => FamilyKind::Histogram,
        kind => kind,
    };
    match before.dialect == after.dialect {
        true => before.kind == after.kind,
        false => plain(before.kind) == plain(after.kind),
    }
}

/// Returns the labels that both families have. One without series has all of them.
fn common_labels<'a>(before: &'a Family, after: &'a Family) -> BTreeSet<&'a str> {
    let of = |family: &'a Family| family.labels.keys().map(|label| &**label);
    match (before.series.is_empty(), after.series.is_empty()) {
        (true, _) => of(after).collect(),
        (_, true) => of(before).collect(),
        _ => of(before)
            .filter(|label| after.labels.contains_key(*label))
            .collect(),
    }
}

/// Returns the changes of labels in words; empty if there are none.
fn label_changes(before: &Family, after: &Family) -> String {
    let only = |one: &Family, other: &Family| -> Vec<String> {
        let labels = one.labels.iter();
        let labels = labels.filter(|(plain, _)| !other.labels.contains_key(*plain));
        labels.map(|(_, label)| label.clone()).collect()
    };
    if before.series.is_empty() || after.series.is_empty() {
        return String::new();
    }
    let mut changes = Vec::new();
    let (gone, fresh) = (only(before, after), only(after, before));
    if !gone.is_empty() {
        changes.push(format!("without {}", gone.join(", ")));
    }
    if !fresh.is_empty() {
        changes.push(format!("with {}", fresh.join(", ")));
    }
    for (plain, label) in &before.labels {
        if let Some(now) = after.labels.get(plain).filter(|now| *now != label) {
            changes.push(format!("{label} -> {now}"));
        }
    }
    changes.join(", ")
}

/// Returns the series by their common labels, each with its own key; `None` if two have the same.
fn projected<'a>(
    family: &'a Family,
    common: &BTreeSet<&str>,
) -> Option<BTreeMap<Key, (&'a Key, f64)>> {
    let is_kept = |(name, _): &&(String, String)| {
        common.contains(&**name) || matches!(&**name, "le" | "quantile")
    };
    let mut projected = BTreeMap::new();
    for (key, value) in &family.series {
        let common = Key {
            suffix: key.suffix,
            labels: key.labels.iter().filter(is_kept).cloned().collect(),
        };
        if projected.insert(common, (key, *value)).is_some() {
            return None;
        }
    }
    Some(projected)
}
