//! The checks of one family: its unit, and the values and exemplars of its samples.

use std::collections::HashSet;

use super::Dialect;

use super::cursor::number;
use super::family::{FamilyKind, ParsedFamily, ParsedSample};
use super::histogram;
use super::problem::{PageRule, Problems};

/// Adds the problems of a family.
pub(super) fn check(
    family: &ParsedFamily<'_>,
    unit_line: usize,
    dialect: Dialect,
    problems: &mut Problems,
) {
    if let Some(unit) = &family.unit {
        let has_unit = !matches!(family.kind, FamilyKind::Info | FamilyKind::StateSet);
        if !has_unit {
            let expected = format!(
                "no unit: this is of type {}",
                family.kind.as_str_in(dialect)
            );
            problems.add((unit_line, 1), PageRule::Unit, unit, expected);
        } else if unit.is_empty() || !family.name.ends_with(&format!("_{unit}")) {
            let expected = format!("a unit that the name {:?} ends with, after _", family.name);
            problems.add((unit_line, 1), PageRule::Unit, unit, expected);
        }
    }
    for sample in &family.samples {
        let suffix = &sample.name[family.name.len()..];
        check_value(family, sample, suffix, dialect, problems);
        check_exemplar(sample, suffix, problems);
    }
    if dialect == Dialect::OpenMetrics {
        check_grouping(family, problems);
    }
    match family.kind {
        FamilyKind::Histogram | FamilyKind::GaugeHistogram => {
            histogram::check(family, dialect, problems);
        }
        FamilyKind::Summary => check_quantiles(family, problems),
        _ => {}
    }
}

fn check_value(
    family: &ParsedFamily<'_>,
    sample: &ParsedSample<'_>,
    suffix: &str,
    dialect: Dialect,
    problems: &mut Problems,
) {
    let value = sample.value;
    let is_count = match (family.kind, suffix) {
        (FamilyKind::Counter, "_created") => false,
        (FamilyKind::Counter, _) => true,
        (FamilyKind::Histogram | FamilyKind::Summary, "_sum") => dialect == Dialect::OpenMetrics,
        (_, "_bucket" | "_count" | "_gcount") => family.kind != FamilyKind::Unknown,
        _ => false,
    };
    let expected = match family.kind {
        _ if is_count && (value.is_nan() || value < 0.0) => "a number from 0: this is a count",
        FamilyKind::Info if value != 1.0 => "1, the value of every info",
        FamilyKind::StateSet if value != 0.0 && value != 1.0 => "0 or 1, the values of a state",
        FamilyKind::StateSet if sample.label(&family.name).is_none() => {
            "a label with the name of the family, whose value is the state"
        }
        _ => return,
    };
    let found = format!("{} {value}", sample.name);
    problems.add((sample.line, 1), PageRule::Value, &found, expected);
}

fn check_exemplar(sample: &ParsedSample<'_>, suffix: &str, problems: &mut Problems) {
    let Some(exemplar) = &sample.exemplar else {
        return;
    };
    let mut add = |found: &str, expected: String| {
        problems.add((sample.line, 1), PageRule::Exemplar, found, expected);
    };
    if !matches!(suffix, "_total" | "_bucket") {
        let expected = "exemplars of counters and buckets only";
        return add(&sample.name, expected.to_owned());
    }
    let lengths = exemplar.labels.iter();
    let lengths = lengths.map(|(name, value)| name.chars().count() + value.chars().count());
    let length: usize = lengths.sum();
    if length > MAX_EXEMPLAR {
        let expected = format!("{MAX_EXEMPLAR} characters at most in the labels of an exemplar");
        add(&format!("{length} characters"), expected);
    }
    let bound = sample.label("le").and_then(number);
    if let Some(bound) = bound.filter(|_| suffix == "_bucket")
        && (exemplar.value.is_nan() || exemplar.value > bound)
    {
        let expected = format!("an exemplar of at most {bound}, the bound of its bucket");
        add(&exemplar.value.to_string(), expected);
    }
}

/// Reports metrics whose samples are not together.
fn check_grouping(family: &ParsedFamily<'_>, problems: &mut Problems) {
    let own = match family.kind {
        FamilyKind::Histogram | FamilyKind::GaugeHistogram => "le",
        FamilyKind::Summary => "quantile",
        FamilyKind::StateSet => &family.name,
        _ => "",
    };
    let (mut seen, mut last) = (HashSet::new(), None);
    for sample in &family.samples {
        let metric = sample.labels_without(own);
        if last.as_ref() == Some(&metric) {
            continue;
        }
        if !seen.insert(metric.clone()) {
            let expected = "all lines of a metric, those with the same labels, together";
            problems.add((sample.line, 1), PageRule::Grouping, &sample.name, expected);
            return;
        }
        last = Some(metric);
    }
}

fn check_quantiles(family: &ParsedFamily<'_>, problems: &mut Problems) {
    let quantiles = family
        .samples
        .iter()
        .filter(|sample| sample.name == family.name);
    for sample in quantiles {
        let quantile = sample.label("quantile");
        let is_one = |quantile: f64| (0.0..=1.0).contains(&quantile);
        if !quantile.and_then(number).is_some_and(is_one) {
            let found = quantile.unwrap_or(&sample.name);
            let expected = "a label quantile with a number from 0 to 1";
            problems.add((sample.line, 1), PageRule::Summary, found, expected);
        }
    }
}

/// The maximum number of characters of an exemplar's labels.
///
/// Source: OpenMetrics 1.0, "Exemplars".
const MAX_EXEMPLAR: usize = 128;
