//! The settings of a layer.

use std::borrow::Cow;
use std::net::SocketAddr;

use barograph_model::context::{TraceContext, TrustBoundary};
use barograph_model::propagator::Propagators;
use http::HeaderMap;
use http::request::Parts;

use super::axum;
use super::forwarded::{Origin, TrustedProxies};
use super::methods::Methods;
use super::route::Route;
use super::scheme::Scheme;
use crate::carrier::Headers;
use barograph_core::propagation::propagators;
use barograph_tracing::instrument::ReceivedContext;

/// A predicate that returns true for requests that are recorded.
pub(super) type Filter = dyn Fn(&Parts) -> bool + Send + Sync;

/// A function that returns the route of a request, or none if no route matched.
pub(super) type RouteOf = dyn Fn(&Parts) -> Option<Route> + Send + Sync;

/// A function that returns the query of a request in the form that spans may show.
pub(super) type Query = dyn Fn(&str) -> Cow<'_, str> + Send + Sync;

/// A function that returns the peer that sent a request.
pub(crate) type Peer = dyn Fn(&Parts) -> Option<SocketAddr> + Send + Sync;

/// Returns the peer that sent a request, as a server stores it in the extensions.
pub(crate) fn peer_of(request: &Parts) -> Option<SocketAddr> {
    let plain = request.extensions.get().copied();
    plain.or_else(|| axum::connected(request))
}

/// The settings of a layer.
pub(super) struct Settings {
    pub(super) methods: Methods,
    pub(super) scheme: Scheme,
    pub(super) filter: Option<Box<Filter>>,
    pub(super) route: Box<RouteOf>,
    pub(super) propagators: Option<Propagators>,
    pub(super) boundary: TrustBoundary,
    pub(super) peer: Box<Peer>,
    pub(super) proxies: Option<TrustedProxies>,
    pub(super) spans: SpanSettings,
}

/// The settings of a layer that concern spans.
pub(super) struct SpanSettings {
    pub(super) filter: Option<Box<Filter>>,
    /// None for the default redaction.
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
            boundary: TrustBoundary::default(),
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
    /// Returns the context of a request, as far as the boundary admits it, and the span context to link
    /// to if the caller's span is not to be the parent.
    pub(super) fn received(&self, headers: &HeaderMap) -> (ReceivedContext, Option<TraceContext>) {
        let propagators = self.propagators.as_ref().unwrap_or_else(|| propagators());
        ReceivedContext::of(propagators.extract(&Headers(headers)), self.boundary)
    }

    /// Returns what trusted proxies report about a request. None without trusted proxies or a peer.
    pub(super) fn origin<'a>(&self, request: &'a Parts) -> Option<Origin<'a>> {
        let proxies = self.proxies.as_ref()?;
        let peer = (self.peer)(request)?;
        Some(proxies.origin(peer.ip(), &request.headers))
    }

    /// Returns the scheme that a trusted proxy reports, else that of the request, which states it in
    /// HTTP/2 but not in HTTP/1, else the configured one. Schemes other than those of HTTP are treated
    /// as unstated.
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
