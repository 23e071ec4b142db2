//! A tower layer that records a server's requests, from the call to the last byte of the response:
//! their metrics, their spans, and the context in which they are worked on.
//!
//! | metric | unit | labels |
//! |---|---|---|
//! | `http.server.request.duration` | `s` | all five |
//! | `http.server.request.body.size` | `By` | all five |
//! | `http.server.response.body.size` | `By` | all five |
//! | `http.server.active_requests` | `{request}` | `http.request.method`, `url.scheme` |
//!
//! The five labels are `http.request.method` (`_OTHER` when it is none of the known ones),
//! `http.route` (the pattern that matched, never the path), `http.response.status_code`,
//! `url.scheme` and `error.type`. One that does not apply has an empty value, which is to readers as
//! if it were not there. What a client can choose freely, such as `Host`, is no label.
//!
//! A request begins when the service is called. It ends with its response body: when that says that
//! it is over, when it has given as many bytes as it announced, or with the response's head when no
//! body can follow. `error.type` tells how it ended otherwise: `client_disconnect` when it was
//! dropped before, `panic` (which goes on unwinding), `service_error`, `body_error`; and of a response
//! that was given whole the status code from 500 on. Upgraded connections are no requests any more:
//! they are counted as active until then, and recorded nowhere.
//!
//! A request that passes two layers which record into the same registry counts once: the outer one
//! records it, from the inner one it takes the route where it knows none itself. That is reported
//! once, because mostly one of them is too many.
//!
//! # Behind proxies
//!
//! Spans have the peer of the connection as `network.peer.address` and `client.address`. Behind a load
//! balancer that is the balancer. Which balancers and proxies are believed when they tell the client,
//! the scheme and the host, [`TrustedProxies`] says; by default nobody is.
//!
//! # Context and spans
//!
//! A request is worked on in the context that it comes with, as far as the
//! [boundary](HttpLayerBuilder::with_boundary) lets it in: it is [current](barograph_core::current)
//! whenever the handler and the response body are polled, so that numbers and log lines lead to their
//! trace, and clients send it on. Spawned tasks do not inherit it.
//!
//! With the feature `tracing` each request has a span of kind server, named `{method} {route}`, or
//! `{method}` where no route is known. It goes on with the caller's trace or begins one, is entered at
//! each poll, and ends where the request does: with an error from 500 on, and when the request ended
//! otherwise than it should. A route that is known only with the response is taken from the
//! [`Route`] among its extensions.
//!
//! What is [sent](client) has a layer of its own.
//!
//! ```
//! use barograph_core::registry::Registry;
//! use barograph_edge::http::HttpLayer;
//!
//! let layer = HttpLayer::builder()
//!     .with_registry(&Registry::new())
//!     .with_filter(|request| request.uri.path() != "/health")
//!     .build();
//! # let _ = layer;
//! ```
//!
//! Source: OpenTelemetry semantic conventions 1.44, "HTTP metrics" and "HTTP server span".

#[cfg(feature = "axum")]
mod axum;
#[cfg(not(feature = "axum"))]
#[path = "no_axum.rs"]
mod axum;
mod route;
pub(crate) mod words;
mod scheme;
pub(crate) mod forwarded;
mod methods;
pub(crate) mod settings;
mod instruments;
#[cfg(feature = "tracing")]
mod spans;
#[cfg(not(feature = "tracing"))]
#[path = "no_spans.rs"]
mod spans;
mod exchange;
mod service;
mod layer;
pub mod client;

pub use client::{HttpClientLayer, HttpClientLayerBuilder};
pub use forwarded::{InvalidNetwork, Origin, TrustedProxies};
pub use layer::{HttpLayer, HttpLayerBuilder};
pub use methods::set_known_methods;
pub use route::Route;
pub use scheme::Scheme;
pub use service::HttpMetrics;

use crate::wire;

/// The body of a response to a request that is recorded until it ends.
pub type ResponseBody<B> = wire::ResponseBody<B, exchange::Exchange>;

/// The response to a request that is recorded.
pub type ResponseFuture<F> = wire::ResponseFuture<F, exchange::Exchange>;

/// A layer that records into the registry of the process.
///
/// It belongs around the whole service. With axum that is `Router::layer`, after the routes were
/// added; what wraps the router from outside does not see which route matches.
pub fn layer() -> HttpLayer {
    HttpLayer::builder().build()
}
