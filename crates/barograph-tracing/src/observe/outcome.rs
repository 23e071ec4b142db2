//! The outcome of an operation, derived from its result.

use std::any::{Any, TypeId};
use std::borrow::Cow;
use std::collections::HashMap;
use std::error::Error;
use std::fmt::{self, Display};
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use tracing::Level;

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
        let named = {
            let names = names().read().unwrap_or_else(PoisonError::into_inner);
            names.get(&TypeId::of::<E>()).cloned()
        };
        let any: &dyn Any = error;
        if let Some(name) = named {
            return name(any);
        }
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
/// use barograph_tracing::observe::{self, ErrorType};
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
    let name: Name = Arc::new(move |error| match error.downcast_ref() {
        Some(error) => name(error),
        None => ErrorType::OTHER,
    });
    let mut names = names().write().unwrap_or_else(PoisonError::into_inner);
    names.insert(TypeId::of::<E>(), name);
}

type Name = Arc<dyn Fn(&dyn Any) -> ErrorType + Send + Sync>;

fn names() -> &'static RwLock<HashMap<TypeId, Name>> {
    static NAMES: OnceLock<RwLock<HashMap<TypeId, Name>>> = OnceLock::new();
    NAMES.get_or_init(RwLock::default)
}

/// Sets the level of the log line for failures with an error of a type, in this process, from now on;
/// none writes no line. An expected business error, such as an order that cannot be paid, usually does
/// not deserve a line of level `ERROR`.
///
/// It makes lines less severe, never more: of this level and that of the operation, which is `ERROR`
/// by default, the less severe one is used. Span, metrics and interceptors still get the failure.
///
/// ```
/// use barograph_tracing::observe;
/// use tracing::Level;
///
/// #[derive(Debug)]
/// enum OrderError { Refused, Database }
///
/// observe::level_errors(|error: &OrderError| match error {
///     OrderError::Refused => Some(Level::DEBUG),
///     OrderError::Database => Some(Level::ERROR),
/// });
/// ```
pub fn level_errors<E: 'static>(level: impl Fn(&E) -> Option<Level> + Send + Sync + 'static) {
    let level: LevelOf = Arc::new(move |error| match error.downcast_ref() {
        Some(error) => level(error),
        None => Some(Level::ERROR),
    });
    let mut levels = levels().write().unwrap_or_else(PoisonError::into_inner);
    levels.insert(TypeId::of::<E>(), level);
    HAS_LEVELS.store(true, Ordering::Relaxed);
}

type LevelOf = Arc<dyn Fn(&dyn Any) -> Option<Level> + Send + Sync>;

fn levels() -> &'static RwLock<HashMap<TypeId, LevelOf>> {
    static LEVELS: OnceLock<RwLock<HashMap<TypeId, LevelOf>>> = OnceLock::new();
    LEVELS.get_or_init(RwLock::default)
}

/// Most programs set no levels, and skip the lookup.
static HAS_LEVELS: AtomicBool = AtomicBool::new(false);

/// Returns the level that [`level_errors`] gives for this error; `ERROR` if there is none for its type.
fn level_of<E: 'static>(error: &E) -> Option<Level> {
    if !HAS_LEVELS.load(Ordering::Relaxed) {
        return Some(Level::ERROR);
    }
    let level = {
        let levels = levels().read().unwrap_or_else(PoisonError::into_inner);
        levels.get(&TypeId::of::<E>()).cloned()
    };
    match level {
        Some(level) => level(error),
        None => Some(Level::ERROR),
    }
}

/// The failure of an operation.
pub struct Failure<'a> {
    pub(super) error_type: ErrorType,
    pub(super) message: Option<&'a dyn Display>,
    /// The most severe level of the log line; none writes no line.
    pub(super) level: Option<Level>,
}

impl<'a> Failure<'a> {
    /// Creates a failure of this type.
    pub fn new(error_type: impl Into<ErrorType>) -> Self {
        Failure {
            error_type: error_type.into(),
            message: None,
            level: Some(Level::ERROR),
        }
    }

    /// Creates a failure from an error, with its message, at the level that [`level_errors`] gives.
    pub fn of<E: Display + 'static>(error: &'a E) -> Self {
        Failure::new(ErrorType::of(error))
            .with_message(error)
            .with_level_of(error)
    }

    /// Sets the level of the log line, unless that of the operation is less severe. `ERROR` by default.
    pub fn with_level(mut self, level: Level) -> Self {
        self.level = Some(level);
        self
    }

    /// Writes no log line.
    pub fn without_log_line(mut self) -> Self {
        self.level = None;
        self
    }

    pub(super) fn with_level_of<E: 'static>(mut self, error: &E) -> Self {
        self.level = level_of(error);
        self
    }

    /// Sets a message for people: it goes to the log line and the description of the span's status, and
    /// is not a label. Errors that show their causes when formatted by `{:#}` do so.
    pub fn with_message(mut self, message: &'a dyn Display) -> Self {
        self.message = Some(message);
        self
    }
}

impl fmt::Debug for Failure<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The message may hold secrets.
        f.debug_tuple("Failure").field(&self.error_type).finish()
    }
}

/// The output of an operation, which may be a failure.
///
/// A [`Result`] is a failure if it is an error, and an HTTP response if its status is 500 or higher.
/// Numbers, text, collections and the like never are. Implement it for a custom type, or use
/// [`observe_infallible`](super::observe_infallible).
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not tell whether it is a failure",
    note = "a `Result` does, if its error is `Display + 'static`",
    note = "implement `Outcome` for a type of your own",
    note = "`observe_infallible` takes whatever cannot fail"
)]
pub trait Outcome {
    /// Returns the failure, if the output is one.
    fn failure(&self) -> Option<Failure<'_>>;
}

impl<T, E: Display + 'static> Outcome for Result<T, E> {
    fn failure(&self) -> Option<Failure<'_>> {
        self.as_ref().err().map(Failure::of)
    }
}

impl<B> Outcome for http::Response<B> {
    fn failure(&self) -> Option<Failure<'_>> {
        let status = self.status();
        let failed = status.is_server_error();
        failed.then(|| Failure::new(status.as_str().to_owned()))
    }
}

macro_rules! never {
    ($([$($parameters:tt)*] $infallible:ty),* $(,)?) => {$(
        impl<$($parameters)*> Outcome for $infallible {
            #[inline]
            fn failure(&self) -> Option<Failure<'_>> {
                None
            }
        }
    )*};
}

never!(
    [] (), [] bool, [] char, [] String, [] &str, [] f32, [] f64,
    [] u8, [] u16, [] u32, [] u64, [] u128, [] usize,
    [] i8, [] i16, [] i32, [] i64, [] i128, [] isize,
    [T] Option<T>, [T] Vec<T>, [T] Box<[T]>, [T: ?Sized] Arc<T>,
    [K, V, S] HashMap<K, V, S>,
);

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
            "barograph_tracing::observe::outcome::tests::Generic"
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

    #[test]
    fn a_failure_does_not_show_its_message() {
        let failure = Failure::of(&"secret");
        assert_eq!(format!("{failure:?}"), "Failure(ErrorType(\"_OTHER\"))");
    }

    #[test]
    fn responses_fail_from_500_on() {
        let respond = |status: u16| {
            let response = http::Response::builder().status(status).body(()).unwrap();
            response
                .failure()
                .map(|failure| failure.error_type.as_str().to_owned())
        };
        assert_eq!(respond(404), None);
        assert_eq!(respond(503).as_deref(), Some("503"));
    }
}
