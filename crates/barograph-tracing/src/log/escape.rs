//! Escaping of foreign text, so that a line stays one line and cannot control the terminal.
//!
//! A character that ends a line, starts an escape sequence, moves the cursor, changes the writing
//! direction or is invisible is escaped. So the service determines the meaning of a line, and the
//! sender of a text cannot change it.

use std::fmt::Write as _;

use barograph_model::text::is_invisible;

/// The reader of the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Escape {
    /// A person: `\n`, `\u{1b}`.
    Console,
    /// A person, with the text inside of `"`.
    Quoted,
    /// No reader yet: the text is left unescaped.
    Raw,
    /// A JSON parser: `\n`, `\u001b`; quotes are escaped too.
    Json,
}

/// Appends as much of a text as fits into `most` bytes. Returns true if that was all of it.
pub(super) fn push(out: &mut String, text: &str, escape: Escape, most: usize) -> bool {
    let mut rest = text;
    while !rest.is_empty() {
        let plain = plain_prefix(rest.as_bytes(), escape);
        let room = most.saturating_sub(out.len());
        if plain > room {
            out.push_str(&rest[..rest.floor_char_boundary_at(room)]);
            return false;
        }
        // The prefix ends at a character boundary.
        out.push_str(&rest[..plain]);
        rest = &rest[plain..];
        let Some(character) = rest.chars().next() else {
            return true;
        };
        if most.saturating_sub(out.len()) < LONGEST {
            return false;
        }
        spell(out, character, escape);
        rest = &rest[character.len_utf8()..];
    }
    true
}

/// The length of the longest escape, such as `\udb40\udc01`.
const LONGEST: usize = 12;

/// A replacement for `str::floor_char_boundary`, which the minimum supported Rust version lacks.
trait FloorCharBoundary {
    fn floor_char_boundary_at(&self, index: usize) -> usize;
}

impl FloorCharBoundary for str {
    fn floor_char_boundary_at(&self, index: usize) -> usize {
        (0..=index.min(self.len()))
            .rev()
            .find(|index| self.is_char_boundary(*index))
            .unwrap_or(0)
    }
}

/// Appends a character, escaped if necessary.
fn spell(out: &mut String, character: char, escape: Escape) {
    let quotes = has_quotes(escape);
    match character {
        _ if escape == Escape::Raw => out.push(character),
        '"' if quotes => out.push_str("\\\""),
        '\\' if quotes => out.push_str("\\\\"),
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        '\t' => out.push_str("\\t"),
        '\u{8}' if escape == Escape::Json => out.push_str("\\b"),
        '\u{c}' if escape == Escape::Json => out.push_str("\\f"),
        _ if !is_invisible(character) => out.push(character),
        _ if escape == Escape::Json => {
            for unit in character.encode_utf16(&mut [0; 2]) {
                // Writing to a `String` cannot fail.
                let _ = write!(out, "\\u{unit:04x}");
            }
        }
        _ => drop(write!(out, "\\u{{{:x}}}", u32::from(character))),
    }
}

fn has_quotes(escape: Escape) -> bool {
    matches!(escape, Escape::Quoted | Escape::Json)
}

/// Returns the length of the prefix that needs no escaping.
fn plain_prefix(text: &[u8], escape: Escape) -> usize {
    if escape == Escape::Raw {
        return text.len();
    }
    let mut plain = 0;
    while let Some(eight) = text[plain..].first_chunk() {
        if may_be_special(u64::from_le_bytes(*eight)) {
            return plain + plain_bytes(&text[plain..], escape);
        }
        plain += 8;
    }
    // The last eight bytes again, if the text has as many, because most texts are short.
    let last = text.last_chunk().map(|last| u64::from_le_bytes(*last));
    match may_be_special(last.unwrap_or_else(|| spread(text))) {
        true => plain + plain_bytes(&text[plain..], escape),
        false => text.len(),
    }
}

/// Returns the length of the prefix that needs no escaping, byte by byte.
fn plain_bytes(text: &[u8], escape: Escape) -> usize {
    let special = text.iter().position(|byte| is_special(*byte, escape));
    special.unwrap_or(text.len())
}

/// Returns eight bytes in which each byte of a shorter text occurs, and no other.
fn spread(text: &[u8]) -> u64 {
    let halves = match text {
        [] => [*b"    "; 2],
        [a] => [[*a; 4]; 2],
        [a, b] => [[*a; 4], [*b; 4]],
        [a, b, c] => [[*a; 4], [*b, *b, *c, *c]],
        _ => match (text.first_chunk(), text.last_chunk()) {
            (Some(first), Some(last)) => [*first, *last],
            // Never: the text has at least four bytes.
            _ => [[0; 4]; 2],
        },
    };
    let [first, last] = halves.map(u32::from_le_bytes).map(u64::from);
    last << 32 | first
}

