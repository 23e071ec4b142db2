//! The roof, through its public API and real sockets.

mod client;
mod service;
mod bounds;
mod pages;
mod recording;
mod runtimes;
mod start;
#[cfg(feature = "axum")]
mod serve;
