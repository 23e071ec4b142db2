//! The layers for HTTP and gRPC, used as an application does.
#![expect(clippy::unwrap_used, reason = "a test fails where it cannot go on")]

mod page;
mod script;

mod bodies;
mod causes;
mod chain;
mod clients;
mod contexts;
mod grpc;
mod nesting;
mod pages;
mod peers;
mod requests;
mod request_spans;
mod reqwests;
mod routes;
mod server;
