//! Where a process meets its world: requests that come in, and the operating system below.
//!
//! This room is a crate of its own because it knows ecosystems that the core must not know: the
//! traits of HTTP middleware, axum's routes, the kernel's files. It spawns no thread and reads no
//! environment.
//!
//! * [`carrier`]: headers of HTTP as carriers of a context.
//! * [`sampling`]: which traces are recorded.
//! * [`redact`], [`filter`], [`log`] (feature `tracing`): what the service says, on the terminal and as
//!   log records.
//! * `trace`: spans out of `tracing` (feature `tracing`).
//! * [`propagation`]: the propagators of the process.
//! * [`http`]: tower layers for the requests of servers and clients: metrics, spans, context.
//! * [`grpc`]: the same for calls of gRPC.
//! * [`kafka`]: the same for records of Kafka, beside any client.
//! * [`observe`]: a span, a duration and errors of any operation; behind the feature `tracing`.
//! * [`process`]: what the kernel knows about this process.
#![forbid(unsafe_code)]
#![warn(missing_docs)]

pub mod carrier;
pub mod sampling;
#[cfg(feature = "tracing")]
pub mod redact;
#[cfg(feature = "tracing")]
pub mod filter;
#[cfg(feature = "tracing")]
pub mod trace;
#[cfg(feature = "tracing")]
pub mod log;
pub mod propagation;
mod scope;
#[cfg(feature = "tracing")]
mod span;
#[cfg(not(feature = "tracing"))]
#[path = "no_span.rs"]
mod span;
mod wire;
pub mod http;
pub mod grpc;
pub mod kafka;
#[cfg(feature = "tracing")]
pub mod observe;
pub mod process;
