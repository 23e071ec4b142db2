//! Tower layers for HTTP requests and gRPC calls, of servers and clients: metrics, spans, and the
//! context in their headers.
//!
//! This is a separate crate because of its dependencies: the traits of HTTP middleware, the routes of
//! axum, the middleware of reqwest. It spawns no threads and reads no environment variables.
//!
//! * [`carrier`]: HTTP headers as carriers of a context.
//! * [`http`]: layers for HTTP requests.
//! * [`grpc`]: layers for gRPC calls.
#![forbid(unsafe_code)]
#![warn(missing_docs)]

pub mod carrier;
mod lifecycle;
pub mod http;
pub mod grpc;
