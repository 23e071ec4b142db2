//! The layer and its builder.

use std::borrow::Cow;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use barograph_core::registry::Registry;
use barograph_model::context::TrustBoundary;
use barograph_model::propagator::Propagators;
use http::request::Parts;
use tower_layer::Layer;

use super::HttpServer;
use super::exchange::HttpRecorder;
use super::forwarded::TrustedProxies;
use super::route::Route;
use super::scheme::Scheme;
use super::settings::Settings;

/// A tower layer that records a server's requests, from the call to the last byte of the response:
/// their metrics, their spans, and the context in which they are processed. Clones share all state.
///
/// | metric | unit | labels |
/// |---|---|---|
/// | `http.server.request.duration` | `s` | all five |
/// | `http.server.request.body.size` | `By` | all five |
/// | `http.server.response.body.size` | `By` | all five |
/// | `http.server.active_requests` | `{request}` | `http.request.method`, `url.scheme` |
///
/// The five labels are `http.request.method` (`_OTHER` if it is not a known one), `http.route` (the
/// pattern that matched, never the path), `http.response.status_code`, `url.scheme` and `error.type`. A
/// label that does not apply has an empty value, which Prometheus treats as an absent label. Values
/// that a client can choose freely, such as `Host`, are not labels.
///
/// A request begins when the service is called. It ends with its response body: when the body says that
/// it is complete, when it has given as many bytes as it announced, or with the head of the response if
/// no body can follow. If it ended otherwise, `error.type` says how: `client_disconnect` when it was
/// dropped earlier, `panic` (which continues to unwind), `service_error` or `body_error`. For a complete
/// response it is the status code from 500 on. Upgraded connections are no longer requests: they count
/// as active until the upgrade, and no duration or size is recorded.
///
/// A request that passes two layers that record into the same registry is counted once: the outer layer
/// records it, and takes the route from the inner one if it has none itself. This is reported once,
/// because usually one of the layers is redundant.
///
/// # Behind proxies
///
/// Spans have the peer of the connection as `network.peer.address` and `client.address`. Behind a load
/// balancer that is the balancer. [`TrustedProxies`] names the balancers and proxies that are trusted to
/// report the client, the scheme and the host; by default none is.
///
/// # Context and spans
///
/// A request is processed in the context that it carries, as far as the
/// [boundary](HttpServerLayerBuilder::with_boundary) admits it. The context is
/// [current](barograph_core::current) whenever the handler and the response body are polled, so that
/// exemplars and log lines lead to their trace, and clients pass it on. Spawned tasks do not inherit it.
///
/// Each request has a span of kind server, named `{method} {route}`, or `{method}` if no route is known,
/// where the subscriber has the layer for spans. It continues the caller's trace or begins a new one, is
/// entered at each poll, and ends when the request does. Its status is error from 500 on, and when the
/// request did not end regularly. A route that becomes known only with the response is taken from the
/// [`Route`] in the extensions of the response.
///
/// ```
/// # mod barograph {
/// #     pub use barograph_core::Registry;
/// #     pub use barograph_tower::http::HttpServerLayer;
/// # }
/// use barograph::{HttpServerLayer, Registry};
///
/// let layer = HttpServerLayer::builder()
///     .with_registry(&Registry::new())
///     .with_filter(|request| request.uri.path() != "/health")
///     .build();
/// # let _ = layer;
/// ```
///
/// Source: OpenTelemetry semantic conventions 1.44, "HTTP metrics" and "HTTP server span".
#[derive(Clone)]
pub struct HttpServerLayer {
    recorder: Arc<HttpRecorder>,
}

impl HttpServerLayer {
    /// Creates a layer with default settings, which records into the global registry.
    ///
    /// It belongs around the whole service. With axum that is `Router::layer`, after the routes were
    /// added; a layer that wraps the router from outside does not see which route matches.
    pub fn new() -> Self {
        Self::builder().build()
    }

    /// Returns a builder with default settings.
    pub fn builder() -> HttpServerLayerBuilder {
        HttpServerLayerBuilder::default()
    }
}

impl<S> Layer<S> for HttpServerLayer {
    type Service = HttpServer<S>;

    fn layer(&self, inner: S) -> HttpServer<S> {
        HttpServer::new(inner, self.recorder.clone())
    }
}

impl fmt::Debug for HttpServerLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpServerLayer").finish_non_exhaustive()
    }
}

impl Default for HttpServerLayer {
    fn default() -> Self {
        Self::new()
    }
}

/// Configures and builds an [`HttpServerLayer`].
#[derive(Default)]
#[must_use = "nothing is recorded until `build`"]
pub struct HttpServerLayerBuilder {
    settings: Settings,
}

impl HttpServerLayerBuilder {
    /// Records into this registry instead of the global one.
    pub fn with_registry(mut self, registry: &Registry) -> Self {
        self.settings.layer.registry = Some(registry.clone());
        self
    }

