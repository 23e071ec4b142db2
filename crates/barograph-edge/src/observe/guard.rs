//! An operation in three lines: begin, do it, finish.

use std::fmt::{self, Display};

use tracing::Span;

use super::attribute::{AttributeValue, Carried};
use super::event;
use super::outcome::{ErrorType, Failure, Outcome};
use super::running::Running;

/// An operation that goes on until it is finished.
///
/// One that is dropped before was canceled, unless an [error](Self::error) was noted, which it then
/// failed with, or the thread is unwinding from a panic that began in it. So a `?` on the way counts
/// as canceled: note the error first, or use [`observe`](super::observe()).
///
/// It is not in its span by itself, so that it can be held over an `await`; be in the span by
/// [`in_scope`](Self::in_scope) and [`span`](Self::span).
///
/// ```
/// use barograph_edge::observe;
///
/// let mut op = observe::begin("UserService", "GetUser");
/// let user = op.in_scope(|| "7".parse::<u32>());
/// op.event("user.found", &[("user.kind", "guest".into())]);
/// op.finish(&user);
/// ```
#[must_use = "an operation that is dropped at once was canceled"]
pub struct Guard<A: Carried = ()> {
    /// None when all is off.
    running: Option<Running<A>>,
    noted: Option<ErrorType>,
}

impl<A: Carried> Guard<A> {
    pub(super) fn new(running: Option<Running<A>>) -> Self {
        Guard {
            running,
            noted: None,
        }
    }

    /// Ends it as its result says.
    #[inline]
    pub fn finish(mut self, outcome: &impl Outcome) {
        if let Some(running) = &mut self.running {
            running.end(outcome.failure().as_ref());
        }
    }

    /// Ends it well.
    #[inline]
    pub fn succeed(mut self) {
        if let Some(running) = &mut self.running {
            running.end(None);
        }
    }

    /// Ends it with a failure.
    pub fn fail(mut self, failure: &Failure<'_>) {
        if let Some(running) = &mut self.running {
            running.end(Some(failure));
        }
    }

    /// Notes an error, with a log line in its span. The operation goes on; if it is dropped without
    /// being finished, it failed with the last error that was noted.
    pub fn error<E: Display + 'static>(&mut self, error: &E) {
        if let Some(running) = &self.running {
            let failure = Failure::of(error);
            running.log_error(&failure);
            self.noted = Some(failure.error_type);
        }
    }

    /// Says that something happened in it: an event of its span.
    pub fn event(&mut self, name: &str, attributes: &[(&'static str, AttributeValue<'_>)]) {
        event::emit(name, self.span().id(), attributes);
    }

    /// Runs a function in its span.
    pub fn in_scope<T>(&self, function: impl FnOnce() -> T) -> T {
        self.span().in_scope(function)
    }

    /// Its span, disabled where nobody wants it.
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
