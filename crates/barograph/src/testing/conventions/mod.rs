//! The naming conventions of metrics, checked on what a capture has.

mod finding;
mod unit;
mod name;

use std::collections::BTreeSet;

use barograph_model::descriptor::{Descriptor, Kind};
use barograph_model::name::denotes_time;
use barograph_model::snapshot::Source;

pub use self::finding::{Finding, Rule};
use super::capture::Capture;

impl Capture {
    /// Checks that the names, labels and units of all captured metrics follow the conventions of
    /// OpenTelemetry. Each [`Rule`] is one of them.
    ///
    /// Metrics are checked even if they have no series. A metric without a help text is fine.
    ///
    /// ```
    /// use barograph::testing::Capture;
    /// use barograph::counter;
    ///
    /// let capture = Capture::new();
    /// capture.run(|| counter!("orders_total").inc());
    /// let findings = capture.check_conventions();
    /// assert_eq!(
    ///     findings[0].to_string(),
    ///     r#""orders_total": the name of a sum ends in `total`, expected "orders""#,
    /// );
    /// ```
    pub fn check_conventions(&self) -> Vec<Finding> {
        let mut findings = Vec::new();
        for family in self.registry().collect() {
            let descriptor = family.descriptor();
            let mut labels: BTreeSet<Box<str>> = descriptor.label_names.iter().cloned().collect();
            let constant = descriptor.constant_labels.iter();
            labels.extend(constant.map(|(label, _)| label.clone()));
            let mut from = Some(0);
            while let Some(cursor) = from {
                from = family.read(cursor, &mut |point| {
                    labels.extend(point.labels.iter().map(|(label, _)| Box::from(label)));
                });
            }
            check(&descriptor, &labels, &mut findings);
        }
        findings
    }

    /// Asserts that the names, labels and units of all captured metrics follow the conventions of
    /// OpenTelemetry: that [`check_conventions`](Self::check_conventions) finds nothing.
    ///
    /// # Panics
    /// If there are findings, with a line for each.
    #[track_caller]
    pub fn assert_conventions(&self) {
        let findings = self.check_conventions();
        if !findings.is_empty() {
            let lines = findings.iter().map(|finding| format!("\n  {finding}"));
            let lines: String = lines.collect();
            panic!("metrics do not follow the naming conventions:{lines}");
        }
    }
}

fn check(descriptor: &Descriptor, labels: &BTreeSet<Box<str>>, findings: &mut Vec<Finding>) {
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
    if let Some((word, rest, unit)) = name::unit(metric, is_histogram) {
        let expected = format!("{rest:?} with the unit {unit:?}");
        find(Rule::UnitInName, word, expected);
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
}

#[cfg(test)]
mod tests {
    use barograph_core::registry::Registry;

    use super::*;

    fn findings(register: impl FnOnce(&Registry)) -> Vec<String> {
        let capture = Capture::new();
        register(capture.registry());
        let findings = capture.check_conventions();
        findings.iter().map(Finding::to_string).collect()
    }

    #[test]
    fn names_that_follow_the_conventions_are_not_found() {
        let found = findings(|registry| {
            let orders = registry.counter("shop.orders").with_unit("{order}");
            orders
                .build_with_label_names(["http.route", "kind"])
                .unwrap();
            let time = registry.histogram("shop.order.duration").with_unit("s");
            time.build().unwrap();
            registry.gauge("shop.orders_open").build().unwrap();
            registry.gauge("time").build().unwrap();
        });
        assert_eq!(found, [""; 0]);
    }

    #[test]
    fn each_finding_names_the_metric_the_rule_and_what_was_expected() {
        let found = findings(|registry| {
            registry.counter("orders_total").build().unwrap();
            registry.up_down_counter("open.total").build().unwrap();
            registry.gauge("area.total").build().unwrap();
            let wait = registry.histogram("order.wait_ms").with_unit("ms");
            wait.build().unwrap();
            registry.histogram("order.duration").build().unwrap();
            let size = registry.histogram("order.size").with_unit("bytes");
            size.build_with_label_names(["Kind"]).unwrap();
            let any = registry
                .gauge("orderCount")
                .build_with_any_labels()
                .unwrap();
            any.with(&[("zone-name", "a")]).set(1.0);
        });
        let expected = [
            r#""orders_total": the name of a sum ends in `total`, expected "orders""#,
            r#""open.total": the name of a sum ends in `total`, expected "open""#,
            r#""order.wait_ms": the name contains a unit "ms", expected "order.wait" with the unit "s""#,
            r#""order.wait_ms": the unit is not a base unit: "ms", expected "s""#,
            r#""order.duration": the name denotes a time, and there is no unit, expected "s""#,
            r#""order.size": the unit is not in UCUM: "bytes", expected "By""#,
            r#""order.size": the name of a label has other characters than a-z, 0-9, `.` and `_`: "Kind", expected "kind""#,
            r#""orderCount": the name has other characters than a-z, 0-9, `.` and `_`, expected "order_count""#,
            r#""orderCount": the name of a label has other characters than a-z, 0-9, `.` and `_`: "zone-name", expected "zone_name""#,
        ];
        assert_eq!(found, expected);
    }

    #[test]
    #[should_panic(expected = r#"conventions:
  "orders_total": the name"#)]
    fn the_assertion_panics_with_the_findings() {
        let capture = Capture::new();
        capture.registry().counter("orders_total").build().unwrap();
        capture.assert_conventions();
    }
}
