//! The context that a request or message arrived with, made current while the request is processed.

use barograph_core::current::{self, ContextGuard, Current};
use barograph_model::context::{Propagation, TraceContext, TrustBoundary};

/// The propagated context of a request that applies to its processing. The default is empty and
/// changes nothing.
#[derive(Clone, Debug, Default)]
pub struct ReceivedContext(Option<Current>);

impl ReceivedContext {
    /// Returns the context to process a request in, for a context received across a boundary, and the
    /// span to link to if that span must not be the parent.
    ///
    /// If a trusted caller sends nothing, the current context is left unchanged. Behind an
    /// untrusted boundary the current context is cleared.
    pub fn of(received: Propagation, boundary: TrustBoundary) -> (Self, Option<TraceContext>) {
        let clears = boundary != TrustBoundary::Trusted;
        let (propagation, linked) = received.across(boundary);
        let context = (clears || !propagation.is_empty()).then(|| Current::from(propagation));
        (ReceivedContext(context), linked)
    }

    /// Returns the context to process a message in, for a context found in this process. An empty
    /// context changes nothing.
    pub fn of_here(propagation: Propagation) -> Self {
        ReceivedContext((!propagation.is_empty()).then(|| Current::from(propagation)))
    }

    /// Makes the context current until the guard is dropped.
    pub fn enter(&self) -> Option<ContextGuard> {
        self.0.clone().map(current::enter)
    }
}
