//! Encoders for telemetry: Prometheus pages, OTLP requests and Zipkin spans.
//!
//! This is a separate crate because it does no I/O and must not depend on the instruments: it uses only
//! the snapshot of [`barograph_model`], and can encode anything that implements
//! [`Source`](barograph_model::snapshot::Source).
//!
//! * [`prometheus`]: pages for Prometheus and compatible scrapers.
//! * [`otlp`]: requests for OTLP receivers.
//! * [`zipkin`]: spans for Zipkin.
//!
//! # Features
//!
//! * `parse`: `prometheus::parse`, a strict parser of pages, for tools and tests.
#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod block_copy;
mod json;
mod report;
mod walk;
pub mod prometheus;
pub mod otlp;
pub mod zipkin;
