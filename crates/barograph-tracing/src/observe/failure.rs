//! The failure of an operation.

use std::fmt::{self, Display};

use tracing::Level;

use super::by_error::ByError;
use super::error_type::ErrorType;

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
        self.level = LEVELS.apply(error).unwrap_or(Some(Level::ERROR));
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

/// Sets the level of the log line for failures with an error of a type, in this process, from now on;
/// none writes no line. An expected business error, such as an order that cannot be paid, usually does
/// not deserve a line of level `ERROR`.
///
/// It makes lines less severe, never more: of this level and that of the operation, which is `ERROR`
/// by default, the less severe one is used. Span, metrics and interceptors still get the failure,
/// and tail sampling still counts its trace as failed.
///
/// ```
/// # extern crate barograph_tracing as barograph;
/// use barograph::observe;
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
    LEVELS.set(level);
}

static LEVELS: ByError<Option<Level>> = ByError::new();

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_does_not_show_its_message() {
        let failure = Failure::of(&"secret");
        assert_eq!(format!("{failure:?}"), "Failure(ErrorType(\"_OTHER\"))");
    }
}
