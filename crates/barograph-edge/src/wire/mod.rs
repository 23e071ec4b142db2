//! One request on its way, from the call of a service to the end of the response's body.
//!
//! An [`Exchange`] is what is told about it, by one protocol on one side of the connection. It goes
//! with the request: into the response future, then into the response body. Whoever has it last
//! ends it, and dropping it is an end, too. So there is exactly one, whatever happens.

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
