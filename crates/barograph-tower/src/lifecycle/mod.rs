//! One request, from the call of a service to the end of the response's body.
//!
//! An [`Exchange`] is the record of a request, by one protocol on one side of the connection. It moves
//! with the request, as part of an [`Ongoing`] one.

mod nesting;
mod ongoing;
mod body;
mod future;
mod service;

use std::any::Any;

use http::{HeaderMap, header, response};
use http_body::Body;

pub(crate) use body::ResponseBody;
pub(crate) use future::ResponseFuture;
pub(crate) use nesting::Layers;
pub(crate) use ongoing::Ongoing;
pub(crate) use service::{RecordedService, Recorder};

/// The record of one request, updated step by step by the types that the request passes through.
pub trait Exchange: Sized {
    /// Makes the request current on this thread, until the guard is dropped.
    fn enter(&self) -> impl Sized + '_;

    /// Records the head of the response. Returns how the request ends with it, if it does.
    fn respond(&mut self, head: &mut response::Parts) -> Option<End>;

    /// Returns true if trailers of the body may change how the request ends. The announced length of the
    /// body is not its end then.
    fn awaits_trailers(&self) -> bool {
        false
    }

    /// Sets the number of bytes of the response's body that were read so far.
    fn pass(&mut self, bytes: u64) {
        let _ = bytes;
    }

    /// Records the trailers of the body.
    fn trailers(&mut self, trailers: &HeaderMap) {
        let _ = trailers;
    }

    /// Records the error with which the request is about to end. Returns the kind of the error, if it is
    /// better known than by its type.
    fn fail(&mut self, error: &dyn Any) -> Option<&'static str> {
        let _ = error;
        None
    }

    /// Ends the request and records it.
    fn end(self, end: End);
}

/// The way in which a request ends.
#[derive(Clone, Copy, Debug)]
pub enum End {
    /// The response was complete.
    Complete,
    /// The response was dropped before it was complete.
    Dropped,
    /// The service or the body panicked.
    Panic,
    /// The service returned an error of this kind and no response.
    ServiceError(&'static str),
    /// The body returned an error of this kind.
    BodyError(&'static str),
    /// The connection was upgraded to another protocol.
    Upgrade,
}

impl End {
    /// Returns the end for an exchange that is being dropped.
    pub(crate) fn of_drop() -> Self {
        if std::thread::panicking() {
            End::Panic
        } else {
            End::Dropped
        }
    }
}

/// Returns the announced length of a body in bytes, by the body itself or by its headers.
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
