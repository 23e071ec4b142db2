//! Escaping of texts: label values, help, and names in quotes.

/// Writes a label value, or what stands between the quotes of a name.
pub(super) fn value(out: &mut Vec<u8>, text: &str) {
    escape(out, text, |byte| match byte {
        b'\\' => Some("\\\\"),
        b'"' => Some("\\\""),
        b'\n' => Some("\\n"),
        0 => Some(NOT_NUL),
        _ => None,
    });
}

/// Writes a help text for the text format, which leaves quotes alone.
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

/// No escape stands for NUL, and Prometheus takes one for the end of the page.
const NOT_NUL: &str = "\u{fffd}";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ends_a_value_or_a_line_is_escaped() {
        let text = "a\\b\"c\nd\0é";
        let mut out = Vec::new();
        value(&mut out, text);
        assert_eq!(String::from_utf8(out).unwrap(), "a\\\\b\\\"c\\nd\u{fffd}é");
        let mut out = Vec::new();
        text_help(&mut out, text);
        assert_eq!(String::from_utf8(out).unwrap(), "a\\\\b\"c\\nd\u{fffd}é");
    }
}
