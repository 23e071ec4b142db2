//! What did not get on a page or into a push, and why: the encoders' side of a ledger.
//!
//! A page is valid whatever its sources show, so what cannot stand on it is left out. The report
//! says what that was; whoever serves the page counts and logs it.

use std::fmt;

/// What stood on one page, and what did not. Complete when the page has been read to its end.
#[derive(Clone, Debug, Default)]
pub struct Report {
    families: u64,
    series: u64,
    left_out: Vec<LeftOut>,
    reasons: [u64; Reason::ALL.len()],
    rejections: [(u64, Box<str>); Rejection::ALL.len()],
}

impl Report {
    /// How many families have at least one series on the page.
    pub fn families(&self) -> u64 {
        self.families
    }

    /// How many series are on the page; a histogram is one.
    pub fn series(&self) -> u64 {
        self.series
    }

    /// Whether nothing was left out.
    pub fn is_clean(&self) -> bool {
        self.reasons().next().is_none() && self.rejections().next().is_none()
    }

    /// The families and sources that were left out, in part or as a whole; the first
    /// [`MAX_LEFT_OUT`](Self::MAX_LEFT_OUT) of them.
    pub fn left_out(&self) -> &[LeftOut] {
        &self.left_out
    }

    /// How many families and sources were left out for each reason that occurred.
    pub fn reasons(&self) -> impl Iterator<Item = (Reason, u64)> {
        let counted = Reason::ALL.into_iter().zip(self.reasons);
        counted.filter(|(_, count)| *count > 0)
    }

    /// How many points were left out for each reason that occurred, and the first family in which
    /// it did.
    pub fn rejections(&self) -> impl Iterator<Item = (Rejection, u64, &str)> {
        let counted = Rejection::ALL.into_iter().zip(&self.rejections);
        let named = counted.map(|(rejection, (count, family))| (rejection, *count, &**family));
        named.filter(|(_, count, _)| *count > 0)
    }

    /// How many entries [`Report::left_out`] has at most; the counts have no such bound.
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

/// A family, or a whole source, that is not on the page, or not all of it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LeftOut {
    /// The place of its source among the page's sources, from 0 on; none for the page's own
    /// `target_info`.
    pub source: Option<usize>,
    /// The instrument's name; empty where a source could not be asked.
    pub family: Box<str>,
    /// The family that stays; for [`Reason::NameTaken`] only, else empty.
    pub by: Box<str>,
    /// Why.
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

/// Why a family or a source is not on a page, or not all of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Reason {
    /// One of its names on the page belongs to an earlier family.
    NameTaken,
    /// It has no name.
    Nameless,
    /// The source panicked when it was asked for its families.
    SourcePanicked,
    /// The family panicked when it was described or read. What it showed before is on the page.
    FamilyPanicked,
    /// The family gave a cursor that does not lead on. What it showed before is on the page.
    Stuck,
}

impl Reason {
    /// All of them.
    pub const ALL: [Reason; 5] = [
        Reason::NameTaken,
        Reason::Nameless,
        Reason::SourcePanicked,
        Reason::FamilyPanicked,
        Reason::Stuck,
    ];

    /// The word for it, fit for a label value.
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

/// Why a point is not on a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Rejection {
    /// Its value is not of the family's kind.
    WrongValue,
    /// A counter's value is negative or not a number.
    NotACount,
    /// A histogram's buckets are more or fewer than its bounds ask for, or too many to add up.
    WrongBuckets,
    /// Its labels are not those of the family, or their text is in disorder.
    WrongLabels,
    /// It has a label of a name that the format needs itself, such as `le`.
    ReservedLabel,
    /// A series with the same labels is on the page already.
    Duplicate,
    /// Its index is too large for a reader that keeps last values.
    IndexTooLarge,
}

impl Rejection {
    /// All of them.
    pub const ALL: [Rejection; 7] = [
        Rejection::WrongValue,
        Rejection::NotACount,
        Rejection::WrongBuckets,
        Rejection::WrongLabels,
        Rejection::ReservedLabel,
        Rejection::Duplicate,
        Rejection::IndexTooLarge,
    ];

    /// The word for it, fit for a label value.
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
    fn counts_go_on_where_the_list_ends() {
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
    fn every_reason_has_its_own_place() {
        for (i, reason) in Reason::ALL.into_iter().enumerate() {
            assert_eq!(reason as usize, i);
        }
        for (i, rejection) in Rejection::ALL.into_iter().enumerate() {
            assert_eq!(rejection as usize, i);
        }
    }
}
