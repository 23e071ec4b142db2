//! The plain values of telemetry, and the snapshot that every encoder reads.
//!
//! This is a separate crate so that encoders and bridges can be written without any instrument: it has
//! no clock, no atomics, no I/O and no dependencies. It changes rarely.
//!
//! * [`name`], [`label`], [`descriptor`]: the names and the description of a family of series.
//! * [`context`], [`exemplar`]: the trace of a measurement, and the data propagated with a request.
//! * [`carrier`], [`propagator`]: the headers that hold a context in transit, and their formats.
//! * [`span`], [`log`], [`value`]: spans and log records, with their attributes.
//! * [`grpc`]: the status codes of gRPC calls.
//! * [`bounds`]: histogram bucket bounds, ready-made and custom.
//! * [`conventions`]: the naming conventions of metrics.
//! * [`snapshot`]: [`Source`](snapshot::Source) and the snapshots that it returns.
//! * [`text`], [`timestamp`]: characters that must not be shown as they are, counts, times.
//! * [`suppression`]: the flag of threads that export, whose work is not traced.
#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod hex;

pub mod name;
pub mod label;
pub mod resource;
pub mod context;
pub mod carrier;
pub mod propagator;
pub mod value;
pub mod span;
pub mod log;
pub mod cause;
pub mod grpc;
pub mod exemplar;
pub mod bounds;
pub mod descriptor;
pub mod conventions;
pub mod snapshot;
pub mod suppression;
pub mod text;
pub mod timestamp;
