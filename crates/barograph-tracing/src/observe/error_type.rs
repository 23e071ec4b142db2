//! The value of `error.type`.

use std::any::Any;
use std::borrow::Cow;
use std::error::Error;
use std::fmt::{self, Display};
use std::io;

use super::by_error::ByError;
use crate::instrument::known_cause;

/// The value of `error.type`: the type of an error or a code, never its message.
///
/// It must have few different values, because each is a series. It is made from text, or from an
/// error by [`ErrorType::of`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErrorType(Cow<'static, str>);

impl ErrorType {
    /// The value for an error whose type says nothing, such as text.
    pub const OTHER: ErrorType = ErrorType(Cow::Borrowed("_OTHER"));

    /// Returns the type of an error. It is the first of these that applies:
    ///
    /// * the name that [`name_errors`] gives for errors of this type;
    /// * for an [`io::Error`], an error of a hyper client or a boxed error, its cause if that is one of
    ///   the [names](crate::instrument::error_type()) that HTTP clients use (`timeout`);
    /// * for an [`io::Error`], boxed or not, its kind (`NotFound`);
    /// * for other boxed errors and for text, [`ErrorType::OTHER`];
    /// * for any other error, the path of its type without parameters (`shop::orders::OrderError`).
    pub fn of<E: 'static>(error: &E) -> Self {
        if let Some(name) = NAMES.apply(error) {
            return name;
        }
        let any: &dyn Any = error;
        if let Some(cause) = known_cause(error) {
            return ErrorType(Cow::Borrowed(cause));
        }
        if let Some(error) = any.downcast_ref::<io::Error>() {
            return Self::of_io(error);
        }
        type Boxed = Box<dyn Error + Send + Sync>;
        if let Some(boxed) = any.downcast_ref::<Boxed>() {
            let io = boxed.downcast_ref::<io::Error>();
            return io.map_or(Self::OTHER, Self::of_io);
        }
        if let Some(boxed) = any.downcast_ref::<Box<dyn Error>>() {
            let io = boxed.downcast_ref::<io::Error>();
            return io.map_or(Self::OTHER, Self::of_io);
        }
        if any.is::<String>() || any.is::<&str>() || any.is::<Cow<'static, str>>() {
            return Self::OTHER;
        }
        Self::named_like::<E>()
    }

    /// Returns the path of a type without its parameters.
    pub(super) fn named_like<E: ?Sized>() -> Self {
        let name = std::any::type_name::<E>();
        let name = name.split('<').next().unwrap_or(name);
        ErrorType(Cow::Borrowed(name.trim_start_matches('&')))
    }

    fn of_io(error: &io::Error) -> Self {
        ErrorType(Cow::Owned(format!("{:?}", error.kind())))
    }

    /// Returns its text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&'static str> for ErrorType {
    fn from(text: &'static str) -> Self {
        ErrorType(Cow::Borrowed(text))
    }
}

impl From<String> for ErrorType {
    fn from(text: String) -> Self {
        ErrorType(Cow::Owned(text))
    }
}

impl From<Cow<'static, str>> for ErrorType {
    fn from(text: Cow<'static, str>) -> Self {
        ErrorType(text)
    }
}

impl Display for ErrorType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Sets how `error.type` is derived from errors of a type, in this process, from now on: the variants
/// of an error are usually more useful than the name of its type.
///
/// ```
/// # extern crate barograph_tracing as barograph;
/// use barograph::observe::{self, ErrorType};
///
/// enum OrderError { Missing, Refused(u16) }
///
/// observe::name_errors(|error: &OrderError| match error {
///     OrderError::Missing => "missing".into(),
///     OrderError::Refused(code) => code.to_string().into(),
/// });
/// assert_eq!(ErrorType::of(&OrderError::Refused(402)).as_str(), "402");
/// ```
pub fn name_errors<E: 'static>(name: impl Fn(&E) -> ErrorType + Send + Sync + 'static) {
    NAMES.set(name);
}

static NAMES: ByError<ErrorType> = ByError::new();

#[cfg(test)]
mod tests {
    use super::*;

    struct Generic<T>(T);

    #[test]
    fn the_type_of_an_error_is_never_its_message() {
        let boxed: Box<dyn Error + Send + Sync> = "secret".into();
        assert_eq!(ErrorType::of(&boxed), ErrorType::OTHER);
        assert_eq!(ErrorType::of(&String::from("secret")), ErrorType::OTHER);
        assert_eq!(ErrorType::of(&"secret"), ErrorType::OTHER);
        let generic = Generic(vec![1_u8]);
        assert_eq!(generic.0.len(), 1);
        let name = ErrorType::of(&generic);
        assert_eq!(
            name.as_str(),
            "barograph_tracing::observe::error_type::tests::Generic"
        );
    }

    #[test]
    fn the_kind_of_an_io_error_is_its_type_boxed_or_not() {
        for (kind, expected) in [
            (io::ErrorKind::TimedOut, "timeout"),
            (io::ErrorKind::ConnectionRefused, "connection_refused"),
            (io::ErrorKind::NotFound, "NotFound"),
        ] {
            let error = || io::Error::new(kind, "secret");
            assert_eq!(ErrorType::of(&error()).as_str(), expected);
            let boxed: Box<dyn Error> = error().into();
            assert_eq!(ErrorType::of(&boxed).as_str(), expected);
            let sent: Box<dyn Error + Send + Sync> = error().into();
            assert_eq!(ErrorType::of(&sent).as_str(), expected);
        }
    }
}
