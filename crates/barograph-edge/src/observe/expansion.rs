//! What `#[observe]` expands to.
//!
//! The type of a function's output is not known to the macro. So it writes a method call that the
//! compiler resolves by how often it has to look through a reference: [`ByOutcome`] where the output
//! is an [`Outcome`], else [`ByResult`] where it is a `Result` of any error, else [`ByAny`].

use std::fmt::Display;
use std::future::Future;

pub use barograph_model::span::SpanKind;
pub use tracing::field::{debug, display};
pub use tracing::{Level, Value};

pub use super::outcome::{Failure, Outcome};
pub use super::running::Running;
pub use super::site::{Declaration, Site};

use super::future::Observed;
use super::observer::Chosen;
use super::outcome::ErrorType;

/// Begins an operation with the values of its site's keys. None when all is off.
#[inline]
pub fn begin(site: &'static Site, values: &[&dyn Value]) -> Option<Running<()>> {
    let observer = Chosen::default();
    if observer.is_off() {
        return None;
    }
    Some(Running::begin(site, observer, (), values))
}

/// Runs a function that is an operation.
#[inline]
pub fn run<T>(
    running: Option<Running<()>>,
    function: impl FnOnce() -> T,
    judge: impl FnOnce(&T) -> Option<Failure<'_>>,
) -> T {
    super::future::run(running, function, judge)
}

/// Runs a future that is an operation.
#[inline]
pub fn future<F: Future>(
    running: Option<Running<()>>,
    future: F,
    judge: impl FnOnce(&F::Output) -> Option<Failure<'_>>,
) -> impl Future<Output = F::Output> {
    Observed::new(|| running, future, judge)
}

/// What an operation gave, or its error.
pub struct Output<'o, T>(pub &'o T);

/// An output that tells how it failed.
pub trait ByOutcome<'o> {
    #[doc(hidden)]
    fn __barograph_failure(&self) -> Option<Failure<'o>>;
}

impl<'o, T: Outcome> ByOutcome<'o> for &&Output<'o, T> {
    #[inline]
    fn __barograph_failure(&self) -> Option<Failure<'o>> {
        self.0.failure()
    }
}

/// A `Result` of an error of which only the type is known.
pub trait ByResult {
    #[doc(hidden)]
    fn __barograph_failure(&self) -> Option<Failure<'static>>;
}

impl<T, E> ByResult for &Output<'_, Result<T, E>> {
    #[inline]
    fn __barograph_failure(&self) -> Option<Failure<'static>> {
        let failed = self.0.is_err();
        failed.then(|| Failure::new(ErrorType::named_like::<E>()))
    }
}

/// Anything else, which is no failure.
pub trait ByAny {
    #[doc(hidden)]
    fn __barograph_failure(&self) -> Option<Failure<'static>>;
}

impl<T> ByAny for Output<'_, T> {
    #[inline]
    fn __barograph_failure(&self) -> Option<Failure<'static>> {
        None
    }
}

/// An error with a message, and with a type by which it is known.
pub trait ByError<'o> {
    #[doc(hidden)]
    fn __barograph_message(&self, failure: Failure<'o>) -> Failure<'o>;
}

impl<'o, E: Display + 'static> ByError<'o> for &&Output<'o, E> {
    fn __barograph_message(&self, failure: Failure<'o>) -> Failure<'o> {
        failure.with_message(self.0).with_level_of(self.0)
    }
}

/// An error with a message.
pub trait ByDisplay<'o> {
    #[doc(hidden)]
    fn __barograph_message(&self, failure: Failure<'o>) -> Failure<'o>;
}

impl<'o, E: Display> ByDisplay<'o> for &Output<'o, E> {
    fn __barograph_message(&self, failure: Failure<'o>) -> Failure<'o> {
        failure.with_message(self.0)
    }
}

/// An error without one.
pub trait ByAnyError<'o> {
    #[doc(hidden)]
    fn __barograph_message(&self, failure: Failure<'o>) -> Failure<'o>;
}

impl<'o, E> ByAnyError<'o> for Output<'_, E> {
    fn __barograph_message(&self, failure: Failure<'o>) -> Failure<'o> {
        failure
    }
}
