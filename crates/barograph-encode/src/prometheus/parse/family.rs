//! The contents of a page: families with their samples.

use std::borrow::Cow;

use super::{Dialect, PageProblem};

/// The contents of a page.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ParsedPage<'a> {
    /// The format that it was parsed in.
    pub dialect: Dialect,
    /// The families, in the order of the page.
    pub families: Vec<ParsedFamily<'a>>,
    /// The violations of the format, in the order of their lines.
    pub problems: Vec<PageProblem>,
    /// The number of further violations, which are not in `problems`.
    pub more_problems: usize,
    /// The first line with a quoted name, which only scrapers with UTF-8 support accept.
    pub quoted_name: Option<usize>,
}

impl ParsedPage<'_> {
    /// Returns true if there is no violation of the format.
    pub fn is_valid(&self) -> bool {
        self.problems.is_empty()
    }

    /// Returns the number of samples.
    pub fn sample_count(&self) -> usize {
        self.families
            .iter()
            .map(|family| family.samples.len())
            .sum()
    }
}

/// A family of series.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ParsedFamily<'a> {
    /// The name in its `TYPE` line; that of its samples if there is none.
    pub name: Cow<'a, str>,
    /// The type; `Unknown` if there is no `TYPE` line.
    pub kind: FamilyKind,
    /// The help text, if there is a `HELP` line.
    pub help: Option<Cow<'a, str>>,
    /// The unit, if there is a `UNIT` line.
    pub unit: Option<Cow<'a, str>>,
    /// The number of its first line, from 1.
    pub line: usize,
    /// The samples, in the order of the page.
    pub samples: Vec<ParsedSample<'a>>,
}

/// A line with a value.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ParsedSample<'a> {
    /// The number of its line, from 1.
    pub line: usize,
    /// The name, with its suffix.
    pub name: Cow<'a, str>,
    /// Names and values of labels, in the order of the page.
    pub labels: Vec<(Cow<'a, str>, Cow<'a, str>)>,
    /// The value.
    pub value: f64,
    /// The timestamp in seconds since 1970.
    pub timestamp: Option<f64>,
    /// The exemplar.
    pub exemplar: Option<ParsedExemplar<'a>>,
}

impl ParsedSample<'_> {
    /// Returns the value of a label.
    pub fn label(&self, name: &str) -> Option<&str> {
        let found = self.labels.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| &**value)
    }

    /// Returns the labels that identify its series apart from one of them, sorted by name. Labels with an
    /// empty value are left out: scrapers drop them.
    pub fn labels_without(&self, left_out: &str) -> Vec<(&str, &str)> {
        let labels = self.labels.iter().map(|(name, value)| (&**name, &**value));
        let mut labels: Vec<_> = labels
            .filter(|(name, value)| *name != left_out && !value.is_empty())
            .collect();
        labels.sort_unstable();
        labels
    }
}

/// An exemplar of a sample.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ParsedExemplar<'a> {
    /// Names and values of its labels.
    pub labels: Vec<(Cow<'a, str>, Cow<'a, str>)>,
    /// The value that was measured.
    pub value: f64,
    /// The timestamp in seconds since 1970.
    pub timestamp: Option<f64>,
}

/// The type of a family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FamilyKind {
    /// A sum that only grows.
    Counter,
    /// A current value.
    Gauge,
    /// Observations counted in buckets.
    Histogram,
    /// A histogram of current values, in OpenMetrics.
    GaugeHistogram,
    /// Quantiles that the service computed.
    Summary,
    /// Facts as labels, in OpenMetrics.
    Info,
    /// States that are on or off, in OpenMetrics.
    StateSet,
    /// No type: `untyped` in text, `unknown` in OpenMetrics.
    Unknown,
}

impl FamilyKind {
    pub(super) fn parse(text: &str, dialect: Dialect) -> Option<Self> {
        let kinds = Self::of_dialect(dialect).iter().copied();
        kinds
            .into_iter()
            .find(|kind| kind.as_str_in(dialect) == text)
    }

    /// Returns its name in a `TYPE` line.
    pub fn as_str_in(self, dialect: Dialect) -> &'static str {
        match (self, dialect) {
            (FamilyKind::Counter, _) => "counter",
            (FamilyKind::Gauge, _) => "gauge",
            (FamilyKind::Histogram, _) => "histogram",
            (FamilyKind::GaugeHistogram, _) => "gaugehistogram",
            (FamilyKind::Summary, _) => "summary",
            (FamilyKind::Info, _) => "info",
            (FamilyKind::StateSet, _) => "stateset",
            (FamilyKind::Unknown, Dialect::Text) => "untyped",
            (FamilyKind::Unknown, Dialect::OpenMetrics) => "unknown",
        }
    }

    pub(super) fn of_dialect(dialect: Dialect) -> &'static [FamilyKind] {
        use FamilyKind::*;
        match dialect {
            Dialect::Text => &[Counter, Gauge, Histogram, Summary, Unknown],
            Dialect::OpenMetrics => &[
                Counter,
                Gauge,
                Histogram,
                GaugeHistogram,
                Summary,
                Info,
                StateSet,
                Unknown,
            ],
        }
    }

    /// Returns what the names of its samples have after the name of the family.
    pub fn suffixes(self, dialect: Dialect) -> &'static [&'static str] {
        match (self, dialect) {
            (FamilyKind::Histogram, Dialect::Text) => &["_bucket", "_sum", "_count"],
            (FamilyKind::Summary, Dialect::Text) => &["", "_sum", "_count"],
            (_, Dialect::Text) => &[""],
            (FamilyKind::Counter, _) => &["_total", "_created"],
            (FamilyKind::Histogram, _) => &["_bucket", "_sum", "_count", "_created"],
            (FamilyKind::GaugeHistogram, _) => &["_bucket", "_gsum", "_gcount"],
            (FamilyKind::Summary, _) => &["", "_sum", "_count", "_created"],
            (FamilyKind::Info, _) => &["_info"],
            (FamilyKind::Gauge | FamilyKind::StateSet | FamilyKind::Unknown, _) => &[""],
        }
    }
}
