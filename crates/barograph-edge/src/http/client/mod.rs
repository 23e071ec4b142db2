//! A tower layer for the requests that a client sends: their metric, their spans, and the context
//! in their headers.
//!
//! `http.client.request.duration`, in seconds, has the labels `http.request.method`,
//! `server.address`, `server.port`, `http.response.status_code`, `network.protocol.version` and
//! `error.type`. One that does not apply has an empty value.
//!
//! Each request through the layer is one try: a layer that tries again belongs around it, not
//! inside. The try ends with the body of its response. `error.type` is the status code from 400 on,
//! else the type of the error that the service or the body gave, `_OTHER` where that has no name, or
//! `panic`. A request that its caller drops was cancelled, which is no error.
//!
//! ```
//! use barograph_core::registry::Registry;
//! use barograph_edge::http::{HttpClientLayer, Route};
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
mod service;
mod layer;
#[cfg(feature = "reqwest-middleware")]
mod middleware;

pub use attempts::Attempts;
pub use layer::{HttpClientLayer, HttpClientLayerBuilder};
#[cfg(feature = "reqwest-middleware")]
pub use middleware::HttpClientMiddleware;
pub use service::HttpClient;

use crate::wire;

/// The body of a response to a request that is recorded until it ends.
pub type ResponseBody<B> = wire::ResponseBody<B, exchange::Exchange>;

/// The response to a request that is recorded.
pub type ResponseFuture<F> = wire::ResponseFuture<F, exchange::Exchange>;

/// A layer that records into the registry of the process.
pub fn layer() -> HttpClientLayer {
    HttpClientLayer::builder().build()
}
