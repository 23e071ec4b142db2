//! Attributes of spans and log records: keys with typed values.

use std::borrow::Cow;

/// Text that is mostly known at compile time.
pub type Text = Cow<'static, str>;

/// A value of an attribute, or the body of a log record.
///
/// Source: OpenTelemetry 1.60, "AnyValue"; an array may hold values of different types.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum AnyValue {
    /// Text.
    Str(Text),
    /// A Boolean.
    Bool(bool),
    /// An integer.
    I64(i64),
    /// A float.
    F64(f64),
    /// Bytes that are not text.
    Bytes(Box<[u8]>),
    /// Values in order.
    Array(Box<[AnyValue]>),
    /// Values by key, each key once.
    Map(Box<[Attribute]>),
}

impl AnyValue {
    /// Returns the text, if it is one.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            AnyValue::Str(text) => Some(text),
            _ => None,
        }
    }

    /// Truncates text to this many characters, and bytes to this many bytes; also inside arrays and
    /// maps.
    ///
    /// Source: OpenTelemetry 1.60, "Attribute limits", `AttributeValueLengthLimit`.
    pub fn truncate(&mut self, length: usize) {
        match self {
            AnyValue::Str(text) => {
                // No text has more characters than bytes.
                if text.len() > length
                    && let Some((end, _)) = text.char_indices().nth(length)
                {
                    match text {
                        Cow::Borrowed(text) => *text = &text[..end],
                        Cow::Owned(text) => text.truncate(end),
                    }
                }
            }
            AnyValue::Bytes(bytes) if bytes.len() > length => *bytes = bytes[..length].into(),
            AnyValue::Array(values) => {
                for value in values {
                    value.truncate(length);
                }
            }
            AnyValue::Map(attributes) => {
                for attribute in attributes {
                    attribute.value.truncate(length);
                }
            }
            AnyValue::Bytes(_) | AnyValue::Bool(_) | AnyValue::I64(_) | AnyValue::F64(_) => {}
        }
    }
}

/// A key with its value.
///
/// ```
/// use barograph_model::value::{AnyValue, Attribute};
/// let status = Attribute::new("http.response.status_code", 200);
/// assert_eq!(status.value, AnyValue::I64(200));
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Attribute {
    /// The key.
    pub key: Text,
    /// The value.
    pub value: AnyValue,
}

impl Attribute {
    /// Returns an attribute.
    pub fn new(key: impl Into<Text>, value: impl Into<AnyValue>) -> Self {
        Attribute {
            key: key.into(),
            value: value.into(),
        }
    }
}

impl From<&'static str> for AnyValue {
    fn from(text: &'static str) -> Self {
        AnyValue::Str(Cow::Borrowed(text))
    }
}

impl From<String> for AnyValue {
    fn from(text: String) -> Self {
        AnyValue::Str(Cow::Owned(text))
    }
}

impl From<Text> for AnyValue {
    fn from(text: Text) -> Self {
        AnyValue::Str(text)
    }
}

impl From<bool> for AnyValue {
    fn from(value: bool) -> Self {
        AnyValue::Bool(value)
    }
}

impl From<f64> for AnyValue {
    fn from(number: f64) -> Self {
        AnyValue::F64(number)
    }
}

/// Implements the conversion of integers. Those that an `i64` cannot hold become text, since a wrong
/// number is worse.
macro_rules! whole_numbers {
    ($($type:ty)*) => {$(
        impl From<$type> for AnyValue {
            fn from(number: $type) -> Self {
                i64::try_from(number)
                    .map_or_else(|_| AnyValue::from(number.to_string()), AnyValue::I64)
            }
        }
    )*};
}

whole_numbers!(u8 u16 u32 u64 u128 usize i8 i16 i32 i64 i128 isize);

impl<T: Into<AnyValue>> From<Vec<T>> for AnyValue {
    fn from(values: Vec<T>) -> Self {
        AnyValue::Array(values.into_iter().map(Into::into).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_numbers_stay_what_they_are() {
        assert_eq!(AnyValue::from(u32::MAX), AnyValue::I64(4_294_967_295));
        assert_eq!(AnyValue::from(u64::MAX), "18446744073709551615".into());
        assert_eq!(AnyValue::from(i64::MIN), AnyValue::I64(i64::MIN));
    }

    #[test]
    fn texts_are_cut_between_characters() {
        let cut = |value: AnyValue, length| {
            let mut value = value;
            value.truncate(length);
            value
        };
        assert_eq!(cut("äöü".into(), 2), "äö".into());
        assert_eq!(cut("äöü".to_owned().into(), 3), "äöü".into());
        assert_eq!(cut("abc".to_owned().into(), 0), "".into());
        assert_eq!(cut(vec!["long", "x"].into(), 1), vec!["l", "x"].into());
        assert_eq!(
            cut(AnyValue::Bytes([1, 2, 3].into()), 2),
            AnyValue::Bytes([1, 2].into())
        );
        let map = |text: &'static str| AnyValue::Map([Attribute::new("k", text)].into());
        assert_eq!(cut(map("long"), 1), map("l"));
        assert_eq!(cut(7.into(), 0), 7.into());
    }
}
