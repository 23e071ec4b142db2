//! An operation in three steps: begin, work, finish.

use std::fmt::{self, Display};

use tracing::Span;

use super::active_operation::ActiveOperation;
use super::attribute::{AttributeValue, Carried};
use super::error_type::ErrorType;
use super::event;
use super::failure::Failure;
use super::outcome::Outcome;

/// An operation that runs until it is finished.
///
/// If it is dropped earlier, it was canceled, with two exceptions: it failed if an
/// [error](Self::error) was noted, and it panicked if the thread is unwinding from a panic that began
/// during the operation. So an early return by `?` counts as canceled: note the error first, or use
/// [`observe`](super::observe()).
///
/// The guard does not enter its span, so that it can be held over an `await`; use
/// [`in_scope`](Self::in_scope) and [`span`](Self::span) for that.
///
/// ```
/// # extern crate barograph_tracing as barograph;
/// use barograph::observe;
///
/// let mut op = observe::begin("UserService", "GetUser");
/// let user = op.in_scope(|| "7".parse::<u32>());
/// op.event("user.found", &[("user.kind", "guest".into())]);
/// op.finish(&user);
/// ```
#[must_use = "an operation that is dropped at once was canceled"]
pub struct Guard<A: Carried = ()> {
    /// None when observation is off.
    running: Option<ActiveOperation<A>>,
    noted: Option<ErrorType>,
}

impl<A: Carried> Guard<A> {
    pub(super) fn new(running: Option<ActiveOperation<A>>) -> Self {
        Guard {
            running,
            noted: None,
        }
    }

    /// Ends the operation with the outcome of a result.
    #[inline]
    pub fn finish(mut self, outcome: &impl Outcome) {
        if let Some(running) = &mut self.running {
            running.end(outcome.failure().as_ref());
        }
    }

    /// Ends the operation successfully.
    #[inline]
    pub fn succeed(mut self) {
        if let Some(running) = &mut self.running {
            running.end(None);
        }
    }

    /// Ends the operation with a failure.
    pub fn fail(mut self, failure: &Failure<'_>) {
        if let Some(running) = &mut self.running {
            running.end(Some(failure));
        }
    }

    /// Notes an error, with a log line in the span. The operation continues; if it is dropped without
    /// being finished, it failed with the last error that was noted.
    pub fn error<E: Display + 'static>(&mut self, error: &E) {
        if let Some(running) = &self.running {
            let failure = Failure::of(error);
            running.log_error(&failure);
            self.noted = Some(failure.error_type);
        }
    }

    /// Emits an event in the span of the operation.
    pub fn event(&mut self, name: &str, attributes: &[(&'static str, AttributeValue<'_>)]) {
        event::emit(name, self.span().id(), attributes);
    }

    /// Runs a function in the span of the operation.
    pub fn in_scope<T>(&self, function: impl FnOnce() -> T) -> T {
        self.span().in_scope(function)
    }

    /// Returns the span, which is disabled if no subscriber is interested in it.
    pub fn span(&self) -> &Span {
        static NONE: Span = Span::none();
        self.running.as_ref().map_or(&NONE, |running| &running.span)
    }
}

impl<A: Carried> Drop for Guard<A> {
    fn drop(&mut self) {
        if let (Some(running), Some(error_type)) = (&mut self.running, self.noted.take()) {
            running.end_noted(error_type);
        }
    }
}

impl<A: Carried> fmt::Debug for Guard<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guard")
            .field("span", self.span())
            .field("noted", &self.noted)
            .finish_non_exhaustive()
    }
}
