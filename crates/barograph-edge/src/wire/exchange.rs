//! What the future and the body of a response tell.

use std::any::Any;

use http::{HeaderMap, header, response};
use http_body::Body;

/// What is told about one request, step by step, by those that it passes through.
///
/// Dropping it is an end as well.
pub trait Exchange: Sized {
    /// Makes the request what this thread works on, until the guard is dropped.
    fn enter(&self) -> impl Sized + '_;

    /// Notes the head of the response. Returns how the request ends with it already, if it does.
    fn respond(&mut self, head: &mut response::Parts) -> Option<End>;

    /// Counts bytes of the response's body. Returns how many there were so far.
    fn pass(&mut self, bytes: usize) -> u64;

    /// Notes what comes after the body.
    fn trailers(&mut self, trailers: &HeaderMap) {
        let _ = trailers;
    }

    /// Notes the error with which it is about to end. Returns what kind that is, where it is better
    /// known than by its type.
    fn fail(&mut self, error: &dyn Any) -> Option<&'static str> {
        let _ = error;
        None
    }

    /// Ends the request and records it.
    fn end(self, end: End);
}

/// How a request ends.
#[derive(Clone, Copy, Debug)]
pub enum End {
    /// The response was given whole.
    Complete,
    /// Nobody wants the response any more.
    Dropped,
    /// The service or the body panicked.
    Panic,
    /// The service gave an error of this kind and no response.
    ServiceError(&'static str),
    /// The body gave an error of this kind.
    BodyError(&'static str),
    /// The connection is used for something else from now on.
    Upgrade,
}

impl End {
    /// The end of what is dropped here and now.
    pub(crate) fn of_drop() -> Self {
        if std::thread::panicking() {
            End::Panic
        } else {
            End::Dropped
        }
    }
}

/// Ends the exchange when it is dropped by a panic; to be forgotten when there was none.
///
/// The drop of the exchange itself would not do: whoever catches a panic may drop what panicked much
/// later.
pub(super) struct Unwinding<'a, X: Exchange>(pub(super) &'a mut Option<X>);

impl<X: Exchange> Drop for Unwinding<'_, X> {
    fn drop(&mut self) {
        if let Some(exchange) = self.0.take() {
            exchange.end(End::Panic);
        }
    }
}

/// Runs `f` as a part of the exchange, and ends that if `f` panics.
pub(super) fn within<X: Exchange, T>(exchange: &mut Option<X>, f: impl FnOnce() -> T) -> T {
    let unwinding = Unwinding(exchange);
    let out = {
        let _entered = unwinding.0.as_ref().map(Exchange::enter);
        f()
    };
    std::mem::forget(unwinding);
    out
}

/// How many bytes a body says that it has, itself or in the headers that come with it.
pub(crate) fn announced<B: Body>(body: &B, headers: &HeaderMap) -> Option<u64> {
    if body.is_end_stream() {
        return Some(0);
    }
    if let Some(exact) = body.size_hint().exact() {
        return Some(exact);
    }
    let length = headers.get(header::CONTENT_LENGTH)?;
    length.to_str().ok()?.parse().ok()
}
