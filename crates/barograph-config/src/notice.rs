//! Notices about variables, most often that a value is invalid and ignored.

use std::fmt;

use barograph_model::text::one_line;

/// A notice about a variable, most often that its value is invalid and counts as unset. Contains no
/// secrets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    text: String,
}

impl Notice {
    /// Creates a notice. The text is escaped into one line and truncated.
    pub fn new(text: String) -> Self {
        let mut text = one_line(&text);
        if let Some((end, _)) = text.char_indices().nth(LONGEST_NOTICE) {
            text.truncate(end);
            text += "...";
        }
        Notice { text }
    }

    /// Creates the notice that a value is invalid.
    pub fn ignored(variable: &str, value: &str, expected: &str) -> Self {
        let shown = shown_value(value);
        Notice::new(format!(
            "{variable}={shown} is ignored, expected {expected}"
        ))
    }
}

/// Formats a value for a notice.
pub(crate) fn shown_value(value: &str) -> String {
    match value.char_indices().nth(MOST_SHOWN) {
        None => format!("{value:?}"),
        Some((end, _)) => format!("{:?}... of {} bytes", &value[..end], value.len()),
    }
}

/// The maximum number of characters of a value in a notice.
const MOST_SHOWN: usize = 100;
/// The maximum number of characters of a notice.
const LONGEST_NOTICE: usize = 500;

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_shown_in_one_short_line() {
        let notice = Notice::ignored("X", "a\n\u{1b}[31m\u{202e}", "y").to_string();
        assert_eq!(
            notice,
            r#"X="a\n\u{1b}[31m\u{202e}" is ignored, expected y"#
        );
        let notice = Notice::ignored("X", &"é".repeat(1000), "y").to_string();
        let shown = "é".repeat(100);
        assert_eq!(
            notice,
            format!("X=\"{shown}\"... of 2000 bytes is ignored, expected y")
        );
    }
}
