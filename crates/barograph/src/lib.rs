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
//! This room is the roof: what services depend on. It alone reads the environment, makes a thread and
//! sets globals; the rooms below are reachable as [`core`], [`export`], [`edge`] and [`model`].
//!
//! * [`init()`] starts everything; [`Telemetry::builder`] takes it apart.
//! * [`counter!`], [`gauge!`], [`histogram!`] and their like record in one line; a
//!   [`Registry`](registry::Registry) makes handles that are faster still.
//! * [`propagator::Propagators`] read and write the headers by which a trace goes from service to service.
//! * [`observe()`] and [`#[observe]`](macro@observe) around an operation give it a span, a duration, a
//!   count of errors and a log line; [`observe`](mod@observe) tells the rest.
//! * [`Telemetry::serve`] runs an axum app and ends it in order.
//! * [`testing::Capture`] is telemetry for tests.
//!
//! # Features
//!
//! * `axum` (default): [`Telemetry::serve`], and routes and peers of requests in [`http`].
//! * `otlp` (default): `push`, which sends what is recorded to whoever takes OTLP.
//! * `reqwest-middleware`: [`http::client`] for clients made of reqwest.
//! * `rdkafka`: [`carrier`] for records of the client of librdkafka; [`kafka`] is there without it.
//! * `zstd`: compresses what is sent by zstd, too.
#![forbid(unsafe_code)]
#![warn(missing_docs)]

// The order is the floor plan: a module uses only those above it.
mod error;
mod stderr;
mod diagnostics;
mod env;
mod resource;
#[cfg(feature = "otlp")]
mod otlp_env;
#[cfg(not(feature = "otlp"))]
#[path = "no_otlp_env.rs"]
mod otlp_env;
#[cfg_attr(not(feature = "otlp"), allow(dead_code, reason = "it is read to tell"))]
mod events_env;
mod config;
mod listen;
#[cfg_attr(not(test), warn(clippy::arithmetic_side_effects))]
mod supervise;
mod own;
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
#[cfg(not(feature = "otlp"))]
#[path = "no_exports.rs"]
mod exports;
mod late;
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
pub use barograph_edge as edge;
pub use barograph_export as export;
pub use barograph_model as model;

pub use barograph_core::labels::{LabelSet, LabelValue};
#[doc(hidden)]
pub use barograph_core::site;
pub use barograph_core::{
    counter, counter_f64, describe, gauge, gauge_i64, histogram, up_down_counter,
};
pub use barograph_core::{current, labels, registry};
pub use barograph_edge::observe::{self, observe};
pub use barograph_edge::{carrier, grpc, http, kafka};
pub use barograph_model::{context, propagator};

pub use crate::builder::{Builder, init};
pub use crate::error::{Error, Result, StartError};
pub use crate::page::{Page, Pages};
pub use crate::readiness::Readiness;
pub use crate::subscriber::Filters;
pub use crate::telemetry::Telemetry;

#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;
