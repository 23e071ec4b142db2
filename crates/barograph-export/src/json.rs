//! JSON, written piece by piece.
//!
//! Nothing here keeps count of what is open: whoever writes sees to it that what comes out is JSON.
//! Only commas are set by themselves, from what stands in front.

use std::fmt::{self, Write as _};

/// Writes a comma, where something stands in front that it has to keep apart.
pub(crate) fn next(out: &mut String) {
    if !out.is_empty() && !out.ends_with(['[', '{', ':']) {
        out.push(',');
    }
}

/// The key of a field that needs no escape; its value is to follow.
pub(crate) fn field(out: &mut String, key: &str) {
    next(out);
    out.push('"');
    out.push_str(key);
    out.push_str("\":");
}

/// A field whose value stands in quotes and needs no escape.
pub(crate) fn quoted(out: &mut String, key: &str, value: impl fmt::Display) {
    field(out, key);
    print(out, format_args!("\"{value}\""));
}

/// A number; what JSON has no word for is a text, as protobuf's mapping to JSON writes it.
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

/// A text in quotes, whatever is in it.
pub(crate) fn text(out: &mut String, text: &str) {
    out.push('"');
    let mut from = 0;
    for (at, byte) in text.bytes().enumerate() {
        // All of these are ASCII, so a text is never cut inside of a character.
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

/// Anything that can be displayed, as it is.
pub(crate) fn print(out: &mut String, text: fmt::Arguments<'_>) {
    out.write_fmt(text)
        .expect("writing into memory does not fail");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_escaped_and_nothing_else() {
        let mut out = String::new();
        text(&mut out, "é\"\\\n\u{1f}\u{7f}/😀");
        assert_eq!(out, "\"é\\\"\\\\\\n\\u001f\u{7f}/😀\"");
    }

    #[test]
    fn commas_stand_between_and_nowhere_else() {
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
