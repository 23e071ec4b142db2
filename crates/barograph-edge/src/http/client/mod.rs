//! A tower layer for the requests that a client sends: their metric, their spans, and the context
//! in their headers.
//!
//! `http.client.request.duration`, in seconds, has the labels `http.request.method`,
//! `server.address`, `server.port`, `http.response.status_code`, `network.protocol.version` and
//! `error.type`. One that does not apply has an empty value.
//!
//! Each request through the layer is one try: a layer that tries again belongs around it, not
//! inside. The try ends with the body of its response. A request that passes two layers which record
//! into the same registry counts once, in the outer one.
//!
//! One layer does for all servers: the address is that of the URL, or of the header `Host` where the URL has none.
//! Each is a series, as far as the family's limit goes. A program that sends requests wherever its users
//! want lists [its own servers](HttpClientLayerBuilder::with_known_hosts); the others are `_OTHER`.
//!
//! # Errors
//!
//! `error.type` is the status code from 400 on, `panic`, or why there was no answer, in one word for one
//! cause: the same for clients of hyper-util, reqwest and tonic, for boxed errors of tower, and for
//! [operations](crate::observe) that fail of one. A request that its caller drops was cancelled, which is
//! no error.
//!
//! | word | what has happened |
//! |---|---|
//! | `connection_refused` | nobody listens there |
//! | `connection_reset` | the other side, or something on the way, has cut the connection |
//! | `connection_aborted` | this side has |
//! | `connection_closed` | the other side has closed it before the answer was whole |
//! | `connection_failed` | no connection could be made, for another reason |
//! | `host_unreachable`, `network_unreachable` | there is no way to the other side |
//! | `address_not_available` | the address is none of this machine, or its ports are used up |
//! | `name_resolution` | the name of the host could not be resolved |
//! | `tls` | the other side cannot be trusted, or speaks no TLS |
//! | `timeout` | a limit of time was over |
//! | `protocol_error` | what came is not HTTP |
//! | `too_many_redirects` | as reqwest counts them |
//! | the path of a type | an error of a type of its own, about whose causes nothing is known |
//! | `_OTHER` | anything else |
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
