//! A tower layer for the requests that a client sends.

mod hosts;
mod attempts;
mod recorder;
mod exchange;
mod layer;
#[cfg(feature = "reqwest-middleware")]
mod middleware;

pub use attempts::Attempts;
pub use layer::{HttpClientLayer, HttpClientLayerBuilder};
#[cfg(feature = "reqwest-middleware")]
pub use middleware::HttpClientMiddleware;

use std::sync::Arc;

use crate::lifecycle;

/// A client whose requests are recorded, made by [`HttpClientLayer`].
pub type HttpClient<S> = lifecycle::RecordedService<S, Arc<recorder::HttpClientRecorder>>;

/// The body of a response; the request is recorded when it ends.
pub type HttpClientResponseBody<B> = lifecycle::ResponseBody<B, exchange::HttpClientExchange>;

/// The future of a response to a request that is recorded.
pub type HttpClientResponseFuture<F> = lifecycle::ResponseFuture<F, exchange::HttpClientExchange>;
