//! The layer and the source, used as an application does.
#![expect(clippy::unwrap_used, reason = "a test fails where it cannot go on")]

mod page;
mod script;
mod spans;

mod bodies;
#[cfg(feature = "rdkafka")]
mod brokers;
mod causes;
mod chain;
mod clients;
mod contexts;
mod grpc;
mod kafka;
mod keep;
mod keep_through_layer;
mod nesting;
mod operations;
mod pages;
mod peers;
mod process;
mod requests;
mod request_spans;
mod reqwests;
mod routes;
mod server;
mod trace;
