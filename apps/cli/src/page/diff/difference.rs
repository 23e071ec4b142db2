//! A difference between two pages.

use barograph_model::text::{counted, one_line};
use serde_json::{Value, json};

use crate::report::Paint;

/// A difference between two pages.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Difference {
    pub(super) kind: DifferenceKind,
    /// The name of the family on the first page; on the second if it is only there.
    pub(super) family: String,
    /// The difference in words.
    pub(super) message: String,
    /// The series that differ, if they are listed.
    pub(super) series: Vec<SeriesDifference>,
}

/// The kind of a difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum DifferenceKind {
    /// A page is not valid, so that a part of it is not compared.
    Invalid,
    /// A family is only on the first page.
    Missing,
    /// A family has another name.
    Renamed,
    /// A family has another type.
    Type,
    /// A family has other labels.
    Labels,
    /// A family has other series.
    Series,
    /// A series has another value.
    Value,
    /// A family is only on the second page.
    Added,
}

/// A series that differs: one of the values is `None` if the series is only on the other page.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct SeriesDifference {
    pub(super) series: String,
    pub(super) before: Option<f64>,
    pub(super) after: Option<f64>,
}

impl DifferenceKind {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            DifferenceKind::Invalid => "invalid",
            DifferenceKind::Missing => "missing",
            DifferenceKind::Renamed => "renamed",
            DifferenceKind::Type => "type",
            DifferenceKind::Labels => "labels",
            DifferenceKind::Series => "series",
            DifferenceKind::Value => "value",
            DifferenceKind::Added => "added",
        }
    }
}

impl Difference {
    pub(super) fn new(
        kind: DifferenceKind,
        family: impl Into<String>,
        message: impl Into<String>,
    ) -> Self {
        Difference {
            kind,
            family: family.into(),
            message: message.into(),
            series: Vec::new(),
        }
    }

    /// Returns a line of text, and one for each of the first series.
    pub(super) fn text(&self, paint: Paint) -> String {
        let kind = format!("{:8}", self.kind.as_str());
        let kind = match self.kind {
            DifferenceKind::Invalid | DifferenceKind::Missing => paint.error(&kind),
            DifferenceKind::Added => paint.fine(&kind),
            _ => paint.warning(&kind),
        };
        let Difference {
            family, message, ..
        } = self;
        let line = match message.is_empty() {
            true => family.clone(),
            false => format!("{family}: {message}"),
        };
        let mut text = format!("{kind} {}\n", one_line(&line));
        for series in self.series.iter().take(MOST_SERIES) {
            text += &format!("           {}\n", one_line(&series.text()));
        }
        if let Some(more @ 1..) = self.series.len().checked_sub(MOST_SERIES) {
            let more = counted(more as u64, "more series is", "more series are");
            text += &format!("           {more} listed with --json\n");
        }
        text
    }

    pub(super) fn json(&self) -> Value {
        json!({
            "kind": self.kind.as_str(),
            "family": self.family,
            "message": self.message,
            "series": self.series.iter().map(SeriesDifference::json).collect::<Vec<_>>(),
        })
    }
}

impl SeriesDifference {
    fn text(&self) -> String {
        let series = &self.series;
        match (self.before, self.after) {
            (Some(before), Some(after)) => format!("{series}: {before} -> {after}"),
            (Some(before), None) => format!("- {series} {before}"),
            (None, Some(after)) => format!("+ {series} {after}"),
            (None, None) => series.clone(),
        }
    }

    fn json(&self) -> Value {
        // JSON has no NaN and no infinity.
        let number = |value: Option<f64>| match value {
            Some(value) if !value.is_finite() => json!(value.to_string()),
            value => json!(value),
        };
        json!({
            "series": self.series,
            "before": number(self.before),
            "after": number(self.after),
        })
    }
}

/// The number of series of one difference that the text lists.
const MOST_SERIES: usize = 5;
