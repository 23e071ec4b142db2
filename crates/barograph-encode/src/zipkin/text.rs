//! Conversion of attribute values to strings: Zipkin tags hold nothing else.

use std::borrow::Cow;

use barograph_model::value::{AnyValue, Attribute};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::json::{self, float, next, print};

/// The maximum nesting depth of arrays and maps; deeper values become `null`.
const DEPTH: u32 = 24;

/// Returns the text of a tag. Values other than strings become JSON, without quotes around the
/// whole.
pub(super) fn of(value: &AnyValue) -> Cow<'_, str> {
    match value {
        AnyValue::Str(text) => Cow::Borrowed(text),
        AnyValue::Bytes(bytes) => STANDARD.encode(bytes).into(),
        AnyValue::F64(number) if !number.is_finite() => match number {
            number if number.is_nan() => "NaN".into(),
            number if *number > 0.0 => "Infinity".into(),
            _ => "-Infinity".into(),
        },
        value => {
            let mut text = String::new();
            write(&mut text, value, DEPTH);
            text.into()
        }
    }
}

/// Returns the text of an annotation: the event's name and its attributes.
pub(super) fn of_event<'a>(name: &'a str, attributes: &[Attribute]) -> Cow<'a, str> {
    if attributes.is_empty() {
        return name.into();
    }
    let mut text = String::new();
    json::text(&mut text, name);
    text.push(':');
    write_map(&mut text, attributes, DEPTH);
    text.into()
}

fn write(out: &mut String, value: &AnyValue, depth: u32) {
    match value {
        AnyValue::Str(text) => json::text(out, text),
        AnyValue::Bool(value) => print(out, format_args!("{value}")),
        AnyValue::I64(number) => print(out, format_args!("{number}")),
        AnyValue::F64(number) => float(out, *number),
        AnyValue::Bytes(bytes) => json::text(out, &STANDARD.encode(bytes)),
        AnyValue::Array(values) if depth > 0 => {
            out.push('[');
            for value in values {
                next(out);
                write(out, value, depth - 1);
            }
            out.push(']');
        }
        AnyValue::Map(attributes) if depth > 0 => write_map(out, attributes, depth - 1),
        _ => out.push_str("null"),
    }
}

fn write_map(out: &mut String, attributes: &[Attribute], depth: u32) {
    out.push('{');
    for Attribute { key, value } in attributes {
        next(out);
        json::text(out, key);
        out.push(':');
        write(out, value, depth);
    }
    out.push('}');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_converted_to_text() {
        for (value, text) in [
            ("a \"b\"".into(), "a \"b\""),
            (true.into(), "true"),
            ((-7).into(), "-7"),
            (0.5.into(), "0.5"),
            (f64::NAN.into(), "NaN"),
            (f64::NEG_INFINITY.into(), "-Infinity"),
            (AnyValue::Bytes([0xff, 0].into()), "/wA="),
            (vec!["a", "b"].into(), r#"["a","b"]"#),
            (Vec::<i64>::new().into(), "[]"),
            (
                AnyValue::Map([Attribute::new("k", vec![f64::INFINITY])].into()),
                r#"{"k":["Infinity"]}"#,
            ),
        ] {
            assert_eq!(of(&value), text);
        }
    }

    #[test]
    fn values_nested_too_deeply_become_null() {
        let mut value = AnyValue::from(1);
        for _ in 0..100 {
            value = AnyValue::Array([value].into());
        }
        let text = of(&value).into_owned();
        assert_eq!(text, format!("{}null{}", "[".repeat(24), "]".repeat(24)));
    }
}
