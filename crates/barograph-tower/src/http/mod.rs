//! Tower layers for HTTP: requests that a server receives, and those that a client sends.

mod route;
#[cfg(feature = "axum")]
mod axum;
pub(crate) mod url;
mod scheme;
pub(crate) mod forwarded;
pub(crate) mod sender;
mod methods;
pub(crate) mod layer_config;
mod settings;
mod request_size;
mod instruments;
mod spans;
mod exchange;
mod layer;
pub mod client;

pub use client::{HttpClientLayer, HttpClientLayerBuilder};
pub use forwarded::{InvalidNetwork, Origin, TrustedProxies};
pub use layer::{HttpServerLayer, HttpServerLayerBuilder};
pub use methods::set_known_methods;
pub use route::Route;
pub use scheme::Scheme;

use std::sync::Arc;

use crate::lifecycle;

/// A service whose requests are recorded, made by [`HttpServerLayer`].
pub type HttpServer<S> = lifecycle::RecordedService<S, Arc<exchange::HttpRecorder>>;

/// The body of a response; the request is recorded when it ends.
pub type HttpResponseBody<B> = lifecycle::ResponseBody<B, exchange::HttpExchange>;

/// The future of a response to a request that is recorded.
pub type HttpResponseFuture<F> = lifecycle::ResponseFuture<F, exchange::HttpExchange>;
