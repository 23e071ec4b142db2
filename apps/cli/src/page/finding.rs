//! Something on a page that should be changed.

use std::fmt::Write as _;

use barograph_encode::prometheus::parse::PageProblem;
use barograph_model::text::one_line;
use serde_json::{Value, json};

use crate::report::Paint;

/// Something on a page that should be changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Finding {
    pub(super) severity: Severity,
    /// The name of the rule, for `--allow`.
    pub(super) rule: &'static str,
    /// The line and the column, from 1; 0 if it is about the page as a whole.
    pub(super) place: (usize, usize),
    /// The name of the family; empty if it is not about one.
    pub(super) family: String,
    pub(super) message: String,
}

/// The severity of a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Severity {
    /// A scraper rejects it, or reads something else.
    Error,
    /// It breaks a convention.
    Warning,
}

impl Finding {
    pub(super) fn problem(problem: &PageProblem) -> Self {
        let message = match problem.found.is_empty() {
            true => format!("expected {}", problem.expected),
            false => format!("found {:?}, expected {}", problem.found, problem.expected),
        };
        Finding {
            severity: Severity::Error,
            rule: problem.rule.as_str(),
            place: (problem.line, problem.column),
            family: String::new(),
            message,
        }
    }

    pub(super) fn warning(
        rule: &'static str,
        line: usize,
        family: &str,
        message: impl Into<String>,
    ) -> Self {
        Finding {
            severity: Severity::Warning,
            rule,
            place: (line, 1),
            family: family.to_owned(),
            message: message.into(),
        }
    }

    /// Returns a line of text.
    pub(super) fn text(&self, paint: Paint) -> String {
        let mut text = match self.severity {
            Severity::Error => paint.error("error:"),
            Severity::Warning => paint.warning("warning:"),
        };
        let mut rest = String::new();
        match self.place {
            (0, _) => {}
            (line, 1) => write!(rest, " line {line}:").expect("a string takes all"),
            (line, column) => {
                write!(rest, " line {line}, column {column}:").expect("a string takes all");
            }
        }
        if !self.family.is_empty() {
            write!(rest, " {}:", self.family).expect("a string takes all");
        }
        write!(rest, " {} [{}]", self.message, self.rule).expect("a string takes all");
        text.push_str(&one_line(&rest));
        text.push('\n');
        text
    }

    pub(super) fn json(&self) -> Value {
        let severity = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        let (line, column) = self.place;
        json!({
            "severity": severity,
            "rule": self.rule,
            "line": line,
            "column": column,
            "family": self.family,
            "message": self.message,
        })
    }
}
