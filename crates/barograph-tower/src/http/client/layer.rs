//! The layer and its builder.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use barograph_core::registry::Registry;
use barograph_model::propagator::Propagators;
use http::request::Parts;
use tower_layer::Layer;

use super::HttpClient;
use super::recorder::{HttpClientRecorder, Settings};
use crate::http::route::Route;

/// A tower layer that records the requests that a client sends: their metric, their spans, and the
/// context in their headers. Clones share all state.
///
/// `http.client.request.duration`, in seconds, has the labels `http.request.method`,
/// `server.address`, `server.port`, `http.response.status_code`, `network.protocol.version` and
/// `error.type`. A label that does not apply has an empty value.
///
/// Each request through the layer is one attempt: put a layer that retries around this one, not inside.
/// The attempt ends with the body of its response. A request that passes two layers that record into
/// the same registry is counted once, by the outer one.
///
/// One layer serves all servers: the address is that of the URL, or of the header `Host` if the URL has
/// none. Each is a series, up to the limit of the family. A program whose users choose where requests
/// go should list [its own servers](HttpClientLayerBuilder::with_known_hosts); others become `_OTHER`.
///
/// # Errors
///
/// `error.type` is the status code from 400 on, `panic`, or the reason why there was no response: one of
/// the [causes](barograph_tracing::instrument::error_type()) that all clients share. A request that its
/// caller drops was cancelled, which is not an error.
///
/// ```
/// # mod barograph {
/// #     pub use barograph_core::Registry;
/// #     pub use barograph_tower::http as layers;
/// #     pub use barograph_tower::http::HttpClientLayer;
/// # }
/// use barograph::{HttpClientLayer, Registry, layers::Route};
///
/// let layer = HttpClientLayer::builder()
///     .with_registry(&Registry::new())
///     .with_hosts(["*.shop.internal", "localhost"])
///     .build();
/// // What the request is for goes along in its extensions.
/// let request = http::Request::get("http://orders.shop.internal/orders/17")
///     .extension(Route::from("/orders/{id}"))
///     .body(())?;
/// # let _ = (layer, request);
/// # Ok::<(), http::Error>(())
/// ```
///
/// Source: OpenTelemetry semantic conventions 1.44, "HTTP client span", "HTTP client".
#[derive(Clone)]
pub struct HttpClientLayer {
    pub(super) recorder: Arc<HttpClientRecorder>,
}

impl HttpClientLayer {
    /// Creates a layer with default settings, which records into the global registry.
    pub fn new() -> Self {
        Self::builder().build()
    }

    /// Returns a builder with default settings.
    pub fn builder() -> HttpClientLayerBuilder {
        HttpClientLayerBuilder::default()
    }
}

impl<S> Layer<S> for HttpClientLayer {
    type Service = HttpClient<S>;

    fn layer(&self, inner: S) -> HttpClient<S> {
        HttpClient::new(inner, self.recorder.clone())
    }
}

impl fmt::Debug for HttpClientLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpClientLayer").finish_non_exhaustive()
    }
}

impl Default for HttpClientLayer {
    fn default() -> Self {
        Self::new()
    }
}

/// Configures and builds an [`HttpClientLayer`].
#[derive(Default)]
#[must_use = "nothing is recorded until `build`"]
pub struct HttpClientLayerBuilder {
    settings: Settings,
}

impl HttpClientLayerBuilder {
    /// Records into this registry instead of the global one.
    pub fn with_registry(mut self, registry: &Registry) -> Self {
        self.settings.layer.registry = Some(registry.clone());
        self
    }

    /// Records only the requests for which `filter` returns true. A later call replaces the filter.
    ///
    /// The current context is injected into the headers of the other requests too.
    pub fn with_filter(mut self, filter: impl Fn(&Parts) -> bool + Send + Sync + 'static) -> Self {
        self.settings.layer.filter = Some(Box::new(filter));
        self
    }

    /// Sets the function that returns the template of a request's path, which spans are named after.
    ///
    /// By default it is a [`Route`] in the extensions of the request. It must never be derived from the
    /// path.
    pub fn with_template(
        mut self,
        template: impl Fn(&Parts) -> Option<Route> + Send + Sync + 'static,
    ) -> Self {
        self.settings.template = Box::new(template);
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

    /// Injects contexts with these propagators instead of
    /// [those of the process](barograph_core::propagation::propagators).
    pub fn with_propagators(mut self, propagators: Propagators) -> Self {
        self.settings.layer.propagators = Some(propagators);
        self
    }

    /// Injects contexts only into requests to these hosts, instead of all. `*.example` matches every
    /// host below `example`.
    pub fn with_hosts(mut self, hosts: impl IntoIterator<Item = impl Into<Box<str>>>) -> Self {
        self.settings.hosts = hosts.into_iter().collect();
        self
    }

    /// Sets the hosts that are label values as `server.address`; every other one is `_OTHER`, without a
    /// port. `*.example` matches every host below `example`. By default all hosts are label values.
    ///
    /// This is for programs whose users choose where requests go. Spans show every host.
    pub fn with_known_hosts(
        mut self,
        hosts: impl IntoIterator<Item = impl Into<Box<str>>>,
    ) -> Self {
        self.settings.known_hosts = hosts.into_iter().collect();
        self
    }

    /// Sets the function that redacts the query of `url.full` in spans. By default parameters with the
    /// name of a secret, and the signatures of signed URLs, become `REDACTED`.
    pub fn with_query(
        mut self,
        query: impl Fn(&str) -> Cow<'_, str> + Send + Sync + 'static,
    ) -> Self {
        self.settings.query = Some(Box::new(query));
        self
    }

    /// Registers the family and builds the layer.
    ///
    /// If the name is already registered with another definition, the conflict is reported and nothing
    /// is recorded there.
    pub fn build(self) -> HttpClientLayer {
        HttpClientLayer {
            recorder: Arc::new(HttpClientRecorder::new(self.settings)),
        }
    }
}

impl fmt::Debug for HttpClientLayerBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpClientLayerBuilder")
            .finish_non_exhaustive()
    }
}
