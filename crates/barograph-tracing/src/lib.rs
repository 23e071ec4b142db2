//! Spans, log lines and log records from `tracing`, and all that decides about them.
//!
//! This is a separate crate because of its dependencies, `tracing` and `tracing-subscriber`, which the
//! core must not have. It spawns no threads and reads no environment variables.
//!
//! * [`sampling`]: samplers, which decide the traces that are recorded, and tail sampling.
//! * [`redact`]: redaction of secrets in attributes and messages.
//! * [`filter`]: filters by target and level.
//! * [`trace`]: spans from `tracing`.
//! * [`log`]: log lines on the terminal, and log records.
//! * [`instrument`]: parts for crates that instrument a protocol.
//! * [`observe`]: a span, a duration and errors of any operation.
#![forbid(unsafe_code)]
#![warn(missing_docs)]

pub mod sampling;
pub mod redact;
pub mod filter;
mod recycled;
pub mod trace;
pub mod log;
pub mod instrument;
pub mod observe;
