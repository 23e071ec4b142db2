//! A tower layer that records a server's requests, from the call to the last byte of the response:
//! their metrics, their spans, and the context in which they are processed.
//!
//! | metric | unit | labels |
//! |---|---|---|
//! | `http.server.request.duration` | `s` | all five |
//! | `http.server.request.body.size` | `By` | all five |
//! | `http.server.response.body.size` | `By` | all five |
//! | `http.server.active_requests` | `{request}` | `http.request.method`, `url.scheme` |
//!
//! The five labels are `http.request.method` (`_OTHER` if it is not a known one), `http.route` (the
//! pattern that matched, never the path), `http.response.status_code`, `url.scheme` and `error.type`. A
//! label that does not apply has an empty value, which Prometheus treats as an absent label. Values
//! that a client can choose freely, such as `Host`, are not labels.
//!
//! A request begins when the service is called. It ends with its response body: when the body says that
//! it is complete, when it has given as many bytes as it announced, or with the head of the response if
//! no body can follow. If it ended otherwise, `error.type` says how: `client_disconnect` when it was
//! dropped earlier, `panic` (which continues to unwind), `service_error` or `body_error`. For a complete
//! response it is the status code from 500 on. Upgraded connections are no longer requests: they count
//! as active until the upgrade, and no duration or size is recorded.
//!
//! A request that passes two layers that record into the same registry is counted once: the outer layer
//! records it, and takes the route from the inner one if it has none itself. This is reported once,
//! because usually one of the layers is redundant.
//!
//! # Behind proxies
//!
//! Spans have the peer of the connection as `network.peer.address` and `client.address`. Behind a load
//! balancer that is the balancer. [`TrustedProxies`] names the balancers and proxies that are trusted to
//! report the client, the scheme and the host; by default none is.
//!
//! # Context and spans
//!
//! A request is processed in the context that it carries, as far as the
//! [boundary](HttpServerLayerBuilder::with_boundary) admits it. The context is
//! [current](barograph_core::current) whenever the handler and the response body are polled, so that
//! exemplars and log lines lead to their trace, and clients pass it on. Spawned tasks do not inherit it.
//!
//! Each request has a span of kind server, named `{method} {route}`, or `{method}` if no route is known,
//! where the subscriber has the layer for spans. It continues the caller's trace or begins a new one, is
//! entered at each poll, and ends when the request does. Its status is error from 500 on, and when the
//! request did not end regularly. A route that becomes known only with the response is taken from the
//! [`Route`] in the extensions of the response.
//!
//! [Outgoing requests](client) have a layer of their own.
//!
//! ```
//! use barograph_core::registry::Registry;
//! use barograph_tower::http::HttpServerLayer;
//!
//! let layer = HttpServerLayer::builder()
//!     .with_registry(&Registry::new())
//!     .with_filter(|request| request.uri.path() != "/health")
//!     .build();
//! # let _ = layer;
//! ```
//!
//! Source: OpenTelemetry semantic conventions 1.44, "HTTP metrics" and "HTTP server span".

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

/// Returns a layer that records into the global registry.
///
/// It belongs around the whole service. With axum that is `Router::layer`, after the routes were
/// added; a layer that wraps the router from outside does not see which route matches.
pub fn layer() -> HttpServerLayer {
    HttpServerLayer::builder().build()
}
