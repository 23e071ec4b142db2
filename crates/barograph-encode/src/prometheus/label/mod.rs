//! The labels of a series on a page: constant labels, scope labels and its own, with their
//! translated names.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use barograph_model::descriptor::{Descriptor, Scope};
use barograph_model::label::Labels;
use barograph_model::name::OVERFLOW;
use barograph_model::snapshot::Point;

use crate::prometheus::escape;
use crate::prometheus::name::{Escaping, NameKind, Translation, is_legacy, label};
use crate::report::Rejection;
use crate::walk::Uniqueness;

/// A writer for the labels of one family's points.
pub(super) struct LabelWriter {
    descriptor: Arc<Descriptor>,
    names: PageNames,
    /// The constant labels, followed by those of the scope.
    constant: Vec<Label<Box<str>>>,
    /// The translated names of the family's fixed labels.
    fixed: Vec<Arc<str>>,
    /// The translated label name that the family's kind reserves.
    reserved: Option<Box<str>>,
    /// The parts of the fast path, if no series needs a check for duplicates.
    pattern: Option<Pattern>,
    /// The labels of all series so far; `None` if they are known to differ on the page.
    seen: Option<HashSet<Box<[u8]>>>,
    /// The same for the few series that could be ambiguous on the page because NUL was replaced.
    seen_lossy: HashSet<Box<[u8]>>,
    overflow_seen: bool,
}

/// One label: its translated name, its original name, and its value.
#[derive(Clone, Debug)]
struct Label<T> {
    page: Arc<str>,
    key: T,
    value: T,
}

/// The text around the values of fixed labels.
pub(super) struct Pattern {
    /// The constant labels, separated by commas.
    pub(super) constant: Vec<u8>,
    /// The text in front of each value: the name, `=` and `"`, preceded by a comma except at the
    /// beginning.
    pub(super) names: Vec<Vec<u8>>,
}

impl Pattern {
    fn new(labels: &[Label<Box<str>>], fixed: &[Arc<str>]) -> Self {
        let mut constant = Vec::new();
        for label in labels.iter().filter(|label| !label.value.is_empty()) {
            write_label(&mut constant, &label.page, &[&label.value]);
        }
        let name = |(i, page): (usize, &Arc<str>)| {
            let mut name = Vec::new();
            if i > 0 || !constant.is_empty() {
                name.push(b',');
            }
            write_name(&mut name, page);
            name.extend_from_slice(b"=\"");
            name
        };
        let names = fixed.iter().enumerate().map(name).collect();
        Pattern { constant, names }
    }

    fn write(&self, content: &mut Vec<u8>, labels: &Labels<'_>) -> Result<(), Rejection> {
        content.extend_from_slice(&self.constant);
        let text = labels.text();
        let is_plain = escape::is_plain(text.as_bytes());
        let mut from = 0;
        for (end, name) in labels.ends().iter().zip(&self.names) {
            let end = usize::from(*end);
            let value = text.get(from..end).ok_or(Rejection::WrongLabels)?;
            from = end;
            // Prometheus treats an empty value as a missing label, so it is not written.
            if value.is_empty() {
                continue;
            }
            let name = match content.is_empty() {
                true => name.strip_prefix(b",").unwrap_or(name),
                false => name,
            };
            content.extend_from_slice(name);
            match is_plain {
                true => content.extend_from_slice(value.as_bytes()),
                false => escape::value(content, value),
            }
            content.push(b'"');
        }
        Ok(())
    }
}

