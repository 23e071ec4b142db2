//! Record once; let Prometheus read it. Every number leads to its trace.
//!
//! ```
//! use barograph::counter;
//!
//! let telemetry = barograph::Telemetry::builder("shop").without_listener().start()?;
//! counter!("orders", kind = "web").inc();
//! assert!(telemetry.page(None).body.contains("orders_total{kind=\"web\"} 1\n"));
//! # Ok::<(), barograph::Error>(())
//! ```
//!
//! This crate is the facade, which services depend on. It alone reads the environment, starts threads
//! and sets globals. The crates below it are re-exported as [`core`], [`encode`], `export`, [`kafka`] and
//! [`model`], and by module: [`filter`], [`logs`], [`observe`](mod@observe), [`redact`], [`sampling`] and
//! [`trace`]; [`carrier`], [`grpc`] and [`http`].
//!
//! * [`init()`] starts everything; [`Telemetry::builder`] configures each part.
//! * [`counter!`], [`gauge!`], [`histogram!`] and the other macros record in one line; a
//!   [`Registry`](registry::Registry) returns handles, which are faster.
//! * [`propagator::Propagators`] read and write the headers that carry a trace between services.
//! * [`observe()`] and [`#[observe]`](macro@observe) around an operation give it a span, a duration,
//!   an error counter and a log line; see [`observe`](mod@observe).
//! * [`Telemetry::serve`] runs an axum app and shuts it down in order.
//! * [`testing::Capture`] captures telemetry in tests.
//!
//! # Features
//!
//! * `axum` (default): [`Telemetry::serve`], and routes and client addresses of requests in [`http`].
//! * `otlp` (default): `push`, which exports what is recorded to any OTLP receiver.
//! * `reqwest-middleware`: [`http::client`] for clients built with reqwest.
//! * `rdkafka`: `kafka::KafkaHeaders`, for records of the rdkafka client; [`kafka`] works with any client
//!   without this feature.
//! * `zstd`: adds zstd compression of export requests.
#![forbid(unsafe_code)]
#![warn(missing_docs)]

// Dependency order: a module uses only the modules above it.
mod error;
mod stderr;
mod diagnostics;
mod resource;
mod listen;
#[cfg_attr(not(test), warn(clippy::arithmetic_side_effects))]
mod supervise;
mod process;
mod self_metrics;
mod page;
mod readiness;
mod accept;
mod admin;
#[cfg(feature = "otlp")]
#[cfg_attr(not(test), warn(clippy::arithmetic_side_effects))]
pub mod push;
#[cfg(not(feature = "otlp"))]
#[path = "no_push.rs"]
mod push;
#[cfg(feature = "otlp")]
mod console;
#[cfg(feature = "otlp")]
mod exports;
mod reload_layer;
mod subscriber;
mod exit;
mod signals;
mod telemetry;
mod start_line;
mod builder;
pub mod testing;
#[cfg(feature = "axum")]
pub mod serve;

pub use barograph_core as core;
pub use barograph_encode as encode;
#[cfg(feature = "otlp")]
pub use barograph_export as export;
pub use barograph_kafka as kafka;
pub use barograph_model as model;

#[doc(hidden)]
pub use barograph_core::callsite;
pub use barograph_core::labels::{LabelSet, LabelValue};
pub use barograph_core::{
    counter, counter_f64, describe, gauge, gauge_i64, histogram, up_down_counter,
};
pub use barograph_core::{current, labels, registry};
pub use barograph_model::{context, propagator};
pub use barograph_tower::{carrier, grpc, http};
pub use barograph_tracing::observe::{self, observe};
pub use barograph_tracing::{filter, log as logs, redact, sampling, trace};

pub use crate::builder::{Builder, init};
pub use crate::error::{Error, Result, StartError};
pub use crate::page::{Page, Pages};
pub use crate::readiness::Readiness;
pub use crate::subscriber::Filters;
pub use crate::telemetry::Telemetry;

#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;
