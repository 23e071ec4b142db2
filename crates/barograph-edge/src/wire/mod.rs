//! One request, from the call of a service to the end of the response's body.
//!
//! An [`Exchange`] is the record of a request, by one protocol on one side of the connection. It moves
//! with the request: into the response future, then into the response body. Its last owner ends it, and
//! dropping it ends it too. So there is exactly one end in every case.

mod exchange;
mod errors;
mod nesting;
mod body;
mod future;

pub(crate) use body::ResponseBody;
#[cfg(feature = "reqwest-middleware")]
pub(crate) use errors::cause;
#[cfg(feature = "tracing")]
pub(crate) use errors::known_cause;
pub(crate) use errors::{BoxError, DebugStart, OTHER, causes, error_type};
pub(crate) use exchange::{End, Exchange, announced};
pub(crate) use future::ResponseFuture;
pub(crate) use nesting::{Layers, Nested};
