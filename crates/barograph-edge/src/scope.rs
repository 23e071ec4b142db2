//! What a request came with, current whenever it is worked on.

use barograph_core::current::{self, ContextGuard, Current};
use barograph_model::context::{Boundary, Propagation, TraceContext};

/// What a request came with, as far as it goes on here. By default nothing, which changes nothing.
#[derive(Clone, Debug, Default)]
pub(crate) struct Scope(Option<Current>);

impl Scope {
    /// What goes on behind a boundary, and the span to be linked where that is not to be the parent.
    ///
    /// A trusted caller that sends nothing leaves what is current as it is. Behind an untrusted
    /// boundary nothing is.
    pub(crate) fn of(received: Propagation, boundary: Boundary) -> (Self, Option<TraceContext>) {
        let clears = boundary != Boundary::Trusted;
        let (propagation, linked) = received.across(boundary);
        let scope = (clears || !propagation.is_empty()).then(|| Current::from(propagation));
        (Scope(scope), linked)
    }

    /// What was found here, or nothing at all.
    pub(crate) fn of_here(propagation: Propagation) -> Self {
        Scope((!propagation.is_empty()).then(|| Current::from(propagation)))
    }

    /// Makes it current until the guard is dropped.
    pub(crate) fn enter(&self) -> Option<ContextGuard> {
        self.0.clone().map(current::enter)
    }
}
