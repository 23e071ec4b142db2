//! Parses a text page and compares its sample lines with the expected ones.
//!
//! Lines and labels may come in any order, and numbers in any notation: the same samples must be
//! there, each once. Millions of lines are compared by a sum of their hashes.

use std::borrow::Cow;
use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::Read;

use flate2::read::GzDecoder;

/// The sample lines that each library's page must have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Expected {
    lines: u64,
    digest: u64,
}

impl Expected {
    /// Adds one sample line.
    pub(crate) fn add(&mut self, name: &str, labels: &[(&str, &str)], value: f64) {
        let mut labels: Vec<_> = labels
            .iter()
            .map(|&(name, value)| (name, Cow::Borrowed(value)))
            .collect();
        self.insert(name, &mut labels, value);
    }

    /// The number of sample lines.
    pub(crate) fn lines(&self) -> u64 {
        self.lines
    }

    /// Compares the sample lines of a page, which may be compressed with gzip.
    ///
    /// # Errors
    ///
    /// Returns the difference, with the start of the page.
    pub(crate) fn check(&self, body: &[u8]) -> Result<(), String> {
        let text = text_of(body)?;
        let mut found = Self::default();
        for line in samples(&text) {
            let mut sample = Sample::parse(line)?;
            found.insert(sample.name, &mut sample.labels, sample.value);
        }
        if found == *self {
            return Ok(());
        }
        let start: Vec<&str> = text.lines().take(8).collect();
        Err(format!(
            "page has {} lines, {} expected: {start:#?}",
            found.lines, self.lines
        ))
    }

    fn insert(&mut self, name: &str, labels: &mut [(&str, Cow<'_, str>)], value: f64) {
        // Libraries write the number in `le` in different ways.
        for (_, value) in labels.iter_mut().filter(|(name, _)| *name == "le") {
            if let Ok(bound) = value.parse::<f64>() {
                *value = Cow::Owned(bound.to_string());
            }
        }
        labels.sort_unstable();
        let mut hasher = DefaultHasher::new();
        (name, labels, value.to_bits()).hash(&mut hasher);
        self.lines += 1;
        self.digest = self.digest.wrapping_add(hasher.finish());
    }
}

/// Returns the value of each sample with this name, by the values of the given labels.
///
/// This is for libraries whose values can only be read from their page.
pub(crate) fn values_by_labels(
    text: &str,
    name: &str,
    labels: &[&str],
) -> Result<HashMap<Vec<String>, f64>, String> {
    let mut values = HashMap::new();
    for line in samples(text) {
        let sample = Sample::parse(line)?;
        if sample.name == name {
            let key = labels
                .iter()
                .map(|label| {
                    let found = sample.labels.iter().find(|(name, _)| name == label);
                    found.map_or_else(String::new, |(_, value)| value.clone().into_owned())
                })
                .collect();
            values.insert(key, sample.value);
        }
    }
    Ok(values)
}

/// Returns the value of the one sample with this name; fails if the page has none.
pub(crate) fn value_of(text: &str, name: &str) -> Result<f64, String> {
    let values = values_by_labels(text, name, &[])?;
    values
        .values()
        .next()
        .copied()
        .ok_or_else(|| format!("no sample {name} on the page"))
}

fn samples(text: &str) -> impl Iterator<Item = &str> {
    text.lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
}

fn text_of(body: &[u8]) -> Result<String, String> {
    let mut text = String::new();
    if body.starts_with(&[0x1f, 0x8b]) {
        GzDecoder::new(body)
            .read_to_string(&mut text)
            .map_err(|error| error.to_string())?;
    } else {
        text.push_str(std::str::from_utf8(body).map_err(|error| error.to_string())?);
    }
    Ok(text)
}

/// A parsed sample line.
struct Sample<'a> {
    name: &'a str,
    labels: Vec<(&'a str, Cow<'a, str>)>,
    value: f64,
}

impl<'a> Sample<'a> {
    fn parse(line: &'a str) -> Result<Self, String> {
        let bad = || format!("not a sample line: {line}");
        let end = line.find(['{', ' ']).ok_or_else(bad)?;
        let (name, mut rest) = line.split_at(end);
        let mut labels = Vec::new();
        if let Some(inside) = rest.strip_prefix('{') {
            rest = inside;
            while !rest.starts_with('}') {
                let (label, quoted) = rest.split_once("=\"").ok_or_else(bad)?;
                let end = closing_quote(quoted).ok_or_else(bad)?;
                labels.push((label, unescaped(&quoted[..end])));
                rest = &quoted[end + 1..];
                rest = rest.strip_prefix(',').unwrap_or(rest);
            }
            rest = &rest[1..];
        }
        // A timestamp or an exemplar may follow the value.
        let value = rest.split_whitespace().next().ok_or_else(bad)?;
        let value = value.parse().map_err(|_| bad())?;
        Ok(Self {
            name,
            labels,
            value,
        })
    }
}

fn closing_quote(text: &str) -> Option<usize> {
    let mut escaped = false;
    text.bytes().position(|byte| {
        let closes = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        closes
    })
}

fn unescaped(text: &str) -> Cow<'_, str> {
    if text.contains('\\') {
        text.replace("\\\"", "\"")
            .replace("\\n", "\n")
            .replace("\\\\", "\\")
            .into()
    } else {
        text.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expected() -> Expected {
        let mut expected = Expected::default();
        expected.add("a_total", &[("x", "1"), ("y", "/{},\"z")], 7.0);
        expected.add("b_bucket", &[("le", "0.5")], 2.0);
        expected
    }

    #[test]
    fn order_and_notation_do_not_matter() {
        let page = "# TYPE a_total counter\nb_bucket{le=\"5e-1\"} 2\n\
                    a_total{y=\"/{},\\\"z\",x=\"1\"} 7.0 # {t=\"1\"} 3\n# EOF\n";
        assert_eq!(expected().check(page.as_bytes()), Ok(()));
    }

    #[test]
    fn what_is_missing_wrong_or_twice_is_found() {
        for page in [
            "b_bucket{le=\"0.5\"} 2\n",
            "b_bucket{le=\"0.5\"} 2\na_total{x=\"1\",y=\"/{},\\\"z\"} 8\n",
            "b_bucket{le=\"0.5\"} 2\na_total{x=\"1\",y=\"/{},\\\"z\"} 7\nb_bucket{le=\"0.5\"} 2\n",
            "b_bucket{le=\"0.5\"} 2\na_total{x=\"1\",y=\"/{},\\\"z\",s=\"\"} 7\n",
            "b_bucket{le=\"0.5\" 2\n",
        ] {
            assert!(expected().check(page.as_bytes()).is_err(), "{page}");
        }
    }
}
