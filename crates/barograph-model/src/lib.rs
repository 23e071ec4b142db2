//! The plain values of telemetry, and the snapshot that every encoder reads.
//!
//! This room is a crate of its own so that encoders and bridges can be written without any
//! instrument: it has no clock, no atomics, no I/O and no dependencies. It changes rarely.
//!
//! * [`name`], [`label`], [`descriptor`]: what a family of series is called and how it is described.
//! * [`context`], [`exemplar`]: which trace a number came from, and what travels with a request.
//! * [`carrier`], [`propagator`]: the headers that hold it on its way, and what is written in them.
//! * [`span`], [`log`], [`value`]: what was done and said, with its attributes.
//! * [`grpc`]: how a call has ended.
//! * [`bounds`]: histogram bucket bounds, ready-made and made to measure.
//! * [`snapshot`]: [`Source`](snapshot::Source) and what it shows.
//! * [`text`]: which characters are not shown as they are.
//! * [`suppression`]: the flag of threads that export, which are not traced.
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
pub mod snapshot;
pub mod suppression;
pub mod text;
