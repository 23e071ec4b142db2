//! The samples of a page in a comparable form: the value and the exemplar of each series.

use std::collections::BTreeMap;

/// The value of each series, and its exemplar if there is one.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Samples {
    /// The values by series, which are written as on a page with sorted labels. Values are text, so
    /// that a `NaN` equals itself.
    pub values: BTreeMap<String, String>,
    /// The exemplars by series: trace id, span id and value.
    pub exemplars: BTreeMap<String, (String, String, String)>,
}

impl Samples {
    /// Parses a page in text 0.0.4 or OpenMetrics, with names in the legacy character set.
    ///
    /// # Panics
    ///
    /// Panics if a line is not valid on such a page.
    pub fn of_page(page: &str) -> Self {
        let mut samples = Self::default();
        for line in page.lines().filter(|line| !line.starts_with('#')) {
            samples
                .read(line)
                .unwrap_or_else(|| panic!("expected a sample, got the line {line}"));
        }
        samples
    }

    /// Adds a value.
    ///
    /// # Panics
    ///
    /// Panics if the series already has one.
    pub fn put(&mut self, name: &str, labels: &BTreeMap<String, String>, value: f64) {
        let series = series(name, labels);
        let known = self.values.insert(series, value.to_string());
        assert_eq!(known, None, "{name}{labels:?} is there twice");
    }

    /// Adds an exemplar.
    pub fn put_exemplar(
        &mut self,
        name: &str,
        labels: &BTreeMap<String, String>,
        (trace_id, span_id, value): (&str, &str, f64),
    ) {
        let exemplar = (trace_id.to_owned(), span_id.to_owned(), value.to_string());
        self.exemplars.insert(series(name, labels), exemplar);
    }

    /// Removes what differs between two readings although nothing was recorded: process metrics,
    /// the library's own metrics, and `target_info`, which is pushed as a resource.
    pub fn without_volatile(mut self) -> Self {
        const VOLATILE: [&str; 4] = ["process_", "barograph_", "otel_sdk_", "target_info"];
        let stays = |series: &str| !VOLATILE.iter().any(|name| series.starts_with(name));
        self.values.retain(|series, _| stays(series));
        self.exemplars.retain(|series, _| stays(series));
        self
    }

    /// The value of a series.
    pub fn value(&self, series: &str) -> Option<f64> {
        self.values.get(series)?.parse().ok()
    }

    /// The sum of the samples with this name over all series.
    pub fn sum(&self, name: &str) -> f64 {
        let of = |series: &str| series == name || series.starts_with(&format!("{name}{{"));
        let values = self.values.iter().filter(|(series, _)| of(series));
        values
            .filter_map(|(_, value)| value.parse::<f64>().ok())
            .sum()
    }

    /// Returns the differences between two readings, one line each.
    pub fn differences(&self, other: &Self) -> Vec<String> {
        let mut differences = compared(&self.values, &other.values, "");
        differences.extend(compared(&self.exemplars, &other.exemplars, "exemplar of "));
        differences
    }

    /// Checks that two readings are equal.
    ///
    /// # Panics
    ///
    /// Panics with the first differences if they are not.
    #[track_caller]
    pub fn check_same(&self, other: &Self, what: &str) {
        let differences = self.differences(other);
        let first = &differences[..differences.len().min(10)];
        assert!(
            differences.is_empty(),
            "{what}: {} differences: {first:#?}",
            differences.len()
        );
    }

    fn read(&mut self, line: &str) -> Option<()> {
        let (line, exemplar) = match line.split_once(" # ") {
            Some((line, exemplar)) => (line, Some(exemplar)),
            None => (line, None),
        };
        let (name, labels, value) = split(line)?;
        self.put(name, &labels, value);
        if let Some(exemplar) = exemplar {
            let (_, ids, value) = split(exemplar)?;
            let id = |name: &str| ids.get(name).map_or("", String::as_str);
            self.put_exemplar(name, &labels, (id("trace_id"), id("span_id"), value));
        }
        Some(())
    }
}

