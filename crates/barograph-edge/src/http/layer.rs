//! The layer, and how it is set up.

use std::borrow::Cow;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use barograph_core::registry::Registry;
use barograph_model::context::Boundary;
use barograph_model::propagator::Propagators;
use http::request::Parts;
use tower_layer::Layer;

use super::exchange::Recorder;
use super::forwarded::TrustedProxies;
use super::instruments::Instruments;
use super::route::Route;
use super::scheme::Scheme;
use super::service::HttpMetrics;
use super::settings::Settings;
use crate::wire::Layers;

/// Records the requests of the services that it is put around. Clones share everything.
#[derive(Clone)]
pub struct HttpLayer {
    recorder: Arc<Recorder>,
}

impl HttpLayer {
    /// A layer of one's own.
    pub fn builder() -> HttpLayerBuilder {
        HttpLayerBuilder::default()
    }
}

impl<S> Layer<S> for HttpLayer {
    type Service = HttpMetrics<S>;

    fn layer(&self, inner: S) -> HttpMetrics<S> {
        HttpMetrics::new(inner, self.recorder.clone())
    }
}

impl fmt::Debug for HttpLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpLayer").finish_non_exhaustive()
    }
}

/// What an [`HttpLayer`] shall do otherwise than by default.
#[derive(Default)]
#[must_use = "nothing is recorded until `build`"]
pub struct HttpLayerBuilder {
    registry: Option<Registry>,
    settings: Settings,
}

impl HttpLayerBuilder {
    /// Records into this registry, and not into that of the process.
    pub fn with_registry(mut self, registry: &Registry) -> Self {
        self.registry = Some(registry.clone());
        self
    }

    /// Records only requests to which `filter` says yes. Each call replaces the filter before.
    ///
    /// For probes and the like. A request that is left out is not active either.
    pub fn with_filter(mut self, filter: impl Fn(&Parts) -> bool + Send + Sync + 'static) -> Self {
        self.settings.filter = Some(Box::new(filter));
        self
    }

    /// Asks `route` for the pattern that matched a request, none where no pattern did.
    ///
    /// By default it is what axum's router has matched, where the feature `axum` is on, and else
    /// nothing. A route must never be made of the request's path: every path would be a series.
    ///
    /// ```
    /// use barograph_edge::http::{HttpLayer, Route};
    /// let layer = HttpLayer::builder()
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

    /// The methods that are label values; every other is `_OTHER`. Upper and lower case differ.
    ///
    /// By default those that were [set](crate::http::set_known_methods) for the process, else those of
    /// RFC 9110, PATCH and QUERY.
    pub fn with_known_methods(
        mut self,
        methods: impl IntoIterator<Item = impl Into<Box<str>>>,
    ) -> Self {
        self.settings.methods = methods.into_iter().collect();
        self
    }

    /// The scheme of requests that do not name theirs, as those of HTTP/1: by default without TLS.
    pub fn with_scheme(mut self, scheme: Scheme) -> Self {
        self.settings.scheme = scheme;
        self
    }

    /// Reads contexts by these propagators, and not by
    /// [those of the process](crate::propagation::propagators).
    pub fn with_propagators(mut self, propagators: Propagators) -> Self {
        self.settings.propagators = Some(propagators);
        self
    }

    /// What stands between the service and its callers. By default they are believed.
    ///
    /// Behind an [untrusted](Boundary::Untrusted) boundary each request begins a trace that has a
    /// link to that of the caller; what the caller says about sampling, and its baggage, is ignored.
    pub fn with_boundary(mut self, boundary: Boundary) -> Self {
        self.settings.boundary = boundary;
        self
    }

    /// Makes spans only for requests to which `filter` says yes; the others are counted all the
    /// same. Each call replaces the filter before. Without the feature `tracing` there are no spans.
    ///
    /// ```
    /// use barograph_edge::http::HttpLayer;
    /// let quiet = ["/health", "/metrics"];
    /// let layer = HttpLayer::builder()
    ///     .with_span_filter(move |request| !quiet.contains(&request.uri.path()))
    ///     .build();
    /// # let _ = layer;
    /// ```
    pub fn with_span_filter(
        mut self,
        filter: impl Fn(&Parts) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.settings.spans.filter = Some(Box::new(filter));
        self
    }

    /// Shows `url.query` in spans as `query` gives it. By default what has the name of a secret, and
    /// the signatures of signed URLs, are `REDACTED`.
    pub fn with_query(
        mut self,
        query: impl Fn(&str) -> Cow<'_, str> + Send + Sync + 'static,
    ) -> Self {
        self.settings.spans.query = Some(Box::new(query));
        self
    }

    /// Asks `peer` who has sent a request, for `client.address` and `network.peer.address` in spans.
    ///
    /// By default it is a `SocketAddr` among the extensions of the request, or with the feature `axum`
    /// the `ConnectInfo<SocketAddr>` that `Telemetry::serve` and axum's
    /// `into_make_service_with_connect_info` put there.
    pub fn with_peer(
        mut self,
        peer: impl Fn(&Parts) -> Option<SocketAddr> + Send + Sync + 'static,
    ) -> Self {
        self.settings.peer = Box::new(peer);
        self
    }

    /// Believes what these proxies say about a request: `client.address` and `server.address` in
    /// spans, `url.scheme` in metrics too. By default nobody is believed.
    pub fn with_trusted_proxies(mut self, proxies: TrustedProxies) -> Self {
        self.settings.proxies = Some(proxies);
        self
    }

    /// Registers the families and makes the layer.
    ///
    /// Where a family of that name exists already as something else, the conflict is reported, and
    /// nothing is recorded there.
    pub fn build(self) -> HttpLayer {
        let registry = self.registry.as_ref().unwrap_or_else(|| Registry::global());
        let instruments = Instruments::register(registry, &self.settings);
        HttpLayer {
            recorder: Arc::new(Recorder {
                settings: self.settings,
                instruments,
                layers: Layers::new(registry),
            }),
        }
    }
}

impl fmt::Debug for HttpLayerBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpLayerBuilder").finish_non_exhaustive()
    }
}