/// Returns true if one of eight bytes may be a control, a quote, a backslash, DEL or not ASCII.
fn may_be_special(eight: u64) -> bool {
    const ONES: u64 = u64::MAX / 0xff;
    const HIGHS: u64 = 0x80 * ONES;
    // A zero byte borrows into its highest bit. The result may be wrong for the bytes above it,
    // which is harmless: the eight bytes are then checked one by one.
    let is_zero = |word: u64| word.wrapping_sub(ONES) & !word;
    let controls = eight.wrapping_sub(0x20 * ONES) & !eight;
    let others = is_zero(eight ^ (0x22 * ONES))
        | is_zero(eight ^ (0x5c * ONES))
        | is_zero(eight ^ (0x7f * ONES));
    (controls | others | eight) & HIGHS != 0
}

/// Returns true if a character that begins with this byte may have to be escaped.
fn is_special(byte: u8, escape: Escape) -> bool {
    match byte {
        _ if escape == Escape::Raw => false,
        b'"' | b'\\' => has_quotes(escape),
        // DEL, and the first bytes of all invisible characters.
        0x7f | 0xc2 | 0xd8 | 0xe1 | 0xe2 | 0xef | 0xf0 | 0xf3 => true,
        _ => byte < b' ',
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn escaped(text: &str, escape: Escape) -> String {
        let mut out = String::new();
        assert!(push(&mut out, text, escape, usize::MAX));
        out
    }

    #[test]
    fn characters_that_end_a_line_or_control_a_terminal_are_escaped() {
        for (text, terminal, json) in [
            ("plain text, 8+", "plain text, 8+", "plain text, 8+"),
            ("äöü€😀", "äöü€😀", "äöü€😀"),
            ("a\nb\r\tc", r"a\nb\r\tc", r"a\nb\r\tc"),
            ("\u{1b}[31mred", r"\u{1b}[31mred", r"\u001b[31mred"),
            ("\u{9b}31m\u{7f}", r"\u{9b}31m\u{7f}", r"\u009b31m\u007f"),
            ("\0\u{8}\u{c}", r"\u{0}\u{8}\u{c}", r"\u0000\b\f"),
            (
                "x\u{2028}y\u{202e}z",
                r"x\u{2028}y\u{202e}z",
                r"x\u2028y\u202ez",
            ),
            (r#"C:\a "b""#, r#"C:\a "b""#, r#"C:\\a \"b\""#),
            ("nbsp\u{a0}—", "nbsp\u{a0}—", "nbsp\u{a0}—"),
            (
                "a\u{200e}b\u{200f}c\u{61c}d\u{ad}e\u{200b}",
                r"a\u{200e}b\u{200f}c\u{61c}d\u{ad}e\u{200b}",
                r"a\u200eb\u200fc\u061cd\u00ade\u200b",
            ),
            ("x\u{e0041}", r"x\u{e0041}", r"x\udb40\udc41"),
        ] {
            assert_eq!(escaped(text, Escape::Console), terminal);
            assert_eq!(escaped(text, Escape::Json), json);
            let read: String = serde_json::from_str(&format!("\"{json}\"")).unwrap();
            assert_eq!(read, text);
        }
        assert_eq!(
            escaped("a \"b\"\\\u{1b}", Escape::Quoted),
            r#"a \"b\"\\\u{1b}"#
        );
    }

    #[test]
    fn every_character_has_the_same_meaning_to_a_parser() {
        let odd = ('\u{10000}'..=char::MAX).filter(|character| is_invisible(*character));
        for character in ('\0'..='\u{ffff}')
            .chain(odd)
            .chain(['\u{10000}', char::MAX])
        {
            let text = format!("1234567{character}123456789");
            let json = format!("\"{}\"", escaped(&text, Escape::Json));
            assert_eq!(serde_json::from_str::<String>(&json).unwrap(), text);
            let terminal = escaped(&text, Escape::Console);
            assert!(!terminal.chars().any(is_invisible), "{character:?}");
            assert!(!json.chars().any(is_invisible), "{character:?}");
        }
    }

    #[test]
    fn texts_of_any_length_are_escaped_at_any_place() {
        for length in 0..=20 {
            let plain = "x".repeat(length);
            assert_eq!(escaped(&plain, Escape::Json), plain);
            for at in 0..length {
                for special in ["\n", "\"", "\\", "\u{7f}", "\0", "\u{9b}"] {
                    let text = format!("{}{special}{}", &plain[..at], &plain[at + 1..]);
                    let json = format!("\"{}\"", escaped(&text, Escape::Json));
                    assert!(!json.chars().any(is_invisible), "{json}");
                    assert_eq!(serde_json::from_str::<String>(&json).unwrap(), text);
                }
            }
        }
    }

    #[test]
    fn a_text_is_cut_where_there_is_no_more_room() {
        for text in ["plain text", "a\u{1b}b\u{1b}c", "äöüäöüäöü", "\"\"\"\"\""] {
            for escape in [Escape::Console, Escape::Quoted, Escape::Json] {
                let whole = escaped(text, escape);
                for most in 0..whole.len() {
                    let mut out = String::new();
                    assert!(!push(&mut out, text, escape, most) || out == whole);
                    assert!(
                        out.len() <= most && whole.starts_with(&out),
                        "{text} {most}"
                    );
                }
            }
        }
    }
}
