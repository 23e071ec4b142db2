//! Tower layers for gRPC calls: their metrics, their spans, and the context in their metadata.
//!
//! They work on the HTTP requests that carry the calls, so tonic's servers and channels accept them
//! directly.
//!
//! | metric | unit | labels |
//! |---|---|---|
//! | `rpc.server.call.duration` | `s` | the first four |
//! | `rpc.client.call.duration` | `s` | all six |
//!
//! The labels are `rpc.system.name` (`grpc`), `rpc.method` (`package.Service/Method`),
//! `rpc.response.status_code` (`NOT_FOUND`), `error.type`, `server.address` and `server.port`. A label
//! that does not apply has an empty value.
//!
//! A call begins when the service is called, and ends with its stream. Its status is that of the
//! trailers, or of the response head if nothing follows the head. A call that is dropped earlier is
//! `CANCELLED`. If a client gets an error and no status, the recorded status is the one that tonic gives
//! the caller: `UNAVAILABLE` if no connection could be made, `CANCELLED` if the timeout of an endpoint
//! expired, `UNKNOWN` if nothing is known about the error.
//!
//! `error.type` is the status if that indicates an error: for clients every status but `OK`, for servers
//! `UNKNOWN`, `DEADLINE_EXCEEDED`, `UNIMPLEMENTED`, `INTERNAL`, `UNAVAILABLE` and `DATA_LOSS`. If there
//! was no status from the server, it is the reason, if known: for clients a cause such as
//! `connection_refused`, from the [causes](barograph_tracing::instrument::error_type()) that all clients
//! share, otherwise `panic`, `service_error` or `body_error`.
//!
//! Clients choose the path of a request, so not every path is a method. A path becomes a method when one
//! of its calls was answered as only the method's own code would answer, or when it
//! [was listed](GrpcServerLayerBuilder::with_methods). Until then it is `_OTHER`. A response that begins
//! without a status is such an answer, so a streaming method becomes known even if every client leaves
//! before the end. Requests that are not gRPC pass through unrecorded.
//!
//! A call that passes two layers of the same side that record into the same registry is counted once:
//! the inner layer passes it on unchanged, and this is reported.
//!
//! ```
//! use barograph_core::registry::Registry;
//! use barograph_tower::grpc::{GrpcClientLayer, GrpcServerLayer};
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
mod spans;
mod exchange;
mod server;
mod client;

pub use boxed::Boxed;
pub use client::{
    GrpcClient, GrpcClientLayer, GrpcClientLayerBuilder, GrpcClientResponseBody,
    GrpcClientResponseFuture,
};
pub use server::{
    GrpcResponseBody, GrpcResponseFuture, GrpcServer, GrpcServerLayer, GrpcServerLayerBuilder,
};
