//! Tower layers for gRPC calls.

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
