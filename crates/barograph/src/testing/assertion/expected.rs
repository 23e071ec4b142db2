//! The expected text: its lines, without the indentation of the source.

use super::line::{INDENT, Line};

/// A line of the expected text.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Expected<'a> {
    /// The number of spaces in front of it, without those in front of all lines.
    indent: usize,
    text: &'a str,
}

impl<'a> Expected<'a> {
    /// Returns the lines of a text. The indentation that all of them have is removed, and blank lines are
    /// left out.
    pub(super) fn lines(text: &'a str) -> Vec<Self> {
        let lines = text.lines().map(Expected::new);
        let mut lines: Vec<_> = lines.filter(|line| !line.text.is_empty()).collect();
        let shared = lines.iter().map(|line| line.indent).min().unwrap_or(0);
        for line in &mut lines {
            line.indent -= shared;
        }
        lines
    }

    fn new(line: &'a str) -> Self {
        let text = line.trim();
        let indent = line.len() - line.trim_start().len();
        Expected { indent, text }
    }

    /// Returns true if it stands for any number of lines.
    pub(super) fn is_gap(self) -> bool {
        self.text == ".."
    }

    /// Returns the number of parts at the beginning of the line that are as expected, whatever its
    /// indentation is.
    pub(super) fn similarity(self, line: &Line) -> usize {
        line.similarity(self.text)
    }

    /// Returns true if the line is what is expected, or is one that a gap stands for: one that is
    /// indented at least as far.
    pub(super) fn matches(self, line: &Line) -> bool {
        let indent = line.depth * INDENT;
        match self.is_gap() {
            true => indent >= self.indent,
            false => indent == self.indent && line.matches(self.text),
        }
    }
}

/// Writes the line with its indentation.
impl std::fmt::Display for Expected<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:1$}{2}", "", self.indent, self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Vec<String> {
        Expected::lines(text)
            .iter()
            .map(Expected::to_string)
            .collect()
    }

    #[test]
    fn indentation_of_the_source_and_blank_lines_are_removed() {
        let expected = ["span a", "  log b", "log c"];
        for text in [
            "span a\n  log b\nlog c",
            "\n        span a\n          log b\n\n        log c\n    ",
            "\r\n    span a\r\n      log b\r\n    log c\r\n",
        ] {
            assert_eq!(lines(text), expected, "{text:?}");
        }
        for text in ["", "   ", "\n\n  \n"] {
            assert_eq!(lines(text), [""; 0]);
        }
        assert_eq!(lines("  .."), [".."]);
    }

    #[test]
    fn a_gap_stands_for_lines_that_are_indented_as_far() {
        let gap = Expected::lines("span a\n  ..\nspan b")[1];
        assert!(gap.is_gap());
        assert!(!gap.matches(&Line::new(0)));
        assert!(gap.matches(&Line::new(1)));
        assert!(gap.matches(&Line::new(2)));
    }
}
