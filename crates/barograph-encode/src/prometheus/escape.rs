//! Escaping of label values, help texts and quoted names.
//!
//! Nearly all texts need no escaping, which a fast check detects. Such texts are called plain here:
//! printable ASCII without `"` and `\`. A text that is not plain may still need no escaping.

use std::borrow::Cow;

use crate::block_copy::{WINDOW, is_plain_window};

/// Writes a label value, or the contents of a quoted name.
pub(super) fn value(out: &mut Vec<u8>, text: &str) {
    escape(out, text, |byte| match byte {
        b'\\' => Some("\\\\"),
        b'"' => Some("\\\""),
        b'\n' => Some("\\n"),
        0 => Some(NOT_NUL),
        _ => None,
    });
}

/// Writes a help text for the text format, which does not escape quotes.
pub(super) fn text_help(out: &mut Vec<u8>, text: &str) {
    escape(out, text, |byte| match byte {
        b'\\' => Some("\\\\"),
        b'\n' => Some("\\n"),
        0 => Some(NOT_NUL),
        _ => None,
    });
}

fn escape(out: &mut Vec<u8>, text: &str, escaped: impl Fn(u8) -> Option<&'static str>) {
    let bytes = text.as_bytes();
    let mut from = 0;
    for (i, byte) in bytes.iter().enumerate() {
        if let Some(instead) = escaped(*byte) {
            out.extend_from_slice(&bytes[from..i]);
            out.extend_from_slice(instead.as_bytes());
            from = i + 1;
        }
    }
    out.extend_from_slice(&bytes[from..]);
}

/// Returns true if a text may be ambiguous on a page: NUL is replaced, so a text with a NUL looks
/// like one with the replacement.
pub(super) fn is_lossy(text: &str) -> bool {
    !is_plain(text.as_bytes()) && (text.contains('\0') || text.contains(NOT_NUL))
}

/// Returns a text as scrapers read it from the page.
pub(super) fn as_read(text: &str) -> Cow<'_, str> {
    match text.contains('\0') {
        true => text.replace('\0', NOT_NUL).into(),
        false => text.into(),
    }
}

/// Returns true if a text is plain.
pub(super) fn is_plain(text: &[u8]) -> bool {
    let (windows, rest) = text.as_chunks();
    windows.iter().all(is_plain_window)
        && match text.last_chunk() {
            Some(window) => rest.is_empty() || is_plain_window(window),
            None => rest.iter().all(|byte| is_plain_window(&[*byte; WINDOW])),
        }
}

/// The replacement for NUL: there is no escape for it, and Prometheus takes a NUL for the end of
/// the page.
const NOT_NUL: &str = "\u{fffd}";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_text_is_printable_ascii_that_needs_no_escaping() {
        for len in 0..70 {
            let plain = vec![b'~'; len];
            assert!(is_plain(&plain), "{len}");
            for at in 0..len {
                for byte in 0..=255 {
                    let mut text = plain.clone();
                    text[at] = byte;
                    let expected = (b' '..=0x7f).contains(&byte) && byte != b'"' && byte != b'\\';
                    assert_eq!(is_plain(&text), expected, "{byte} at {at} of {len}");
                }
            }
        }
    }

    #[test]
    fn characters_that_would_end_a_value_or_a_line_are_escaped() {
        let text = "a\\b\"c\nd\0é";
        let mut out = Vec::new();
        value(&mut out, text);
        assert_eq!(String::from_utf8(out).unwrap(), "a\\\\b\\\"c\\nd\u{fffd}é");
        let mut out = Vec::new();
        text_help(&mut out, text);
        assert_eq!(String::from_utf8(out).unwrap(), "a\\\\b\"c\\nd\u{fffd}é");
    }
}
