//! Messages of receivers and errors, prepared for a log line.

use std::cmp::Reverse;
use std::error::Error;
use std::fmt::Write as _;

use barograph_model::text::is_invisible;

use super::invalid::MASK;

/// The texts that must never leave the client: header values and credentials.
#[derive(Clone, Default)]
pub(super) struct Secrets(Vec<String>);

impl Secrets {
    /// Adds a secret. The part behind `Bearer` or `Basic` counts as a secret too, since it may be
    /// quoted alone.
    pub(super) fn add(&mut self, secret: &str) {
        // Shorter texts would match parts of unrelated words.
        let parts = [secret]
            .into_iter()
            .chain(secret.split_once(' ').map(|(_, rest)| rest));
        let parts = parts.map(str::trim).filter(|part| part.len() >= 4);
        for part in parts.map(str::to_owned) {
            if !self.0.contains(&part) {
                self.0.push(part);
            }
        }
        // A secret that contains another must be found first.
        self.0.sort_by_key(|secret| Reverse(secret.len()));
    }

    /// Returns a message for display: one line of at most [`LIMIT`] bytes and an ellipsis, without
    /// control characters and secrets.
    pub(super) fn message(&self, text: &str) -> String {
        let text = text.trim();
        let longest = self.0.first().map_or(0, String::len);
        let window = &text[..boundary(text, longest.saturating_add(8 * LIMIT))];
        let mut masked = window.to_owned();
        for secret in &self.0 {
            if masked.contains(secret) {
                masked = masked.replace(secret, MASK);
            }
        }
        if window.len() < text.len() {
            // The cut may have split a secret, which is then not found.
            masked.truncate(boundary(&masked, masked.len().saturating_sub(longest)));
        }
        let mut message = String::with_capacity(masked.len().min(LIMIT));
        for char in masked.chars() {
            let before = message.len();
            match char {
                '\n' => message.push_str("\\n"),
                '\r' => message.push_str("\\r"),
                '\t' => message.push(' '),
                char if is_invisible(char) => {
                    // Writing to a string does not fail.
                    let _ = write!(message, "{}", char.escape_unicode());
                }
                char => message.push(char),
            }
            if message.len() > LIMIT {
                message.truncate(before);
                return message + "…";
            }
        }
        match window.len() < text.len() {
            true => message + "…",
            false => message,
        }
    }
}

/// Joins an error and its causes on one line. A cause that the text already contains is left out.
pub(super) fn causes(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let said = error.to_string();
        if !text.contains(&said) {
            text = text + ": " + &said;
        }
        cause = error.source();
    }
    text
}

/// Returns the last character boundary that is not after `index`.
fn boundary(text: &str, index: usize) -> usize {
    let mut index = index.min(text.len());
    while !text.is_char_boundary(index) {
        index = index.saturating_sub(1);
    }
    index
}

/// The maximum length of a message in bytes.
pub(super) const LIMIT: usize = 512;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_cut_at_a_character() {
        let none = Secrets::default();
        assert_eq!(none.message(&"x".repeat(LIMIT)), "x".repeat(LIMIT));
        for text in [
            "ä".repeat(1_000),
            "x".to_owned() + &"€".repeat(1_000),
            "\u{1}".repeat(9_999),
        ] {
            let message = none.message(&text);
            assert!(message.ends_with('…') && message.len() <= LIMIT + '…'.len_utf8());
            assert!(message.len() > LIMIT - 8, "{message}");
        }
    }

    #[test]
    fn control_characters_are_escaped() {
        let message = Secrets::default().message(" a\r\nb\u{1b}[31m\u{202e}c\0\u{9b}\td ");
        assert_eq!(message, "a\\r\\nb\\u{1b}[31m\\u{202e}c\\u{0}\\u{9b} d");
    }

    #[test]
    fn secrets_are_masked_wherever_they_stand() {
        let mut secrets = Secrets::default();
        secrets.add("Bearer hunter2");
        secrets.add("abc");
        assert_eq!(
            secrets.message("no: Bearer hunter2, hunter2, abc"),
            "no: ***, ***, abc"
        );
        // One that the cut goes through.
        let text = "x".repeat(LIMIT - 3) + "hunter2";
        assert!(
            !secrets.message(&text).contains("hun"),
            "{}",
            secrets.message(&text)
        );
        // So many that little is left.
        for length in 0..7 {
            let text = "x".repeat(length) + &"hunter2".repeat(2_000);
            assert!(
                !secrets.message(&text).contains("hu"),
                "{}",
                secrets.message(&text)
            );
        }
    }
}
