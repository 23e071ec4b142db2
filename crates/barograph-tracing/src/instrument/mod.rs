//! Parts for crates that instrument a protocol: the span of a request or message, the context that it
//! arrived with, the values of `error.type`, and the metrics of messaging.

mod error_type;
mod received_context;
mod registered;
pub mod messaging;
mod span;

pub use error_type::{BoxError, DebugStart, OTHER, cause, causes, error_type, known_cause};
pub use received_context::ReceivedContext;
pub use registered::registered;
pub use span::{OperationSpan, bounded};
