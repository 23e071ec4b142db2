//! Parts for crates that instrument a protocol: the span of a request or message, the context that it
//! arrived with, and the values of `error.type`.

mod error_type;
mod received_context;
mod span;

pub use error_type::{BoxError, DebugStart, OTHER, cause, causes, error_type, known_cause};
pub use received_context::ReceivedContext;
pub use span::{OperationSpan, bounded};
