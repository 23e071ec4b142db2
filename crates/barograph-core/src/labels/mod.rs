//! Label sets in the program's own types: structs with a derive, and single values for the macros.
//!
//! ```
//! extern crate barograph_core as barograph;
//! use barograph::Registry;
//! use barograph::labels::{LabelSet, LabelValue};
//!
//! #[derive(LabelValue)]
//! enum Kind { Web, App }
//!
//! #[derive(LabelSet)]
//! struct Order<'a> {
//!     kind: Kind,
//!     #[label(name = "http.route")]
//!     route: &'a str,
//! }
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let registry = Registry::new();
//! let orders = registry.counter("orders").build_with_labels::<Order>()?;
//! orders.with(&Order { kind: Kind::Web, route: "/orders/{id}" }).inc();
//! # assert_eq!(registry.value("orders", &[("kind", "web"), ("http.route", "/orders/{id}")]), Some(1.0));
//! # Ok(())
//! # }
//! ```

pub(crate) mod key;

use std::borrow::Cow;

pub use barograph_macros::{LabelSet, LabelValue};
#[doc(hidden)]
pub use barograph_model::label::PackedLabels;

#[doc(hidden)]
pub use crate::labels::key::{Key, Lookup, LookupResult, Shape};

/// A struct whose fields are labels. Implemented by `#[derive(LabelSet)]`.
///
/// Fields can be `&str`, `String`, `Cow<str>`, integers, `bool`, and enums that derive [`LabelValue`].
/// Enums are the fastest to look up, text is the slowest. `#[label(name = "...")]` gives a label
/// another name than the field's.
pub trait LabelSet: Key {
    /// Returns the names of the labels, sorted.
    fn names() -> &'static [&'static str];
}

/// An enum whose variants are the values of a label. Implemented by `#[derive(LabelValue)]`, together
/// with [`ToLabel`].
///
/// The text of a variant is its name in snake case, or the name given with `#[label(name = "...")]`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no label value",
    note = "derive `LabelValue` for an enum without fields, or use text, an integer or `bool`"
)]
pub trait LabelValue {
    /// The text of each variant.
    const NAMES: &'static [&'static str];

    /// Returns the position of this variant in [`NAMES`](Self::NAMES).
    fn index(&self) -> usize;
}

/// A single label value in a macro call: text, an integer, `bool`, `char`, or a [`LabelValue`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no label value",
    note = "use text, an integer, `bool`, `char`, or an enum that derives `LabelValue`"
)]
pub trait ToLabel {
    /// Returns its text, written to `buffer` if the value is not text itself.
    fn to_label<'a>(&'a self, buffer: &'a mut LabelBuffer) -> &'a str;
}

/// A buffer for the text of one number or character.
#[derive(Default)]
#[expect(missing_debug_implementations, reason = "for the macros only")]
pub struct LabelBuffer {
    number: itoa::Buffer,
    char: [u8; 4],
}

impl LabelBuffer {
    /// Returns an empty buffer.
    pub fn new() -> Self {
        Self::default()
    }
}

impl<T: ToLabel + ?Sized> ToLabel for &T {
    #[inline]
    fn to_label<'a>(&'a self, buffer: &'a mut LabelBuffer) -> &'a str {
        T::to_label(self, buffer)
    }
}

macro_rules! text {
    ($($text:ty),*) => {$(
        impl ToLabel for $text {
            #[inline]
            fn to_label<'a>(&'a self, _: &'a mut LabelBuffer) -> &'a str {
                self
            }
        }
    )*};
}

macro_rules! numbers {
    ($($number:ty),*) => {$(
        impl ToLabel for $number {
            #[inline]
            fn to_label<'a>(&'a self, buffer: &'a mut LabelBuffer) -> &'a str {
                buffer.number.format(*self)
            }
        }
    )*};
}

text!(str, String, Cow<'_, str>, Box<str>);
numbers!(u8, u16, u32, u64, usize, i8, i16, i32, i64, isize);

impl ToLabel for bool {
    fn to_label<'a>(&'a self, _: &'a mut LabelBuffer) -> &'a str {
        if *self { "true" } else { "false" }
    }
}

impl ToLabel for char {
    fn to_label<'a>(&'a self, buffer: &'a mut LabelBuffer) -> &'a str {
        self.encode_utf8(&mut buffer.char)
    }
}
