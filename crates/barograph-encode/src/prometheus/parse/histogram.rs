//! The checks of a histogram: its buckets rise and agree with the count and the sum.

use std::collections::BTreeMap;

use super::Dialect;

use super::cursor::number;
use super::family::{FamilyKind, ParsedFamily, ParsedSample};
use super::problem::{PageRule, Problems};

/// The samples of one histogram.
#[derive(Debug, Default)]
struct Metric<'a> {
    /// The line of its first sample.
    line: usize,
    /// The bounds and the counts.
    buckets: Vec<(f64, f64)>,
    count: Option<f64>,
    sum: Option<&'a ParsedSample<'a>>,
}

/// Adds the problems of a histogram's samples.
pub(super) fn check(family: &ParsedFamily<'_>, dialect: Dialect, problems: &mut Problems) {
    type Key<'a> = (Vec<(&'a str, &'a str)>, Option<u64>);
    let mut metrics: BTreeMap<Key<'_>, Metric<'_>> = BTreeMap::new();
    for sample in &family.samples {
        let key = (
            sample.labels_without("le"),
            sample.timestamp.map(f64::to_bits),
        );
        let metric = metrics.entry(key).or_default();
        if metric.line == 0 {
            metric.line = sample.line;
        }
        match &sample.name[family.name.len()..] {
            "_bucket" => match bound(sample, dialect) {
                Ok(bound) => metric.buckets.push((bound, sample.value)),
                Err((found, expected)) => {
                    let place = (sample.line, 1);
                    problems.add(place, PageRule::Histogram, found, expected);
                }
            },
            "_count" | "_gcount" => metric.count = Some(sample.value),
            "_sum" | "_gsum" => metric.sum = Some(sample),
            _ => {}
        }
    }
    for metric in metrics.values() {
        if let Some((found, expected)) = metric.problem(family.kind, dialect) {
            let found = match found.is_empty() {
                true => family.name.to_string(),
                false => found,
            };
            problems.add((metric.line, 1), PageRule::Histogram, &found, expected);
        }
    }
}

/// Returns the bound of a bucket, or what was found and what was expected.
fn bound<'a>(
    sample: &'a ParsedSample<'_>,
    dialect: Dialect,
) -> Result<f64, (&'a str, &'static str)> {
    let Some(text) = sample.label("le") else {
        return Err((&sample.name, "a label le with the bound of the bucket"));
    };
    match number(text) {
        Some(bound) if !bound.is_nan() => {
            let is_float = text.contains(['.', 'e', 'E']) || bound.is_infinite();
            match dialect == Dialect::Text || is_float {
                true => Ok(bound),
                // Scrapers compare bounds as text, so 1 and 1.0 would be two buckets.
                false => Err((text, "a bound that is written as a float, such as 1.0")),
            }
        }
        _ => Err((text, "a number as the bound of a bucket")),
    }
}

impl Metric<'_> {
    /// Returns the first violation: what was found, if it can be shown, and what was expected.
    fn problem(&self, kind: FamilyKind, dialect: Dialect) -> Option<(String, String)> {
        let expected = |text: &str| Some((String::new(), text.to_owned()));
        let is_gauge = kind == FamilyKind::GaugeHistogram;
        for pair in self.buckets.windows(2) {
            let [(low, few), (high, many)] = [pair[0], pair[1]];
            if low >= high {
                let found = format!("le {high} after {low}");
                return Some((found, "bounds that rise".to_owned()));
            }
            if few > many {
                let found = format!("{many} at {high}, and {few} at {low}");
                let expected = "buckets that contain those with lower bounds";
                return Some((found, expected.to_owned()));
            }
        }
        let Some((_, total)) = self
            .buckets
            .last()
            .filter(|(bound, _)| *bound == f64::INFINITY)
        else {
            return expected("a last bucket with the bound +Inf");
        };
        if let Some(count) = self.count.filter(|count| count != total) {
            let found = format!("a count of {count}");
            return Some((found, format!("{total}, as in the bucket +Inf")));
        }
        if self.count.is_none() != self.sum.is_none() {
            let has_sum = self.sum.is_some();
            let missing = if has_sum { "count" } else { "sum" };
            let present = if has_sum { "sum" } else { "count" };
            let is_left_out = dialect == Dialect::OpenMetrics
                && missing == "sum"
                && self.buckets.iter().any(|(bound, _)| *bound < 0.0);
            if !is_left_out {
                return expected(&format!("a {missing} beside the {present}"));
            }
        }
        if self.count.is_none() && dialect == Dialect::Text {
            return expected("a count and a sum beside the buckets");
        }
        let is_negative = self.buckets.iter().any(|(bound, _)| *bound < 0.0);
        if dialect == Dialect::OpenMetrics && !is_gauge && is_negative && self.sum.is_some() {
            return expected("no sum, because a bucket is for negative values");
        }
        None
    }
}
