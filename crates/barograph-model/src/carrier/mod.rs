//! What holds a context on its way: headers of requests, records and messages, the environment.
//!
//! Reading and writing are two traits, because they are done to two things: what came in is only
//! read, what goes out is only written. Maps and lists of plain text are carriers here; carriers
//! of other crates are in the room that knows them.

mod values;
mod plain;
mod environment;

pub use environment::{Environment, Variables};
pub use values::Values;

/// The most entries of a list that are read: whoever may write to a topic decides how many headers
/// a record has, and each name is looked for among all of them.
pub const MAX_ENTRIES: usize = 1024;

/// Headers that are read.
///
/// Names are asked for in lower case. A carrier whose names have no case finds them in any.
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
    /// All values of a name, in their order.
    fn values_of(&self, name: &str) -> Values<'_>;

    /// The value of a name, where there is exactly one.
    ///
    /// A header that stands for one thing and comes twice says nothing: whom to believe?
    fn value_of(&self, name: &str) -> Option<&[u8]> {
        self.values_of(name).one()
    }

    /// Shows each name at least once. A carrier that cannot list them shows none; then only headers
    /// whose names are known are found in it.
    fn each_name<'a>(&'a self, see: &mut dyn FnMut(&'a str)) {
        let _ = see;
    }
}

/// Headers that are written.
pub trait CarrierMut {
    /// Sets the one value of a name, in place of all that it has, in whatever case.
    ///
    /// Name and value are ASCII that fits into a header of HTTP. Names are in lower case but for
    /// those that hold a name of the application; a carrier whose names have no case may write it
    /// as it likes.
    fn set(&mut self, name: &str, value: &str);

    /// The same with a value that is at hand as bytes, for carriers that hold bytes.
    fn set_bytes(&mut self, name: &str, value: &[u8]) {
        if let Ok(value) = str::from_utf8(value) {
            self.set(name, value);
        }
    }

    /// Removes a name with all its values, in whatever case.
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
