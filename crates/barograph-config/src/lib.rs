//! The configuration of telemetry, read from environment variables.
//!
//! [`Config::read`] looks all variables up with a function and returns typed settings: the types of
//! the crates that use them, such as [`SpanLimits`](barograph_tracing::trace::SpanLimits). Each value
//! is parsed once. An unset variable is `None`: the setting of the program applies, then the default.
//! An invalid value counts as unset and adds a [`Notice`], except that an invalid boolean is false. No
//! variable keeps a service from starting but the one that requires persistent queues.
//!
//! This is a separate crate because it is pure: it opens no file and no connection, starts no thread
//! and does not access the environment, so everything that a variable can do is tested with a table.
//!
//! # Features
//!
//! * `otlp`: receivers of OTLP and Zipkin, proxies and persistent queues. Without it, a variable that
//!   requests a push only adds a notice.
#![forbid(unsafe_code)]
#![warn(missing_docs)]

pub mod variables;
mod notice;
mod environment;
mod resource;
#[cfg(feature = "otlp")]
pub mod otlp;
mod exporters;
pub mod signals;
mod config;

pub use crate::config::{Config, is_allowed_host};
pub use crate::environment::Lookup;
pub use crate::exporters::{Exporter, Exporters, SignalExporters};
pub use crate::notice::Notice;
pub use crate::resource::EnvResource;
pub use crate::variables::Variable;
