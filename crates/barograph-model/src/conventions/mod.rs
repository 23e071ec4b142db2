//! The naming conventions of metrics.
//!
//! [`check`] checks a family as it was registered. [`better_name`] and [`unit_in`] are the rules that
//! also hold for the names on a page, where units and `total` are suffixes.

mod finding;
mod unit;
mod name;

use crate::descriptor::{Descriptor, Kind};
use crate::name::denotes_time;

pub use self::finding::{Finding, Rule};
pub use self::name::{UnitWord, better as better_name, unit as unit_in};

/// Checks the name, the unit and the labels of a metric. Each [`Rule`] is a convention of OpenTelemetry
/// or Prometheus.
///
/// ```
/// use barograph_model::conventions::check;
/// use barograph_model::descriptor::{Descriptor, Kind};
///
/// let findings = check(&Descriptor::new("orders_total", Kind::Counter), ["kind"]);
/// assert_eq!(
///     findings[0].to_string(),
///     r#""orders_total": the name of a sum ends in `total`, expected "orders""#,
/// );
/// ```
pub fn check<'a>(
    descriptor: &Descriptor,
    labels: impl IntoIterator<Item = &'a str>,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    let (metric, unit) = (&*descriptor.name, &*descriptor.unit);
    let mut find = |rule, found: &str, expected: String| {
        findings.push(Finding {
            metric: metric.into(),
            rule,
            found: found.into(),
            expected: expected.into(),
        });
    };
    if let Some(better) = name::better(metric) {
        find(Rule::MetricName, metric, better);
    }
    let is_sum = matches!(descriptor.kind, Kind::Counter | Kind::UpDownCounter);
    if let Some(rest) = name::without_total(metric).filter(|_| is_sum) {
        find(Rule::TotalInName, metric, format!("{rest:?}"));
    }
    let is_histogram = descriptor.kind == Kind::Histogram;
    if let Some(found) = name::unit(metric, is_histogram) {
        let expected = format!("{:?} with the unit {:?}", found.rest, found.unit);
        find(Rule::UnitInName, found.word, expected);
    }
    if is_histogram && unit.is_empty() && denotes_time(metric) {
        find(Rule::MissingUnit, "", r#""s""#.to_owned());
    }
    if !unit.is_empty()
        && let Some((rule, expected)) = unit::check(unit)
    {
        find(rule, unit, expected);
    }
    for label in labels {
        if let Some(better) = name::better(label) {
            find(Rule::LabelName, label, better);
        }
    }
    findings
}
