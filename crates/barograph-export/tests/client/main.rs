//! Tests of the network transport, with real sockets on the loopback.
//!
//! The servers are written by hand, so that they can do what no proper server does.
#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "helpers of tests are outside of functions that clippy knows as tests"
)]

mod certificates;
mod server;
mod grpc_server;
mod runner;

mod connection;
mod faults;
mod files;
mod grpc;
mod pauses;
mod probe;
mod http;
mod zipkin;
mod proxy;
mod suppression;
mod secrets;
mod tls;