/// Returns the name, the labels and the value, which end at a timestamp or at the end of the line.
fn split(line: &str) -> Option<(&str, BTreeMap<String, String>, f64)> {
    let end = line.find(['{', ' '])?;
    let (name, mut rest) = line.split_at(end);
    let mut labels = BTreeMap::new();
    if let Some(inside) = rest.strip_prefix('{') {
        rest = inside;
        while let Some((key, value)) = rest.split_once("=\"") {
            if rest.starts_with('}') {
                break;
            }
            let (value, after) = quoted(value)?;
            let value = match key {
                "le" => value
                    .replace("+Inf", "inf")
                    .parse::<f64>()
                    .ok()?
                    .to_string(),
                _ => value,
            };
            labels.insert(key.to_owned(), value);
            rest = after.strip_prefix(',').unwrap_or(after);
        }
        rest = rest.strip_prefix('}')?;
    }
    let value = rest.split_ascii_whitespace().next()?;
    Some((name, labels, value.parse().ok()?))
}

/// Returns a bucket bound in normalized form.
///
/// # Panics
///
/// Panics if the text is not a number.
pub fn bound(text: &str) -> String {
    let bound = text.replace("Inf", "inf").parse::<f64>();
    bound.expect("a bound is a number").to_string()
}

/// Returns the text up to the closing quote, and the rest.
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut letters = text.char_indices();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '"' => return Some((value, &text[at + 1..])),
            '\\' => value.push(match letters.next()?.1 {
                'n' => '\n',
                other => other,
            }),
            other => value.push(other),
        }
    }
    None
}

fn series(name: &str, labels: &BTreeMap<String, String>) -> String {
    let labels: Vec<String> = labels
        .iter()
        .map(|(name, value)| format!("{name}={value:?}"))
        .collect();
    match labels.is_empty() {
        true => name.to_owned(),
        false => format!("{name}{{{}}}", labels.join(",")),
    }
}

fn compared<V: PartialEq + std::fmt::Debug>(
    one: &BTreeMap<String, V>,
    other: &BTreeMap<String, V>,
    what: &str,
) -> Vec<String> {
    let both = one
        .keys()
        .chain(other.keys().filter(|key| !one.contains_key(*key)));
    both.filter(|key| one.get(*key) != other.get(*key))
        .map(|key| format!("{what}{key}: {:?} and {:?}", one.get(key), other.get(key)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = r#"# TYPE orders counter
orders_total{kind="a\\b\n\"c\"",at="x"} 3 # {trace_id="0a",span_id="0b"} 1 1700000000.5
wait_seconds_bucket{le="1.048576e+06"} 1
wait_seconds_bucket{le="+Inf"} 2 1700000000
load NaN
# EOF
"#;

    #[test]
    fn a_page_is_read_with_its_exemplars() {
        let samples = Samples::of_page(PAGE);
        let orders = r#"orders_total{at="x",kind="a\\b\n\"c\""}"#;
        assert_eq!(samples.value(orders), Some(3.0));
        assert_eq!(samples.sum("orders_total"), 3.0);
        let exemplar = ("0a".to_owned(), "0b".to_owned(), "1".to_owned());
        assert_eq!(samples.exemplars.get(orders), Some(&exemplar));
        assert_eq!(
            samples.value(r#"wait_seconds_bucket{le="1048576"}"#),
            Some(1.0)
        );
        assert_eq!(samples.value(r#"wait_seconds_bucket{le="inf"}"#), Some(2.0));
        assert_eq!(samples.values.len(), 4);
    }

    #[test]
    fn every_difference_is_named() {
        let one = Samples::of_page(PAGE);
        assert_eq!(one.differences(&one), Vec::<String>::new());
        for (taken, put) in [
            ("} 3 #", "} 4 #"),
            ("0b", "0c"),
            ("load NaN", "load 1"),
            ("load NaN\n", ""),
            ("load NaN", "load NaN\nmore 1"),
        ] {
            let other = Samples::of_page(&PAGE.replace(taken, put));
            assert_eq!(one.differences(&other).len(), 1, "{put}");
        }
    }
}
