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

/// A layer that records the requests of the services that it wraps. Clones share all state.
#[derive(Clone)]
pub struct HttpServerLayer {
    recorder: Arc<HttpRecorder>,
}

impl HttpServerLayer {
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
    /// use barograph_tower::http::{HttpServerLayer, Route};
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
    /// use barograph_tower::http::HttpServerLayer;
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
