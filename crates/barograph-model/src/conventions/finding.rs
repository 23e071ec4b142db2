//! A name or unit that does not follow the conventions.

use std::fmt;

/// A name or unit of a metric that does not follow the naming conventions.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Finding {
    /// The name of the metric.
    pub metric: Box<str>,
    /// The rule that it breaks.
    pub rule: Rule,
    /// The name, label or unit that breaks it; empty if one is missing.
    pub found: Box<str>,
    /// The name, label or unit that was expected, or a description of it.
    pub expected: Box<str>,
}

/// `"orders_total": the name of a sum ends in "total", expected "orders"`.
impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.metric, self.rule)?;
        if !self.found.is_empty() && self.found != self.metric {
            write!(f, " {:?}", self.found)?;
        }
        write!(f, ", expected {}", self.expected)
    }
}

/// A rule of the naming conventions.
///
/// Sources: OpenTelemetry semantic conventions 1.44, "Naming" and "Metrics semantic conventions";
/// Prometheus, "Metric and label naming".
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Rule {
    /// The name of a metric consists of lower-case words, digits, `.` and `_`.
    MetricName,
    /// The name of a label does so, too.
    LabelName,
    /// A counter's name does not end in `total`: encoders add that where it belongs.
    TotalInName,
    /// The name does not contain the unit: encoders add that, too.
    UnitInName,
    /// A histogram whose name denotes a time has a unit, because it decides about the buckets.
    MissingUnit,
    /// The unit is in UCUM: `s`, `By`, `{request}`.
    UnitSyntax,
    /// The unit is a base unit: `s` and not `ms`, `By` and not `KiBy`, `1` and not `%`.
    BaseUnit,
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Rule::MetricName => "the name has other characters than a-z, 0-9, `.` and `_`",
            Rule::LabelName => {
                "the name of a label has other characters than a-z, 0-9, `.` and `_`:"
            }
            Rule::TotalInName => "the name of a sum ends in `total`",
            Rule::UnitInName => "the name contains a unit",
            Rule::MissingUnit => "the name denotes a time, and there is no unit",
            Rule::UnitSyntax => "the unit is not in UCUM:",
            Rule::BaseUnit => "the unit is not a base unit:",
        })
    }
}
