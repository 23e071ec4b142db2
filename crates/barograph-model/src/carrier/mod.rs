//! Carriers of a context in transit: headers of requests, records and messages, and the environment.
//!
//! Reading and writing are two traits, because they apply to different objects: incoming headers are
//! only read, outgoing headers are only written. Maps and lists of plain text are carriers here;
//! carriers of other libraries are in the crates that depend on them.

mod values;
mod plain;
mod environment;

pub use environment::{Environment, Variables};
pub use values::Values;

/// The most entries of a list that are read: the producer of a record decides how many headers it has,
/// and each name is searched among all of them.
pub const MAX_ENTRIES: usize = 1024;

/// A carrier that is read.
///
/// Names are requested in lower case. A carrier with case-insensitive names finds them in any case.
///
/// ```
/// use barograph_model::carrier::{Carrier, Values};
/// struct Metadata<'a>(&'a [(&'a str, &'a str)]);
/// impl Carrier for Metadata<'_> {
///     fn values_of(&self, name: &str) -> Values<'_> {
///         let all = self.0.iter().filter(|(n, _)| n.eq_ignore_ascii_case(name));
///         all.map(|(_, value)| value.as_bytes()).collect()
///     }
/// }
/// let metadata = Metadata(&[("Baggage", "a=1"), ("baggage", "b=2")]);
/// assert!(metadata.values_of("baggage").into_iter().eq([b"a=1", b"b=2"]));
/// ```
pub trait Carrier {
    /// Returns all values of a name, in their order.
    fn values_of(&self, name: &str) -> Values<'_>;

    /// Returns the value of a name, if there is exactly one.
    ///
    /// A header that must be unique and occurs twice is ambiguous, and is ignored.
    fn value_of(&self, name: &str) -> Option<&[u8]> {
        self.values_of(name).one()
    }

    /// Calls `see` with each name at least once. A carrier that cannot list its names does not call it;
    /// then only headers with known names are found in it.
    fn each_name<'a>(&'a self, see: &mut dyn FnMut(&'a str)) {
        let _ = see;
    }
}

/// A carrier that is written.
pub trait CarrierMut {
    /// Sets the only value of a name, and replaces all values that it has, in any case.
    ///
    /// Name and value are ASCII that fits into an HTTP header. Names are in lower case, except for
    /// those that contain a name of the application; a carrier with case-insensitive names may change
    /// their case.
    fn set(&mut self, name: &str, value: &str);

    /// Sets a value that is available as bytes, for carriers that hold bytes.
    fn set_bytes(&mut self, name: &str, value: &[u8]) {
        if let Ok(value) = str::from_utf8(value) {
            self.set(name, value);
        }
    }

    /// Removes a name with all its values, in any case.
    fn unset(&mut self, name: &str);
}

impl<C: Carrier + ?Sized> Carrier for &C {
    #[inline]
    fn values_of(&self, name: &str) -> Values<'_> {
        (**self).values_of(name)
    }

    #[inline]
    fn value_of(&self, name: &str) -> Option<&[u8]> {
        (**self).value_of(name)
    }

    #[inline]
    fn each_name<'a>(&'a self, see: &mut dyn FnMut(&'a str)) {
        (**self).each_name(see);
    }
}
