//! The context that a request arrived with, made current while the request is processed.

use barograph_core::current::{self, ContextGuard, Current};
use barograph_model::context::{Boundary, Propagation, TraceContext};

/// The propagated context of a request that applies to its processing. The default is empty and
/// changes nothing.
#[derive(Clone, Debug, Default)]
pub(crate) struct Scope(Option<Current>);

impl Scope {
    /// Returns the scope for a context received across a boundary, and the span to link to if that
    /// span must not be the parent.
    ///
    /// If a trusted caller sends nothing, the current context is left unchanged. Behind an
    /// untrusted boundary the current context is cleared.
    pub(crate) fn of(received: Propagation, boundary: Boundary) -> (Self, Option<TraceContext>) {
        let clears = boundary != Boundary::Trusted;
        let (propagation, linked) = received.across(boundary);
        let scope = (clears || !propagation.is_empty()).then(|| Current::from(propagation));
        (Scope(scope), linked)
    }

    /// Returns a scope for a context found in this process. An empty context changes nothing.
    pub(crate) fn of_here(propagation: Propagation) -> Self {
        Scope((!propagation.is_empty()).then(|| Current::from(propagation)))
    }

    /// Makes the context current until the guard is dropped.
    pub(crate) fn enter(&self) -> Option<ContextGuard> {
        self.0.clone().map(current::enter)
    }
}
