//! Tower layers for calls of gRPC: their metrics, their spans, and the context in their metadata.
//!
//! They work on the requests of HTTP that calls are made of, so tonic's servers and channels take
//! them as they are.
//!
//! | metric | unit | labels |
//! |---|---|---|
//! | `rpc.server.call.duration` | `s` | the first four |
//! | `rpc.client.call.duration` | `s` | all six |
//!
//! The labels are `rpc.system.name` (`grpc`), `rpc.method` (`package.Service/Method`),
//! `rpc.response.status_code` (`NOT_FOUND`), `error.type`, `server.address` and `server.port`. One
//! that does not apply has an empty value.
//!
//! A call begins when the service is called, and ends with its stream: the status is that of the
//! trailers, or of the head where nothing follows it. A call that is dropped before is `CANCELLED`.
//! Where a client gets an error and no status, it is the one that tonic gives the caller:
//! `UNAVAILABLE` where no connection could be made, `CANCELLED` where the time of an endpoint was over,
//! `UNKNOWN` where nothing is known of the error.
//!
//! `error.type` is the status where that says that something is wrong: for clients every status but
//! `OK`, for servers `UNKNOWN`, `DEADLINE_EXCEEDED`, `UNIMPLEMENTED`, `INTERNAL`, `UNAVAILABLE` and
//! `DATA_LOSS`. Where a server has told no status it says why, as far as that is known: of clients
//! a cause such as `connection_refused`, from the [table](crate::http::client#errors) that all clients have in common,
//! else `panic`, `service_error`, `body_error`.
//!
//! Callers choose the path of a request, so not each path is a method: it is one when a call of
//! it was answered as only its own code would, or when it [was listed](GrpcServerLayerBuilder::with_methods).
//! Until then it is `_OTHER`. A response that begins without a status is such an answer, so a stream is
//! known by its method even if every client leaves before its end. Requests that are not of gRPC pass
//! unrecorded.
//!
//! A call that passes two layers of one side which record into the same registry counts once: the
//! inner layer passes it on as it is, which is reported.
//!
//! ```
//! use barograph_core::registry::Registry;
//! use barograph_edge::grpc::{GrpcClientLayer, GrpcServerLayer};
//!
//! let registry = Registry::new();
//! // tonic::transport::Server::builder().layer(server)
//! let server = GrpcServerLayer::builder()
//!     .with_registry(&registry)
//!     .with_services(["shop.Orders", "shop.Stock"])
//!     .build();
//! // OrdersClient::new(client.layer(channel))
//! let client = GrpcClientLayer::builder()
//!     .with_registry(&registry)
//!     .with_server("orders.shop.internal", 50051)
//!     .build();
//! # let _ = (server, client);
//! ```
//!
//! Source: OpenTelemetry semantic conventions 1.44, "gRPC" (a release candidate).

mod status;
mod boxed;
mod methods;
mod recorder;
#[cfg(feature = "tracing")]
mod spans;
#[cfg(not(feature = "tracing"))]
#[path = "no_spans.rs"]
mod spans;
mod exchange;
mod server;
mod client;

pub use boxed::Boxed;
pub use client::{
    ClientResponseBody, ClientResponseFuture, GrpcClient, GrpcClientLayer, GrpcClientLayerBuilder,
};
pub use server::{GrpcServer, GrpcServerLayer, GrpcServerLayerBuilder};

use crate::wire;

/// The body of a response to a call that a server answers, which is recorded until it ends.
pub type ResponseBody<B> = wire::ResponseBody<B, exchange::Exchange>;

/// The response to a call that a server answers.
pub type ResponseFuture<F> = wire::ResponseFuture<F, exchange::Exchange>;
