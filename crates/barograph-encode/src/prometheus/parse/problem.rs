//! A violation of the format.

use std::fmt;

/// A violation of the format.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PageProblem {
    /// The number of the line, from 1.
    pub line: usize,
    /// The number of the character in the line, from 1.
    pub column: usize,
    /// The rule that is broken.
    pub rule: PageRule,
    /// The text that breaks it, at most 80 characters; empty if something is missing.
    pub found: Box<str>,
    /// A description of what was expected.
    pub expected: Box<str>,
}

impl PageProblem {
    pub(super) fn new(
        (line, column): (usize, usize),
        rule: PageRule,
        found: &str,
        expected: impl Into<Box<str>>,
    ) -> Self {
        let end = found.char_indices().nth(LONGEST).map(|(end, _)| end);
        let found = match end {
            Some(end) => format!("{}...", &found[..end]).into(),
            None => found.into(),
        };
        PageProblem {
            line,
            column,
            rule,
            found,
            expected: expected.into(),
        }
    }
}

/// `line 3, column 19: found "web} 4", expected a label value in double quotes`.
impl fmt::Display for PageProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}: ", self.line, self.column)?;
        if !self.found.is_empty() {
            write!(f, "found {:?}, ", self.found)?;
        }
        write!(f, "expected {}", self.expected)
    }
}

/// The problems that were found, up to a limit.
#[derive(Debug, Default)]
pub(super) struct Problems {
    found: Vec<PageProblem>,
    more: usize,
}

impl Problems {
    pub(super) fn add(
        &mut self,
        place: (usize, usize),
        rule: PageRule,
        found: &str,
        expected: impl Into<Box<str>>,
    ) {
        // The problems of whole families are found after those of all lines, so which are the first is
        // known only at the end. This bounds the memory until then.
        match self.found.len() < 2 * MOST_PROBLEMS {
            true => {
                let problem = PageProblem::new(place, rule, found, expected);
                self.found.push(problem);
            }
            false => self.more += 1,
        }
    }

    /// Returns the first problems, and the number of the others.
    pub(super) fn into_sorted(self) -> (Vec<PageProblem>, usize) {
        let Problems { mut found, more } = self;
        found.sort_by_key(|problem| (problem.line, problem.column));
        let more = more + found.len().saturating_sub(MOST_PROBLEMS);
        found.truncate(MOST_PROBLEMS);
        (found, more)
    }
}

/// A rule of the format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum PageRule {
    /// The page is text in UTF-8, without NUL.
    Encoding,
    /// A line is a comment or a sample.
    Syntax,
    /// Names have the characters that the format allows, and no reserved ones.
    Name,
    /// A label appears once in a sample.
    DuplicateLabel,
    /// A value is a number that is possible for its sample.
    Value,
    /// A timestamp is a number, and rises.
    Timestamp,
    /// `TYPE`, `HELP` and `UNIT` appear once, before the samples of their family.
    Metadata,
    /// The lines of a family, and of a metric in OpenMetrics, are together.
    Grouping,
    /// A series appears once.
    DuplicateSeries,
    /// No two families share the name of a sample.
    NameClash,
    /// A sample has a suffix that its family has.
    Suffix,
    /// A unit is the last word of the name.
    Unit,
    /// The buckets, the count and the sum of a histogram fit together.
    Histogram,
    /// The quantiles, the count and the sum of a summary are possible.
    Summary,
    /// An exemplar is where one may be, and is short enough.
    Exemplar,
    /// The page is complete: it ends with a line feed, and OpenMetrics with `# EOF`.
    End,
}

impl PageRule {
    /// Returns its name in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            PageRule::Encoding => "encoding",
            PageRule::Syntax => "syntax",
            PageRule::Name => "name",
            PageRule::DuplicateLabel => "duplicate-label",
            PageRule::Value => "value",
            PageRule::Timestamp => "timestamp",
            PageRule::Metadata => "metadata",
            PageRule::Grouping => "grouping",
            PageRule::DuplicateSeries => "duplicate-series",
            PageRule::NameClash => "name-clash",
            PageRule::Suffix => "suffix",
            PageRule::Unit => "unit",
            PageRule::Histogram => "histogram",
            PageRule::Summary => "summary",
            PageRule::Exemplar => "exemplar",
            PageRule::End => "end",
        }
    }
}

/// The maximum number of characters of `found`.
const LONGEST: usize = 80;

/// The maximum number of problems that are listed.
const MOST_PROBLEMS: usize = 1000;
