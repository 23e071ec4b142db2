//! The exemplars of a page.

use barograph_encode::prometheus::parse::{FamilyKind, ParsedExemplar, ParsedPage};

use super::finding::Finding;

/// Counts of exemplars.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Exemplars {
    pub(super) count: usize,
    /// The number of families that have one.
    pub(super) families: usize,
    /// The number of families that may have one: counters and histograms.
    pub(super) possible: usize,
}

impl Exemplars {
    /// Counts the exemplars of a page, and adds findings about their ids.
    pub(super) fn of(page: &ParsedPage<'_>, findings: &mut Vec<Finding>) -> Self {
        let mut counts = Exemplars::default();
        for family in &page.families {
            let may_have = matches!(
                family.kind,
                FamilyKind::Counter | FamilyKind::Histogram | FamilyKind::GaugeHistogram
            );
            counts.possible += usize::from(may_have);
            let before = counts.count;
            for sample in &family.samples {
                let Some(exemplar) = &sample.exemplar else {
                    continue;
                };
                counts.count += 1;
                for (id, digits) in [("trace_id", 32), ("span_id", 16)] {
                    if let Some(found) = malformed(exemplar, id, digits) {
                        let message = format!(
                            "the exemplar has the {id} {found:?}, expected {digits} hexadecimal \
                             digits, not all of them 0"
                        );
                        let line = sample.line;
                        findings.push(Finding::warning(
                            "exemplar-ids",
                            line,
                            &family.name,
                            message,
                        ));
                    }
                }
            }
            counts.families += usize::from(counts.count > before);
        }
        counts
    }
}

/// Returns an id of an exemplar if it is not one.
fn malformed<'a>(exemplar: &'a ParsedExemplar<'_>, id: &str, digits: usize) -> Option<&'a str> {
    let (_, value) = exemplar.labels.iter().find(|(name, _)| name == id)?;
    let is_hex = value.bytes().all(|byte| byte.is_ascii_hexdigit());
    let is_fine = value.len() == digits && is_hex && value.bytes().any(|byte| byte != b'0');
    (!is_fine).then_some(value)
}
