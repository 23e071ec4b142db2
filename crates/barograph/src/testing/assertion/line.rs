//! A line of captured telemetry, and the match of an expected line with it.

use std::fmt;

use super::text;

/// One item of captured telemetry.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Line {
    /// The number of spans around it.
    pub(super) depth: usize,
    parts: Vec<Part>,
}

/// A part of a line.
#[derive(Clone, Debug, PartialEq)]
enum Part {
    /// Text that is expected as it is.
    Fixed(String),
    /// Text for which `*` may be expected.
    Value(String),
    /// Labels or attributes with their values, sorted.
    Fields(Vec<(String, String)>),
}

impl Line {
    pub(super) fn new(depth: usize) -> Self {
        Line {
            depth,
            parts: Vec::new(),
        }
    }

    pub(super) fn fixed(mut self, text: impl Into<String>) -> Self {
        self.parts.push(Part::Fixed(text.into()));
        self
    }

    pub(super) fn value(mut self, text: impl Into<String>) -> Self {
        self.parts.push(Part::Value(text.into()));
        self
    }

    /// Adds ` name=value`.
    pub(super) fn named(self, name: &str, value: impl Into<String>) -> Self {
        self.fixed(format!(" {name}=")).value(value)
    }

    /// Adds fields, which need not be sorted.
    pub(super) fn fields(mut self, fields: impl IntoIterator<Item = (String, String)>) -> Self {
        let mut fields: Vec<_> = fields.into_iter().collect();
        fields.sort_unstable();
        self.parts.push(Part::Fields(fields));
        self
    }

    /// Returns true if the line is what is expected: `expected` is without indentation.
    pub(super) fn matches(&self, expected: &str) -> bool {
        matches(&self.parts, expected)
    }

    /// Returns the number of parts at the beginning that are as expected.
    pub(super) fn similarity(&self, expected: &str) -> usize {
        let begins = |count: &usize| begins(&self.parts[..*count], expected);
        (1..=self.parts.len()).take_while(begins).count()
    }
}

fn matches(parts: &[Part], expected: &str) -> bool {
    is_match(parts, expected, str::is_empty)
}

fn begins(parts: &[Part], expected: &str) -> bool {
    is_match(parts, expected, |_| true)
}

/// Returns true if the text begins with these parts, and may end as it does.
fn is_match(parts: &[Part], expected: &str, may_end: fn(&str) -> bool) -> bool {
    let Some((part, others)) = parts.split_first() else {
        return may_end(expected);
    };
    let matches_after =
        |rest: Option<&str>| rest.is_some_and(|rest| is_match(others, rest, may_end));
    match part {
        Part::Fixed(text) => matches_after(expected.strip_prefix(text.as_str())),
        // A name may begin with `*` itself.
        Part::Value(text) => {
            matches_after(expected.strip_prefix(text.as_str()))
                || matches_after(expected.strip_prefix('*'))
        }
        Part::Fields(fields) => matches_after(after_fields(expected, fields)),
    }
}

/// Writes the line with its indentation.
impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:1$}", "", self.depth * INDENT)?;
        for part in &self.parts {
            match part {
                Part::Fixed(text) | Part::Value(text) => f.write_str(text)?,
                Part::Fields(fields) => f.write_str(&text::braces(fields))?,
            }
        }
        Ok(())
    }
}

/// The number of spaces for each span around a line.
pub(super) const INDENT: usize = 2;

