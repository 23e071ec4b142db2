//! The naming conventions of metrics, checked on what a capture has.

use std::collections::BTreeSet;

use barograph_model::conventions::{Finding, check};
use barograph_model::snapshot::Source;

use super::capture::Capture;

impl Capture {
    /// Checks that the names, labels and units of all captured metrics follow the conventions of
    /// OpenTelemetry. Each [`Rule`](super::Rule) is one of them.
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
            findings.extend(check(&descriptor, labels.iter().map(|label| &**label)));
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
