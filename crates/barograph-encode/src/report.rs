//! Reports of the data that an encoder left out of a page or a request, and of the reasons.
//!
//! A page is valid whatever its sources supply, so the encoder leaves out whatever the format
//! cannot represent. The report lists it; the server of the page counts and logs it.

use std::fmt;

/// The counts of what one page or export cycle contains, and of what was left out. Complete once
/// the page has been read to its end.
#[derive(Clone, Debug, Default)]
pub struct Report {
    families: u64,
    series: u64,
    left_out: Vec<LeftOut>,
    reasons: [u64; Reason::ALL.len()],
    rejections: [(u64, Box<str>); Rejection::ALL.len()],
}

impl Report {
    /// Returns the number of families with at least one series on the page.
    pub fn families(&self) -> u64 {
        self.families
    }

    /// Returns the number of series on the page; a histogram counts as one.
    pub fn series(&self) -> u64 {
        self.series
    }

    /// Returns true if nothing was left out.
    pub fn is_clean(&self) -> bool {
        self.reasons().next().is_none() && self.rejections().next().is_none()
    }

    /// Returns the families and sources that were left out, in part or entirely; at most the first
    /// [`MAX_LEFT_OUT`](Self::MAX_LEFT_OUT).
    pub fn left_out(&self) -> &[LeftOut] {
        &self.left_out
    }

    /// Returns each reason that occurred, and the number of families and sources left out for it.
    pub fn reasons(&self) -> impl Iterator<Item = (Reason, u64)> {
        let counted = Reason::ALL.into_iter().zip(self.reasons);
        counted.filter(|(_, count)| *count > 0)
    }

    /// Returns each reason for which points were left out, the number of those points, and the
    /// first family affected.
    pub fn rejections(&self) -> impl Iterator<Item = (Rejection, u64, &str)> {
        let counted = Rejection::ALL.into_iter().zip(&self.rejections);
        let named = counted.map(|(rejection, (count, family))| (rejection, *count, &**family));
        named.filter(|(_, count, _)| *count > 0)
    }

    /// The maximum number of entries in [`Report::left_out`]; the counts are not limited.
    pub const MAX_LEFT_OUT: usize = 256;

    pub(crate) fn count_family(&mut self) {
        self.families += 1;
    }

    pub(crate) fn count_series(&mut self, count: u64) {
        self.series += count;
    }

    pub(crate) fn leave_out(&mut self, left_out: LeftOut) {
        self.reasons[left_out.reason as usize] += 1;
        if self.left_out.len() < Self::MAX_LEFT_OUT {
            self.left_out.push(left_out);
        }
    }

    pub(crate) fn reject(&mut self, rejection: Rejection, family: &str) {
        let (count, first) = &mut self.rejections[rejection as usize];
        if *count == 0 {
            *first = family.into();
        }
        *count += 1;
    }
}

/// A family or a source of which some or all data is missing from the page.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LeftOut {
    /// The index of the family's source among the page's sources, from 0; `None` for the page's own
    /// `target_info`.
    pub source: Option<usize>,
    /// The instrument's name; empty if it is not known.
    pub family: Box<str>,
    /// The family that keeps the name; only set for [`Reason::NameTaken`], otherwise empty.
    pub by: Box<str>,
    /// The reason why it was left out.
    pub reason: Reason,
}

impl fmt::Display for LeftOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.reason {
            Reason::NameTaken => write!(
                f,
                "family {:?} is left out: its name is taken by {:?}",
                self.family, self.by
            ),
            Reason::Nameless => f.write_str("a family without a name is left out"),
            Reason::SourcePanicked => f.write_str("a source is left out: it panicked"),
            Reason::FamilyPanicked => {
                write!(f, "family {:?} is cut short: it panicked", self.family)
            }
            Reason::Stuck => write!(
                f,
                "family {:?} is cut short: its cursor did not grow",
                self.family
            ),
        }
    }
}

/// The reason why a family or a source is missing from a page, in part or entirely.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Reason {
    /// One of the family's names on the page is already used by an earlier family.
    NameTaken,
    /// The family has no name.
    Nameless,
    /// The source panicked while its families were collected.
    SourcePanicked,
    /// The family panicked while it was described or read. Points that it had supplied before are
    /// on the page.
    FamilyPanicked,
    /// The family returned a cursor that did not advance. Points that it had supplied before are on
    /// the page.
    Stuck,
}

impl Reason {
    /// All reasons.
    pub const ALL: [Reason; 5] = [
        Reason::NameTaken,
        Reason::Nameless,
        Reason::SourcePanicked,
        Reason::FamilyPanicked,
        Reason::Stuck,
    ];

    /// Returns the reason's name in snake case, suitable as a label value.
    pub fn as_str(self) -> &'static str {
        match self {
            Reason::NameTaken => "name_taken",
            Reason::Nameless => "nameless",
            Reason::SourcePanicked => "source_panicked",
            Reason::FamilyPanicked => "family_panicked",
            Reason::Stuck => "stuck",
        }
    }
}

/// The reason why a point is missing from a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Rejection {
    /// The value does not match the family's kind.
    WrongValue,
    /// The value of a counter is negative or NaN.
    NotACount,
    /// The number of buckets does not match the histogram's bounds, or the total count overflows.
    WrongBuckets,
    /// The labels are not those of the family, or the label text is malformed.
    WrongLabels,
    /// A label uses a name that the format reserves, such as `le`.
    ReservedLabel,
    /// The page already has a series with the same labels.
    Duplicate,
    /// The series index is too large for a reader that stores previous values (delta temporality).
    IndexTooLarge,
}

impl Rejection {
    /// All rejections.
    pub const ALL: [Rejection; 7] = [
        Rejection::WrongValue,
        Rejection::NotACount,
        Rejection::WrongBuckets,
        Rejection::WrongLabels,
        Rejection::ReservedLabel,
        Rejection::Duplicate,
        Rejection::IndexTooLarge,
    ];

    /// Returns the rejection's name in snake case, suitable as a label value.
    pub fn as_str(self) -> &'static str {
        match self {
            Rejection::WrongValue => "wrong_value",
            Rejection::NotACount => "not_a_count",
            Rejection::WrongBuckets => "wrong_buckets",
            Rejection::WrongLabels => "wrong_labels",
            Rejection::ReservedLabel => "reserved_label",
            Rejection::Duplicate => "duplicate",
            Rejection::IndexTooLarge => "index_too_large",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_complete_when_the_list_is_full() {
        let mut report = Report::default();
        for _ in 0..1000 {
            report.leave_out(LeftOut {
                source: Some(3),
                family: "b".into(),
                by: "a".into(),
                reason: Reason::NameTaken,
            });
        }
        report.reject(Rejection::Duplicate, "first");
        report.reject(Rejection::Duplicate, "second");
        assert_eq!(report.left_out().len(), Report::MAX_LEFT_OUT);
        assert_eq!(
            report.reasons().collect::<Vec<_>>(),
            [(Reason::NameTaken, 1000)]
        );
        assert_eq!(
            report.rejections().collect::<Vec<_>>(),
            [(Rejection::Duplicate, 2, "first")]
        );
        assert_eq!(
            report.left_out()[0].to_string(),
            r#"family "b" is left out: its name is taken by "a""#
        );
    }

    #[test]
    fn every_reason_is_at_its_own_index() {
        for (i, reason) in Reason::ALL.into_iter().enumerate() {
            assert_eq!(reason as usize, i);
        }
        for (i, rejection) in Rejection::ALL.into_iter().enumerate() {
            assert_eq!(rejection as usize, i);
        }
    }
}