/// Returns what follows the expected fields, if they are these.
fn after_fields<'a>(expected: &'a str, fields: &[(String, String)]) -> Option<&'a str> {
    let mut rest = expected.strip_prefix('{')?;
    let mut seen: Vec<&str> = Vec::new();
    let mut may_have_more = false;
    loop {
        rest = rest.trim_start();
        if let Some(after) = rest.strip_prefix('}') {
            let is_all = may_have_more || seen.len() == fields.len();
            return is_all.then_some(after);
        }
        if may_have_more {
            return None;
        }
        if let Some(after) = rest.strip_prefix("..") {
            (may_have_more, rest) = (true, after);
            continue;
        }
        let (key, value, after) = text::field(rest)?;
        let is_there =
            |(k, v): &(String, String)| text::key(k) == key && (value == "*" || v == value);
        if seen.contains(&key) || !fields.iter().any(is_there) {
            return None;
        }
        seen.push(key);
        rest = after.trim_start();
        rest = match rest.strip_prefix(',') {
            Some(after) => after,
            None if rest.starts_with('}') => rest,
            None => return None,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(fields: &[(&str, &str)]) -> Vec<(String, String)> {
        let owned = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
        fields.iter().map(owned).collect()
    }

    fn histogram() -> Line {
        let labels = fields(&[("region", r#""eu""#), ("kind", r#""web, \"a\" }""#)]);
        Line::new(1)
            .fixed("histogram order.duration")
            .fields(labels)
            .named("count", "12")
            .named("sum", "0.25")
    }

    #[test]
    fn a_line_is_written_with_its_indentation_and_sorted_fields() {
        assert_eq!(
            histogram().to_string(),
            r#"  histogram order.duration{kind="web, \"a\" }", region="eu"} count=12 sum=0.25"#
        );
        assert_eq!(Line::new(0).fixed("log").fields([]).to_string(), "log{}");
    }

    #[test]
    fn what_is_written_matches() {
        assert!(histogram().matches(histogram().to_string().trim_start()));
    }

    #[test]
    fn values_and_fields_may_be_left_open() {
        for expected in [
            r#"histogram order.duration{region="eu", kind="web, \"a\" }"} count=12 sum=0.25"#,
            r#"histogram order.duration{region="eu",kind=*} count=12 sum=0.25"#,
            r#"histogram order.duration{ kind = *, region=* } count=* sum=*"#,
            "histogram order.duration{..} count=12 sum=0.25",
            r#"histogram order.duration{region="eu", ..} count=12 sum=0.25"#,
            "histogram order.duration{kind=*, region=*, ..} count=12 sum=0.25",
        ] {
            assert!(histogram().matches(expected), "{expected}");
        }
    }

    #[test]
    fn a_line_is_as_similar_as_its_beginning() {
        for (expected, similarity) in [
            ("histogram order.duration{..} count=12 sum=0.25", 6),
            ("histogram order.duration{..} count=12 sum=1", 5),
            ("histogram order.duration{..} count=1 sum=0.25", 3),
            ("histogram order.duration{kind=*} count=12 sum=0.25", 1),
            ("histogram order.size{..} count=12 sum=0.25", 0),
        ] {
            assert_eq!(histogram().similarity(expected), similarity, "{expected}");
        }
    }

    #[test]
    fn any_other_text_does_not_match() {
        for expected in [
            "",
            "*",
            "histogram order.duration",
            "histogram order.duration{} count=12 sum=0.25",
            "histogram order.duration{..} count=1 sum=0.25",
            "histogram order.duration{..} count=12 sum=0.2",
            "histogram order.duration{..} count=12 sum=0.25 unit=s",
            "histogram order.duration{..} count=12",
            "histogram order.duratio{..} count=12 sum=0.25",
            "histogram *{..} count=12 sum=0.25",
            r#"histogram order.duration{region="eu"} count=12 sum=0.25"#,
            r#"histogram order.duration{region="us", ..} count=12 sum=0.25"#,
            r#"histogram order.duration{region=eu, ..} count=12 sum=0.25"#,
            r#"histogram order.duration{region="eu", region="eu"} count=12 sum=0.25"#,
            r#"histogram order.duration{.., region="eu"} count=12 sum=0.25"#,
            "histogram order.duration{kind=*, region=*, zone=*} count=12 sum=0.25",
            "histogram order.duration{kind=* region=*} count=12 sum=0.25",
            "histogram order.duration{kind=*, region=* count=12 sum=0.25",
            "histogram order.duration{kind, ..} count=12 sum=0.25",
            "histogram order.duration{.. count=12 sum=0.25",
        ] {
            assert!(!histogram().matches(expected), "{expected}");
        }
    }
}
