//! The items that the expansion of `#[observe]` uses.
//!
//! The macro does not know the output type of a function. So it writes a method call that the compiler
//! resolves by the number of references it has to look through: [`ByOutcome`] if the output is an
//! [`Outcome`], else [`ByResult`] if it is a `Result` with any error, else [`ByAny`].

use std::fmt::Display;
use std::future::Future;

pub use barograph_model::span::SpanKind;
pub use tracing::field::{debug, display};
pub use tracing::{Level, Value};

pub use super::active_operation::ActiveOperation;
pub use super::failure::Failure;
pub use super::outcome::Outcome;
pub use super::site::{Declaration, Site};

use super::error_type::ErrorType;
use super::future::Observed;
use super::observer::ObserverRef;

/// Begins an operation with the values of its site's keys. None when observation is off.
#[inline]
pub fn begin(site: &'static Site, values: &[&dyn Value]) -> Option<ActiveOperation<()>> {
    let observer = ObserverRef::default();
    if observer.is_off() {
        return None;
    }
    Some(ActiveOperation::begin(site, observer, (), values))
}

/// Runs a function as an operation.
#[inline]
pub fn run<T>(
    running: Option<ActiveOperation<()>>,
    function: impl FnOnce() -> T,
    classify: impl FnOnce(&T) -> Option<Failure<'_>>,
) -> T {
    super::future::run(running, function, classify)
}

/// Wraps a future as an operation.
#[inline]
pub fn future<F: Future>(
    running: Option<ActiveOperation<()>>,
    future: F,
    classify: impl FnOnce(&F::Output) -> Option<Failure<'_>>,
) -> impl Future<Output = F::Output> {
    Observed::new(|| running, future, classify)
}

/// The output of an operation, or its error.
#[derive(Debug)]
pub struct Output<'o, T>(pub &'o T);

/// An output that reports its failure through [`Outcome`].
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

/// A `Result` whose error is known only by its type.
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

/// Any other output, which is never a failure.
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

/// An error with a message, whose level can be looked up by its type.
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

/// An error without a message.
pub trait ByAnyError<'o> {
    #[doc(hidden)]
    fn __barograph_message(&self, failure: Failure<'o>) -> Failure<'o>;
}

impl<'o, E> ByAnyError<'o> for Output<'_, E> {
    fn __barograph_message(&self, failure: Failure<'o>) -> Failure<'o> {
        failure
    }
}