impl LabelWriter {
    pub(super) fn new(
        descriptor: Arc<Descriptor>,
        translation: Translation,
        escaping: Escaping,
        reserved: Option<&str>,
        uniqueness: Uniqueness,
    ) -> Self {
        let page = |name: &str| Arc::<str>::from(label(name, translation, escaping));
        let constant: Vec<_> = descriptor
            .constant_labels
            .iter()
            .cloned()
            .chain(
                descriptor
                    .scope
                    .as_deref()
                    .into_iter()
                    .flat_map(scope_labels),
            )
            .map(|(key, value)| Label {
                page: page(&key),
                key,
                value,
            })
            .collect();
        let fixed: Vec<_> = descriptor
            .label_names
            .iter()
            .map(|name| page(name))
            .collect();
        let overflow = page(OVERFLOW);
        let mut names = HashSet::new();
        let mut all = constant.iter().map(|label| &label.page).chain(&fixed);
        // Prometheus drops labels with empty values, so free-form labels that differ here can be
        // equal there; the same is true of an overflow series and another series.
        let is_safe = uniqueness == Uniqueness::Guaranteed
            && !fixed.is_empty()
            && !fixed.contains(&overflow)
            && all.all(|page| names.insert(page) && reserved != Some(page));
        let pattern = is_safe.then(|| Pattern::new(&constant, &fixed));
        LabelWriter {
            pattern,
            names: PageNames {
                translation,
                escaping,
                cached: HashMap::new(),
            },
            constant,
            fixed,
            reserved: reserved.map(Into::into),
            seen_lossy: HashSet::new(),
            overflow_seen: false,
            seen: (!is_safe).then(HashSet::new),
            descriptor,
        }
    }

    /// Returns the text around the values, if label names are fixed and series need no check for
    /// duplicates.
    pub(super) fn pattern(&self) -> Option<&Pattern> {
        self.pattern.as_ref()
    }

    /// Returns true if these labels have the family's label names: by address if they are the
    /// descriptor's own, otherwise by comparison.
    #[inline]
    pub(super) fn owns_names(&self, labels: &Labels<'_>) -> bool {
        let own = &*self.descriptor.label_names;
        // The descriptor is kept alive and unchanged here, so the same address and length mean the
        // same names.
        labels
            .names()
            .is_some_and(|names| std::ptr::eq(names, own) || names_equal(names, own))
    }

    /// Writes the labels of a point without braces; writes nothing if there are none.
    pub(super) fn write(
        &mut self,
        content: &mut Vec<u8>,
        point: &Point<'_>,
    ) -> Result<(), Rejection> {
        content.clear();
        if let Some(pattern) = &self.pattern
            && !point.is_overflow
            && self.owns_names(&point.labels)
        {
            pattern.write(content, &point.labels)?;
            return match escape::is_lossy(point.labels.text()) {
                true if !self.seen_lossy.insert(content.as_slice().into()) => {
                    Err(Rejection::Duplicate)
                }
                _ => Ok(()),
            };
        }
        let pairs = pairs(&self.descriptor, point)?;
        let constant = self.constant.iter().map(|label| Label {
            page: Arc::clone(&label.page),
            key: &*label.key,
            value: &*label.value,
        });
        let mut labels: Vec<Label<&str>> = constant.collect();
        let has_fixed = !point.is_overflow && point.labels.names().is_some();
        for (i, (key, value)) in pairs.into_iter().enumerate() {
            let page = match has_fixed {
                true => Arc::clone(&self.fixed[i]),
                false => self.names.of(key),
            };
            labels.push(Label { page, key, value });
        }
        if labels
            .iter()
            .any(|label| self.reserved.as_deref() == Some(&*label.page))
        {
            return Err(Rejection::ReservedLabel);
        }
        let mut sorted: Vec<&Label<&str>> = labels.iter().collect();
        sorted.sort_by_key(|label| (&label.page, label.key));
        let groups = || sorted.chunk_by(|a, b| a.page == b.page);
        if point.is_overflow && std::mem::replace(&mut self.overflow_seen, true) {
            return Err(Rejection::Duplicate);
        }
        if let Some(seen) = &mut self.seen
            && !seen.insert(identity(groups()))
        {
            return Err(Rejection::Duplicate);
        }
        if groups().count() == labels.len() {
            for label in labels.iter().filter(|label| !label.value.is_empty()) {
                write_label(content, &label.page, &[label.value]);
            }
        } else {
            for group in groups() {
                write_label(content, &group[0].page, &values(group));
            }
        }
        Ok(())
    }
}

#[inline(never)]
fn names_equal(names: &[Box<str>], own: &[Box<str>]) -> bool {
    names == own
}

