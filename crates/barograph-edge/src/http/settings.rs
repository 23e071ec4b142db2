//! What a layer is told about the requests to come.

use std::borrow::Cow;
use std::net::SocketAddr;

use barograph_model::context::{Boundary, TraceContext};
use barograph_model::propagator::Propagators;
use http::HeaderMap;
use http::request::Parts;

use super::axum;
use super::methods::Methods;
use super::route::Route;
use crate::carrier::Headers;
use crate::propagation::propagators;
use crate::scope::Scope;

/// Whether a request is recorded.
pub(super) type Filter = dyn Fn(&Parts) -> bool + Send + Sync;

/// The route of a request, none where no route matched.
pub(super) type RouteOf = dyn Fn(&Parts) -> Option<Route> + Send + Sync;

/// The query of a request as it may be seen.
pub(super) type Query = dyn Fn(&str) -> Cow<'_, str> + Send + Sync;

/// Who has sent a request.
pub(super) type Peer = dyn Fn(&Parts) -> Option<SocketAddr> + Send + Sync;

/// What a layer is told about the requests to come.
pub(super) struct Settings {
    pub(super) methods: Methods,
    pub(super) scheme: Scheme,
    pub(super) filter: Option<Box<Filter>>,
    pub(super) route: Box<RouteOf>,
    pub(super) propagators: Option<Propagators>,
    pub(super) boundary: Boundary,
    #[cfg_attr(
        not(feature = "tracing"),
        allow(dead_code, reason = "spans ask for it")
    )]
    pub(super) spans: SpanSettings,
}

/// What a layer is told about the spans to come.
pub(super) struct SpanSettings {
    pub(super) filter: Option<Box<Filter>>,
    /// None for the redaction that there is by default.
    pub(super) query: Option<Box<Query>>,
    pub(super) peer: Box<Peer>,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            methods: Methods::default(),
            scheme: Scheme::Http,
            filter: None,
            route: Box::new(|request| axum::matched(request).map(Route::matched)),
            propagators: None,
            boundary: Boundary::default(),
            spans: SpanSettings {
                filter: None,
                query: None,
                peer: Box::new(|request| request.extensions.get().copied()),
            },
        }
    }
}

impl Settings {
    /// What a request comes with, as far as it goes on here, and the span to be linked where that
    /// is not to be the parent.
    pub(super) fn received(&self, headers: &HeaderMap) -> (Scope, Option<TraceContext>) {
        let propagators = self.propagators.as_ref().unwrap_or_else(|| propagators());
        Scope::of(propagators.extract(&Headers(headers)), self.boundary)
    }

    /// The scheme that the request itself names, which HTTP/2 does and HTTP/1 does not, or the one
    /// that was set. Schemes that are not those of HTTP count as the latter.
    pub(super) fn scheme(&self, request: &Parts) -> Scheme {
        match request.uri.scheme_str() {
            Some("http") => Scheme::Http,
            Some("https") => Scheme::Https,
            _ => self.scheme,
        }
    }
}

/// The scheme of requests that do not name theirs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Scheme {
    /// Without TLS.
    Http,
    /// With TLS, be it ended here or in front of the service.
    Https,
}

impl Scheme {
    pub(super) const COUNT: usize = 2;

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Scheme::Http => "http",
            Scheme::Https => "https",
        }
    }
}
