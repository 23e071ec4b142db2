//! The facade, through its public API and real sockets.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod client;
mod service;
mod bounds;
mod negative;
mod extremes;
mod limits;
mod pages;
mod recording;
mod runtimes;
mod start;
#[cfg(feature = "axum")]
mod serve;
#[cfg(feature = "otlp")]
#[path = "../receiver/mod.rs"]
mod receiver;
#[cfg(feature = "otlp")]
mod push;
#[cfg(feature = "otlp")]
mod events;
#[cfg(feature = "otlp")]
mod layers;
#[cfg(feature = "otlp")]
mod counted;
mod context;
