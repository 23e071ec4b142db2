//! The edges of a process: the requests that it receives and sends, its spans and logs, and the
//! operating system.
//!
//! This is a separate crate because it depends on ecosystems that the core must not depend on: the
//! traits of HTTP middleware, axum's routes, the kernel's files. It spawns no threads and reads no
//! environment variables.
//!
//! * [`carrier`]: HTTP headers as carriers of a context.
//! * [`sampling`]: samplers, which decide the traces that are recorded.
//! * [`redact`], [`filter`], [`log`] (feature `tracing`): redaction of secrets, filters by target
//!   and level, and the output of events to the terminal and as log records.
//! * `trace`: spans from `tracing` (feature `tracing`).
//! * [`propagation`]: the propagators of the process.
//! * [`http`]: tower layers for the requests of servers and clients: metrics, spans, context.
//! * [`grpc`]: the same for gRPC calls.
//! * [`kafka`]: the same for Kafka records, independent of the Kafka client.
//! * [`observe`]: a span, a duration and errors of any operation (feature `tracing`).
//! * [`process`]: metrics of this process from the kernel.
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
