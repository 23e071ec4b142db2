//! Writes telemetry in the forms that others read.
//!
//! This room is a crate of its own for the weight of its dependencies, and so that it cannot know
//! the instruments: it stands on the snapshot of [`barograph_model`] alone, and whatever implements
//! [`Source`](barograph_model::snapshot::Source) can be written.
//!
//! * [`prometheus`]: pages for Prometheus and everything that scrapes like it.
//! * [`otlp`]: requests for everything that takes OTLP.
//! * [`zipkin`]: spans for Zipkin.
//! * `push` (a feature): sends those requests, again if need be, and accounts for them.
#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod steps;
mod json;
mod report;
pub mod prometheus;
pub mod otlp;
pub mod zipkin;
#[cfg(feature = "push")]
pub mod push;
