//! A request in progress.

use super::{End, Exchange};
use barograph_tracing::instrument::{ReceivedContext, error_type};

/// A request in progress: the context in which it is processed, and its exchange, if it is recorded.
///
/// It moves with the request: into the response future, then into the response body. Its last owner
/// ends the exchange, and dropping it ends the exchange too. So there is exactly one end in every case.
pub(crate) struct Ongoing<X: Exchange> {
    scope: ReceivedContext,
    exchange: Option<X>,
}

impl<X: Exchange> Ongoing<X> {
    pub(crate) fn new(scope: ReceivedContext, exchange: Option<X>) -> Self {
        Ongoing { scope, exchange }
    }

    /// Makes the received context current on this thread, until the guard is dropped.
    pub(super) fn enter_scope(&self) -> impl Sized + use<X> {
        self.scope.enter()
    }

    /// Makes the exchange current on this thread, until the guard is dropped.
    pub(crate) fn enter_exchange(&self) -> impl Sized + '_ {
        self.exchange.as_ref().map(Exchange::enter)
    }

    /// Runs `f` inside the exchange, and ends the exchange if `f` panics.
    pub(super) fn run<T>(&mut self, f: impl FnOnce() -> T) -> T {
        let unwinding = Unwinding(self);
        let out = {
            let _entered = unwinding.0.enter_exchange();
            f()
        };
        std::mem::forget(unwinding);
        out
    }

    /// Returns the exchange, unless it has ended.
    pub(super) fn exchange(&mut self) -> Option<&mut X> {
        self.exchange.as_mut()
    }

    /// Ends the exchange, unless it has ended.
    pub(super) fn end(&mut self, end: End) {
        if let Some(exchange) = self.exchange.take() {
            exchange.end(end);
        }
    }

    /// Ends the exchange because of an error.
    pub(super) fn fail<E: 'static>(&mut self, error: &E, end: fn(&'static str) -> End) {
        if let Some(mut exchange) = self.exchange.take() {
            let kind = exchange.fail(error);
            exchange.end(end(kind.unwrap_or_else(|| error_type(error))));
        }
    }

    /// Moves the request out, which leaves nothing to end.
    pub(super) fn take(&mut self) -> Self {
        Ongoing::new(self.scope.clone(), self.exchange.take())
    }
}

impl<X: Exchange> Drop for Ongoing<X> {
    fn drop(&mut self) {
        if self.exchange.is_some() {
            // Recorded while the context of the request is current.
            let _in_scope = self.enter_scope();
            self.end(End::of_drop());
        }
    }
}

/// Ends the exchange if a panic drops this guard; forgotten if there was none.
///
/// Dropping the exchange itself is too late: code that catches the panic may drop it much later.
struct Unwinding<'a, X: Exchange>(&'a mut Ongoing<X>);

impl<X: Exchange> Drop for Unwinding<'_, X> {
    fn drop(&mut self) {
        self.0.end(End::Panic);
    }
}
