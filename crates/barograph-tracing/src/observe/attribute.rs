//! Attributes of an operation.

use barograph_core::labels::{LabelBuffer, ToLabel as _};
use tracing::Value;

/// The maximum number of attributes of an operation or an event; further ones are dropped.
pub const MOST_ATTRIBUTES: usize = 12;

/// A key and its value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Attribute<'a> {
    /// The name, from the semantic conventions if they have one.
    pub key: &'static str,
    /// The value.
    pub value: AttributeValue<'a>,
}

/// The value of an attribute.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum AttributeValue<'a> {
    /// Text.
    Text(&'a str),
    /// An integer.
    Int(i64),
    /// A floating-point number.
    Float(f64),
    /// A boolean.
    Bool(bool),
}

impl AttributeValue<'_> {
    /// Returns the value as a field of `tracing`.
    pub(super) fn as_field(&self) -> &dyn Value {
        match self {
            AttributeValue::Text(text) => text,
            AttributeValue::Int(number) => number,
            AttributeValue::Float(number) => number,
            AttributeValue::Bool(is) => is,
        }
    }

    /// Returns the value as a label; floating-point numbers are empty.
    pub(super) fn as_label<'b>(&'b self, buffer: &'b mut LabelBuffer) -> &'b str {
        match self {
            AttributeValue::Text(text) => text,
            AttributeValue::Int(number) => number.to_label(buffer),
            AttributeValue::Float(_) => "",
            AttributeValue::Bool(is) => is.to_label(buffer),
        }
    }
}

impl<'a> From<&'a str> for AttributeValue<'a> {
    fn from(text: &'a str) -> Self {
        AttributeValue::Text(text)
    }
}

impl<'a> From<&'a String> for AttributeValue<'a> {
    fn from(text: &'a String) -> Self {
        AttributeValue::Text(text)
    }
}

impl From<f64> for AttributeValue<'_> {
    fn from(number: f64) -> Self {
        AttributeValue::Float(number)
    }
}

impl From<bool> for AttributeValue<'_> {
    fn from(is: bool) -> Self {
        AttributeValue::Bool(is)
    }
}

macro_rules! whole {
    ($($number:ty),*) => {$(
        impl From<$number> for AttributeValue<'_> {
            fn from(number: $number) -> Self {
                AttributeValue::Int(i64::from(number))
            }
        }
    )*};
}

whole!(i8, i16, i32, i64, u8, u16, u32);

macro_rules! clamped {
    ($($number:ty),*) => {$(
        impl From<$number> for AttributeValue<'_> {
            fn from(number: $number) -> Self {
                // A larger number is reported as the maximum.
                AttributeValue::Int(i64::try_from(number).unwrap_or(i64::MAX))
            }
        }
    )*};
}

clamped!(u64, usize);

/// The attributes that an operation carries until it ends: [`Attributes`], or `()` for none.
pub trait Carried: Sealed {
    #[doc(hidden)]
    fn as_slice(&self) -> &[Attribute<'_>];
}

/// Prevents implementations of [`Carried`] outside of this crate.
pub trait Sealed {}

/// A set of attributes with unique keys that does not allocate.
#[derive(Clone, Copy, Debug)]
pub struct Attributes<'a> {
    all: [Attribute<'a>; MOST_ATTRIBUTES],
    count: usize,
}

impl Default for Attributes<'_> {
    fn default() -> Self {
        let none = Attribute {
            key: "",
            value: AttributeValue::Bool(false),
        };
        Attributes {
            all: [none; MOST_ATTRIBUTES],
            count: 0,
        }
    }
}

impl<'a> Attributes<'a> {
    /// Sets an attribute. Returns true if there was space for it.
    pub(super) fn set(&mut self, key: &'static str, value: AttributeValue<'a>) -> bool {
        let attribute = Attribute { key, value };
        let here = &mut self.all[..self.count];
        if let Some(old) = here.iter_mut().find(|old| old.key == key) {
            *old = attribute;
            return true;
        }
        let Some(free) = self.all.get_mut(self.count) else {
            return false;
        };
        *free = attribute;
        self.count += 1;
        true
    }
}

impl Sealed for Attributes<'_> {}

impl Carried for Attributes<'_> {
    fn as_slice(&self) -> &[Attribute<'_>] {
        &self.all[..self.count]
    }
}

impl Sealed for () {}

impl Carried for () {
    fn as_slice(&self) -> &[Attribute<'_>] {
        &[]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_there_once_and_the_last_value_counts() {
        let mut attributes = Attributes::default();
        assert!(attributes.set("a", 1.into()));
        assert!(attributes.set("b", "x".into()));
        assert!(attributes.set("a", 2_usize.into()));
        let found: Vec<_> = attributes.as_slice().iter().map(|a| a.value).collect();
        assert_eq!(found, [AttributeValue::Int(2), AttributeValue::Text("x")]);
    }

    #[test]
    fn too_many_attributes_are_refused() {
        const KEYS: [&str; MOST_ATTRIBUTES + 1] = [
            "a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "m",
        ];
        let mut attributes = Attributes::default();
        let taken = KEYS.map(|key| attributes.set(key, true.into()));
        assert_eq!(
            taken.iter().filter(|taken| **taken).count(),
            MOST_ATTRIBUTES
        );
        assert!(!taken[MOST_ATTRIBUTES]);
    }
}
