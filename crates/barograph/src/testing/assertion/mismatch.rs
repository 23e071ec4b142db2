//! The error of telemetry that differs from the expected text.

use std::error::Error;
use std::fmt;

use super::diff::Change;

/// The error of telemetry that is not as expected: the difference, line by line.
///
/// A line that is expected and was not recorded begins with `-`, one that was recorded and is not
/// expected with `+`, and one that is both with a space.
#[derive(Clone, PartialEq)]
pub struct Mismatch {
    pub(super) changes: Vec<Change>,
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("telemetry differs (- expected, + recorded):\n\n")?;
        for change in &self.changes {
            let (mark, line) = match change {
                Change::Same(line) => (' ', line),
                Change::Missing(line) => ('-', line),
                Change::Extra(line) => ('+', line),
            };
            writeln!(f, "{mark}{line}")?;
        }
        f.write_str(
            "\nto accept what was recorded, remove the lines with - from the expected text \
             and insert those with +",
        )
    }
}

/// Formats it like `Display`, because `unwrap` shows the `Debug` form.
impl fmt::Debug for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Error for Mismatch {}
