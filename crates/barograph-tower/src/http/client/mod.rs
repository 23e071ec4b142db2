//! A tower layer for the requests that a client sends: their metric, their spans, and the context
//! in their headers.
//!
//! `http.client.request.duration`, in seconds, has the labels `http.request.method`,
//! `server.address`, `server.port`, `http.response.status_code`, `network.protocol.version` and
//! `error.type`. A label that does not apply has an empty value.
//!
//! Each request through the layer is one attempt: put a layer that retries around this one, not inside.
//! The attempt ends with the body of its response. A request that passes two layers that record into
//! the same registry is counted once, by the outer one.
//!
//! One layer serves all servers: the address is that of the URL, or of the header `Host` if the URL has
//! none. Each is a series, up to the limit of the family. A program whose users choose where requests
//! go should list [its own servers](HttpClientLayerBuilder::with_known_hosts); others become `_OTHER`.
//!
//! # Errors
//!
//! `error.type` is the status code from 400 on, `panic`, or the reason why there was no response: one of
//! the [causes](barograph_tracing::instrument::error_type()) that all clients share. A request that its
//! caller drops was cancelled, which is not an error.
//!
//! ```
//! use barograph_core::registry::Registry;
//! use barograph_tower::http::{HttpClientLayer, Route};
//!
//! let layer = HttpClientLayer::builder()
//!     .with_registry(&Registry::new())
//!     .with_hosts(["*.shop.internal", "localhost"])
//!     .build();
//! // What the request is for goes along in its extensions.
//! let request = http::Request::get("http://orders.shop.internal/orders/17")
//!     .extension(Route::from("/orders/{id}"))
//!     .body(())?;
//! # let _ = (layer, request);
//! # Ok::<(), http::Error>(())
//! ```
//!
//! Source: OpenTelemetry semantic conventions 1.44, "HTTP client span", "HTTP client".

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

/// Returns a layer that records into the global registry.
pub fn layer() -> HttpClientLayer {
    HttpClientLayer::builder().build()
}
