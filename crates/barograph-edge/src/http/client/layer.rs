//! The layer, and how it is set up.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use barograph_core::registry::Registry;
use barograph_model::propagator::Propagators;
use http::request::Parts;
use tower_layer::Layer;

use super::recorder::{Recorder, Settings};
use super::service::HttpClient;
use crate::http::route::Route;

/// Records the requests of the clients that it is put around. Clones share everything.
#[derive(Clone)]
pub struct HttpClientLayer {
    pub(super) recorder: Arc<Recorder>,
}

impl HttpClientLayer {
    /// A layer of one's own.
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

/// What an [`HttpClientLayer`] shall do otherwise than by default.
#[derive(Default)]
#[must_use = "nothing is recorded until `build`"]
pub struct HttpClientLayerBuilder {
    registry: Option<Registry>,
    settings: Settings,
}

impl HttpClientLayerBuilder {
    /// Records into this registry, and not into that of the process.
    pub fn with_registry(mut self, registry: &Registry) -> Self {
        self.registry = Some(registry.clone());
        self
    }

    /// Records only requests to which `filter` says yes. Each call replaces the filter before.
    ///
    /// What is current is written into the headers of the others, too.
    pub fn with_filter(mut self, filter: impl Fn(&Parts) -> bool + Send + Sync + 'static) -> Self {
        self.settings.filter = Some(Box::new(filter));
        self
    }

    /// Asks `template` for the pattern of a request's path, which spans are named after.
    ///
    /// By default it is a [`Route`] among the extensions of the request. It must never be made of
    /// the path.
    pub fn with_template(
        mut self,
        template: impl Fn(&Parts) -> Option<Route> + Send + Sync + 'static,
    ) -> Self {
        self.settings.template = Box::new(template);
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

    /// Writes contexts by these propagators, and not by
    /// [those of the process](crate::propagation::propagators).
    pub fn with_propagators(mut self, propagators: Propagators) -> Self {
        self.settings.propagators = Some(propagators);
        self
    }

    /// Writes contexts only into requests to these hosts, and not into all. `*.example` is every
    /// host below `example`.
    pub fn with_hosts(mut self, hosts: impl IntoIterator<Item = impl Into<Box<str>>>) -> Self {
        self.settings.hosts = hosts.into_iter().collect();
        self
    }

    /// The hosts that are label values as `server.address`; every other is `_OTHER`, and its port is not
    /// told. `*.example` is every host below `example`. By default all of them are.
    ///
    /// For programs whose users choose where requests go. Spans show every host.
    pub fn with_known_hosts(
        mut self,
        hosts: impl IntoIterator<Item = impl Into<Box<str>>>,
    ) -> Self {
        self.settings.known_hosts = hosts.into_iter().collect();
        self
    }

    /// Shows the query of `url.full` in spans as `query` gives it. By default what has the name of a
    /// secret, and the signatures of signed URLs, are `REDACTED`.
    pub fn with_query(
        mut self,
        query: impl Fn(&str) -> Cow<'_, str> + Send + Sync + 'static,
    ) -> Self {
        self.settings.query = Some(Box::new(query));
        self
    }

    /// Registers the family and makes the layer.
    ///
    /// Where a family of that name exists already as something else, the conflict is reported, and
    /// nothing is recorded there.
    pub fn build(self) -> HttpClientLayer {
        let registry = self.registry.as_ref().unwrap_or_else(|| Registry::global());
        HttpClientLayer {
            recorder: Arc::new(Recorder::new(registry, self.settings)),
        }
    }
}

impl fmt::Debug for HttpClientLayerBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpClientLayerBuilder")
            .finish_non_exhaustive()
    }
}
