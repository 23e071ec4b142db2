//! The text of values: how it is written, and where it ends.

use std::fmt::Write as _;

use barograph_model::value::AnyValue;

/// Writes fields in braces: `{a=1, b="c"}`.
pub(super) fn braces(fields: &[(String, String)]) -> String {
    let fields = fields.iter();
    let fields: Vec<_> = fields
        .map(|(name, value)| format!("{}={value}", key(name)))
        .collect();
    format!("{{{}}}", fields.join(", "))
}

/// Writes a key: in quotes if it would not be read as one.
pub(super) fn key(name: &str) -> String {
    let is_plain = |c: char| !(c.is_whitespace() || c.is_control() || "=,{}\"*".contains(c));
    match !name.is_empty() && name != ".." && name.chars().all(is_plain) {
        true => name.to_owned(),
        false => quoted(name),
    }
}

/// Writes a word without quotes, such as a name. What would break the line is escaped.
pub(super) fn plain(text: &str) -> String {
    let mut plain = String::new();
    for c in text.chars() {
        match c.is_control() {
            true => escape(c, &mut plain),
            false => plain.push(c),
        }
    }
    plain
}

/// Writes text in quotes: `"` and `\` have a backslash, and control characters are escaped.
pub(super) fn quoted(text: &str) -> String {
    let mut quoted = String::from('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if c.is_control() => escape(c, &mut quoted),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

fn escape(c: char, to: &mut String) {
    to.extend(c.escape_default());
}

/// Writes a value. A float has a point or an exponent, so that it differs from an integer.
pub(super) fn value(value: &AnyValue) -> String {
    match value {
        AnyValue::Str(text) => quoted(text),
        AnyValue::Bool(is) => is.to_string(),
        AnyValue::I64(number) => number.to_string(),
        AnyValue::F64(number) => format!("{number:?}"),
        AnyValue::Bytes(bytes) => bytes.iter().fold("0x".to_owned(), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        }),
        AnyValue::Array(values) => {
            let values: Vec<_> = values.iter().map(self::value).collect();
            format!("[{}]", values.join(", "))
        }
        AnyValue::Map(fields) => {
            let fields = fields.iter();
            let mut fields: Vec<_> = fields
                .map(|field| (field.key.to_string(), self::value(&field.value)))
                .collect();
            fields.sort_unstable();
            braces(&fields)
        }
        other => plain(&format!("{other:?}")),
    }
}

/// Writes nanoseconds as seconds, exactly: `0.25`.
pub(super) fn seconds(nanos: u64) -> String {
    let (whole, part) = (nanos / 1_000_000_000, nanos % 1_000_000_000);
    let text = format!("{whole}.{part:09}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Reads `key=value` as it is written, up to the comma or brace that follows. Returns the key, the
/// value, and the text that follows. None if it is not in this form.
pub(super) fn field(text: &str) -> Option<(&str, &str, &str)> {
    let end = end_of(text, |c| c == '=' || c == ',' || c == '}')?;
    let (key, rest) = text.split_at(end);
    let rest = rest.strip_prefix('=')?;
    let end = end_of(rest, |c| c == ',' || c == '}')?;
    let (value, rest) = rest.split_at(end);
    let (key, value) = (key.trim(), value.trim());
    (!key.is_empty() && !value.is_empty()).then_some((key, value, rest))
}

/// Returns the position of the first wanted character outside of quotes and brackets.
fn end_of(text: &str, is_end: impl Fn(char) -> bool) -> Option<usize> {
    let (mut depth, mut is_quoted, mut is_escaped) = (0_usize, false, false);
    for (at, c) in text.char_indices() {
        if is_quoted {
            is_quoted = is_escaped || c != '"';
            is_escaped = !is_escaped && c == '\\';
            continue;
        }
        match c {
            c if depth == 0 && is_end(c) => return Some(at),
            '"' => is_quoted = true,
            '[' | '{' => depth += 1,
            ']' | '}' => depth = depth.checked_sub(1)?,
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use barograph_model::value::Attribute;

    use super::*;

    #[test]
    fn values_show_their_types() {
        let map = vec![
            Attribute::new("b", vec![1, 2]),
            Attribute::new("a b", AnyValue::Bytes([0, 0xaf].into())),
        ];
        for (value, text) in [
            (AnyValue::from("1"), r#""1""#),
            (1.into(), "1"),
            (1.0.into(), "1.0"),
            (0.25.into(), "0.25"),
            (true.into(), "true"),
            ("a\"\\\n\u{7}é".into(), r#""a\"\\\n\u{7}é""#),
            (AnyValue::Map(map.into()), r#"{"a b"=0x00af, b=[1, 2]}"#),
        ] {
            assert_eq!(super::value(&value), text);
        }
    }

    #[test]
    fn times_are_exact_seconds() {
        for (nanos, text) in [
            (0, "0"),
            (1, "0.000000001"),
            (250_000_000, "0.25"),
            (10_000_000_000, "10"),
            (u64::MAX, "18446744073.709551615"),
        ] {
            assert_eq!(seconds(nanos), text);
        }
    }

    #[test]
    fn keys_and_names_cannot_break_a_line() {
        assert_eq!(key("http.route"), "http.route");
        assert_eq!(key("a=b"), r#""a=b""#);
        assert_eq!(key(".."), r#""..""#);
        assert_eq!(plain("GET /{id}\n"), r"GET /{id}\n");
    }

    #[test]
    fn a_field_ends_where_its_value_does() {
        for (text, expected) in [
            ("a=1, b=2}", Some(("a", "1", ", b=2}"))),
            (r#"a="x, \" }" }"#, Some(("a", r#""x, \" }""#, "}"))),
            (
                r#""a=b"={c=[1, 2], d=3}}"#,
                Some((r#""a=b""#, "{c=[1, 2], d=3}", "}")),
            ),
            ("a}", None),
            ("a=}", None),
            ("=1}", None),
            ("a=1", None),
            (r#"a="1}"#, None),
            ("a=]}", None),
        ] {
            assert_eq!(field(text), expected, "{text}");
        }
    }
}
