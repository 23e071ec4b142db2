//! Functions that write JSON piece by piece.
//!
//! Nothing here keeps track of open objects and arrays: the caller has to make sure that the output
//! is valid JSON. Only commas are inserted automatically, depending on the preceding character.

use std::fmt::{self, Write as _};

/// Writes a comma if a value precedes.
pub(crate) fn next(out: &mut String) {
    if !out.is_empty() && !out.ends_with(['[', '{', ':']) {
        out.push(',');
    }
}

/// Writes the key of a field, which must need no escaping; the value has to follow.
pub(crate) fn field(out: &mut String, key: &str) {
    next(out);
    out.push('"');
    out.push_str(key);
    out.push_str("\":");
}

/// Writes a field with a quoted value; neither the key nor the value may need escaping.
pub(crate) fn quoted(out: &mut String, key: &str, value: impl fmt::Display) {
    field(out, key);
    print(out, format_args!("\"{value}\""));
}

/// Writes a number. NaN and the infinities, which JSON lacks, become strings as in protobuf's JSON
/// mapping.
pub(crate) fn float(out: &mut String, value: f64) {
    if value.is_finite() {
        out.push_str(zmij::Buffer::new().format_finite(value));
    } else if value.is_nan() {
        out.push_str("\"NaN\"");
    } else {
        out.push_str(if value > 0.0 {
            "\"Infinity\""
        } else {
            "\"-Infinity\""
        });
    }
}

/// Writes a quoted string, escaped where needed.
pub(crate) fn text(out: &mut String, text: &str) {
    out.push('"');
    let mut from = 0;
    for (at, byte) in text.bytes().enumerate() {
        // All of these are ASCII, so the text is never cut inside a character.
        if byte >= b' ' && byte != b'"' && byte != b'\\' {
            continue;
        }
        out.push_str(&text[from..at]);
        match byte {
            b'"' => out.push_str("\\\""),
            b'\\' => out.push_str("\\\\"),
            b'\n' => out.push_str("\\n"),
            byte => print(out, format_args!("\\u{byte:04x}")),
        }
        from = at + 1;
    }
    out.push_str(&text[from..]);
    out.push('"');
}

/// Appends formatted text without escaping.
pub(crate) fn print(out: &mut String, text: fmt::Arguments<'_>) {
    out.write_fmt(text)
        .expect("writing into memory does not fail");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_characters_that_json_requires_are_escaped() {
        let mut out = String::new();
        text(&mut out, "é\"\\\n\u{1f}\u{7f}/😀");
        assert_eq!(out, "\"é\\\"\\\\\\n\\u001f\u{7f}/😀\"");
    }

    #[test]
    fn commas_are_written_only_between_values() {
        let mut out = String::from("{");
        quoted(&mut out, "a", 1);
        field(&mut out, "b");
        out.push('[');
        for value in [0.5, f64::NAN, f64::NEG_INFINITY] {
            next(&mut out);
            float(&mut out, value);
        }
        out.push_str("]}");
        assert_eq!(out, r#"{"a":"1","b":[0.5,"NaN","-Infinity"]}"#);
    }
}