    /// Records only the requests for which `filter` returns true. A later call replaces the filter.
    ///
    /// Use it to leave out health probes. A request that is left out does not count as active either.
    pub fn with_filter(mut self, filter: impl Fn(&Parts) -> bool + Send + Sync + 'static) -> Self {
        self.settings.layer.filter = Some(Box::new(filter));
        self
    }

    /// Sets the function that returns the pattern that matched a request, or none if no pattern did.
    ///
    /// By default it is the pattern that axum's router matched, if the feature `axum` is on, otherwise
    /// none. A route must never be derived from the request's path: every path would be a series.
    ///
    /// ```
    /// # mod barograph {
    /// #     pub use barograph_tower::http as layers;
    /// #     pub use barograph_tower::http::HttpServerLayer;
    /// # }
    /// use barograph::{HttpServerLayer, layers::Route};
    /// let layer = HttpServerLayer::builder()
    ///     .with_route(|request| request.extensions.get::<Route>().cloned())
    ///     .build();
    /// # let _ = layer;
    /// ```
    pub fn with_route(
        mut self,
        route: impl Fn(&Parts) -> Option<Route> + Send + Sync + 'static,
    ) -> Self {
        self.settings.route = Box::new(route);
        self
    }

    /// Sets the methods that are label values; every other one is `_OTHER`. Case matters.
    ///
    /// By default they are those [set](crate::http::set_known_methods) for the process, else those of
    /// RFC 9110, PATCH and QUERY.
    pub fn with_known_methods(
        mut self,
        methods: impl IntoIterator<Item = impl Into<Box<str>>>,
    ) -> Self {
        self.settings.methods = methods.into_iter().collect();
        self
    }

    /// Sets the scheme of requests that do not state theirs, as in HTTP/1. By default it is `http`.
    pub fn with_scheme(mut self, scheme: Scheme) -> Self {
        self.settings.scheme = scheme;
        self
    }

    /// Extracts contexts with these propagators instead of
    /// [those of the process](barograph_core::propagation::propagators).
    pub fn with_propagators(mut self, propagators: Propagators) -> Self {
        self.settings.layer.propagators = Some(propagators);
        self
    }

    /// Sets the trust boundary between the service and its callers. By default callers are trusted.
    ///
    /// Behind an [untrusted](TrustBoundary::Untrusted) boundary each request begins a new trace, with a
    /// link to the caller's span; the caller's sampling decision and baggage are ignored.
    pub fn with_boundary(mut self, boundary: TrustBoundary) -> Self {
        self.settings.layer.boundary = boundary;
        self
    }

    /// Creates spans only for requests for which `filter` returns true; the others are still counted. A
    /// later call replaces the filter.
    ///
    /// ```
    /// # mod barograph {
    /// #     pub use barograph_tower::http::HttpServerLayer;
    /// # }
    /// use barograph::HttpServerLayer;
    /// let quiet = ["/health", "/metrics"];
    /// let layer = HttpServerLayer::builder()
    ///     .with_span_filter(move |request| !quiet.contains(&request.uri.path()))
    ///     .build();
    /// # let _ = layer;
    /// ```
    pub fn with_span_filter(
        mut self,
        filter: impl Fn(&Parts) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.settings.span_filter = Some(Box::new(filter));
        self
    }

    /// Sets the function that redacts `url.query` in spans. By default parameters with the name of a
    /// secret, and the signatures of signed URLs, become `REDACTED`.
    pub fn with_query(
        mut self,
        query: impl Fn(&str) -> Cow<'_, str> + Send + Sync + 'static,
    ) -> Self {
        self.settings.query = Some(Box::new(query));
        self
    }

    /// Sets the function that returns the peer of a request, for `client.address` and
    /// `network.peer.address` in spans.
    ///
    /// By default it is a `SocketAddr` in the extensions of the request, or with the feature `axum` the
    /// `ConnectInfo<SocketAddr>` that `Telemetry::serve` and axum's
    /// `into_make_service_with_connect_info` put there.
    pub fn with_peer(
        mut self,
        peer: impl Fn(&Parts) -> Option<SocketAddr> + Send + Sync + 'static,
    ) -> Self {
        self.settings.layer.peer = Box::new(peer);
        self
    }

    /// Trusts what these proxies report about a request: `client.address` and `server.address` in spans,
    /// and `url.scheme` in metrics too. By default no proxy is trusted.
    pub fn with_trusted_proxies(mut self, proxies: TrustedProxies) -> Self {
        self.settings.layer.proxies = Some(proxies);
        self
    }

    /// Registers the families and builds the layer.
    ///
    /// If a name is already registered with another definition, the conflict is reported and nothing is
    /// recorded there.
    pub fn build(self) -> HttpServerLayer {
        HttpServerLayer {
            recorder: Arc::new(HttpRecorder::new(self.settings)),
        }
    }
}

impl fmt::Debug for HttpServerLayerBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpServerLayerBuilder")
            .finish_non_exhaustive()
    }
}
