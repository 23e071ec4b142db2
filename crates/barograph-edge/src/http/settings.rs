//! What a layer is told about the requests to come.

use std::borrow::Cow;
use std::net::SocketAddr;

use barograph_model::context::{Boundary, TraceContext};
use barograph_model::propagator::Propagators;
use http::HeaderMap;
use http::request::Parts;

use super::axum;
use super::forwarded::{Origin, TrustedProxies};
use super::methods::Methods;
use super::route::Route;
use super::scheme::Scheme;
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
pub(crate) type Peer = dyn Fn(&Parts) -> Option<SocketAddr> + Send + Sync;

/// Who has sent a request, as a server notes it in its extensions.
pub(crate) fn peer_of(request: &Parts) -> Option<SocketAddr> {
    let plain = request.extensions.get().copied();
    plain.or_else(|| axum::connected(request))
}

/// What a layer is told about the requests to come.
pub(super) struct Settings {
    pub(super) methods: Methods,
    pub(super) scheme: Scheme,
    pub(super) filter: Option<Box<Filter>>,
    pub(super) route: Box<RouteOf>,
    pub(super) propagators: Option<Propagators>,
    pub(super) boundary: Boundary,
    pub(super) peer: Box<Peer>,
    pub(super) proxies: Option<TrustedProxies>,
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
            peer: Box::new(peer_of),
            proxies: None,
            spans: SpanSettings {
                filter: None,
                query: None,
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

    /// What proxies that are trusted tell of a request. None where nobody is.
    pub(super) fn origin<'a>(&self, request: &'a Parts) -> Option<Origin<'a>> {
        let proxies = self.proxies.as_ref()?;
        let peer = (self.peer)(request)?;
        Some(proxies.origin(peer.ip(), &request.headers))
    }

    /// The scheme that a trusted proxy tells, or the request itself, which it does in HTTP/2 and not
    /// in HTTP/1, or the one that was set. Schemes that are not those of HTTP count as the latter.
    pub(super) fn scheme(&self, request: &Parts, origin: Option<&Origin<'_>>) -> Scheme {
        if let Some(scheme) = origin.and_then(|origin| origin.scheme) {
            return scheme;
        }
        match request.uri.scheme_str() {
            Some("http") => Scheme::Http,
            Some("https") => Scheme::Https,
            _ => self.scheme,
        }
    }
}