/// A cache of the translated names of free-form labels.
struct PageNames {
    translation: Translation,
    escaping: Escaping,
    cached: HashMap<Box<str>, Arc<str>>,
}

impl PageNames {
    fn of(&mut self, name: &str) -> Arc<str> {
        if let Some(page) = self.cached.get(name) {
            return Arc::clone(page);
        }
        let page = Arc::<str>::from(label(name, self.translation, self.escaping));
        if self.cached.len() < MAX_CACHED {
            self.cached.insert(name.into(), Arc::clone(&page));
        }
        page
    }
}

/// Returns the checked names and values of the point's own labels.
fn pairs<'a>(
    descriptor: &'a Descriptor,
    point: &Point<'a>,
) -> Result<Vec<(&'a str, &'a str)>, Rejection> {
    if point.is_overflow {
        return Ok(vec![(OVERFLOW, "true")]);
    }
    let pieces = pieces(&point.labels).ok_or(Rejection::WrongLabels)?;
    match point.labels.names() {
        Some(names) if *names == *descriptor.label_names => {
            Ok(names.iter().map(|name| &**name).zip(pieces).collect())
        }
        None if descriptor.label_names.is_empty() => Ok(pieces
            .chunks_exact(2)
            .map(|pair| (pair[0], pair[1]))
            .collect()),
        _ => Err(Rejection::WrongLabels),
    }
}

/// Returns the identity of a series for a scraper: its labels with a value, in order of names.
fn identity<'a>(groups: impl Iterator<Item = &'a [&'a Label<&'a str>]>) -> Box<[u8]> {
    let mut identity = Vec::new();
    for group in groups {
        let value = values(group).join(";");
        if !value.is_empty() {
            let value = escape::as_read(&value);
            for part in [group[0].page.as_bytes(), value.as_bytes()] {
                identity.extend_from_slice(part);
                // This byte never occurs in UTF-8.
                identity.push(0xff);
            }
        }
    }
    identity.into()
}

fn values<'a>(group: &[&Label<&'a str>]) -> Vec<&'a str> {
    group.iter().map(|label| label.value).collect()
}

/// Writes a label name, quoted if necessary.
pub(super) fn write_name(out: &mut Vec<u8>, page: &str) {
    if is_legacy(page, NameKind::Label) {
        out.extend_from_slice(page.as_bytes());
    } else {
        out.push(b'"');
        escape::value(out, page);
        out.push(b'"');
    }
}

/// Appends one label; several values are joined by `;`.
pub(super) fn write_label(out: &mut Vec<u8>, page: &str, values: &[&str]) {
    if !out.is_empty() {
        out.push(b',');
    }
    write_name(out, page);
    out.extend_from_slice(b"=\"");
    for (i, value) in values.iter().enumerate() {
        if i > 0 {
            out.push(b';');
        }
        escape::value(out, value);
    }
    out.push(b'"');
}

fn pieces<'a>(labels: &Labels<'a>) -> Option<Vec<&'a str>> {
    let mut from = 0;
    let ends = labels.ends().iter().map(|end| usize::from(*end));
    ends.map(|end| {
        let piece = labels.text().get(from..end);
        from = end;
        piece
    })
    .collect()
}

/// Returns the labels of a scope.
///
/// Source: OpenTelemetry, "Prometheus and OpenMetrics compatibility", Instrumentation Scope.
fn scope_labels(scope: &Scope) -> Vec<(Box<str>, Box<str>)> {
    const OWN: [&str; 3] = ["name", "version", "schema_url"];
    let own = OWN
        .into_iter()
        .zip([&scope.name, &scope.version, &scope.schema_url]);
    let further = scope.attributes.iter().map(|(key, value)| (&**key, value));
    own.filter(|(_, value)| !value.is_empty())
        .chain(further.filter(|(key, _)| !OWN.contains(key)))
        .map(|(key, value)| (format!("otel_scope_{key}").into(), value.clone()))
        .collect()
}

/// The maximum number of cached translations of free-form label names.
const MAX_CACHED: usize = 1024;

#[cfg(test)]
mod tests;
