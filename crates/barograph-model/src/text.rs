//! Helpers for text that people read: invisible characters, and counts.

use std::fmt;

/// Returns true if a character is invisible: a control, the end of a line or of a paragraph, a mark
/// that changes the direction of writing, one of no width, or a tag.
///
/// In a line for people such a character makes the line different from what it seems to be: it ends it,
/// commands the terminal, or shows its parts in another order.
///
/// Source: Unicode 16.0, general categories Cc, Cf, Zl and Zp; of Cf all but the visible signs, such as
/// U+0600. Source: Unicode Technical Standard 55, "Source Code Handling", for the directions.
#[inline]
pub fn is_invisible(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{ad}' // soft hyphen
            | '\u{61c}' // directions, here and in U+20xx
            | '\u{180e}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}' // ruby
            | '\u{1bca0}'..='\u{1bca3}' // shorthand
            | '\u{1d173}'..='\u{1d17a}' // music
            | '\u{e0000}'..='\u{e007f}' // tags
        )
}

/// Escapes text into one line, so that a terminal does not interpret control characters.
pub fn one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for char in text.chars() {
        match char {
            '"' | '\'' | '\\' => line.push(char),
            char => line.extend(char.escape_debug()),
        }
    }
    line
}

/// Returns a count with the word for what is counted, as in "1 span" or "2 spans".
///
/// ```
/// use barograph_model::text::counted;
///
/// assert_eq!(counted(1, "line was", "lines were").to_string(), "1 line was");
/// assert_eq!(counted(0, "line was", "lines were").to_string(), "0 lines were");
/// ```
pub fn counted(count: u64, one: &'static str, many: &'static str) -> Counted {
    Counted { count, one, many }
}

/// The result of [`counted`]: displays the count and the word that fits it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counted {
    count: u64,
    one: &'static str,
    many: &'static str,
}

impl fmt::Display for Counted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = if self.count == 1 { self.one } else { self.many };
        write!(f, "{} {what}", self.count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_seen_is_known() {
        for character in [
            '\0',
            '\n',
            '\u{1b}',
            '\u{7f}',
            '\u{85}',
            '\u{9b}',
            '\u{ad}',
            '\u{61c}',
            '\u{180e}',
            '\u{200b}',
            '\u{200d}',
            '\u{200e}',
            '\u{200f}',
            '\u{2028}',
            '\u{2029}',
            '\u{202a}',
            '\u{202e}',
            '\u{2060}',
            '\u{2066}',
            '\u{2069}',
            '\u{feff}',
            '\u{e0001}',
        ] {
            assert!(is_invisible(character), "{character:?}");
        }
        for character in [
            'a',
            ' ',
            '\u{a0}',
            'ä',
            '\u{301}',
            '—',
            '€',
            '漢',
            '😀',
            '\u{fe0f}',
            char::MAX,
        ] {
            assert!(!is_invisible(character), "{character:?}");
        }
    }

    #[test]
    fn a_line_is_one_line() {
        let line = one_line("a\"b\\'\n\u{1b}[31m\u{202e}é");
        assert_eq!(line, r#"a"b\'\n\u{1b}[31m\u{202e}é"#);
    }
}
