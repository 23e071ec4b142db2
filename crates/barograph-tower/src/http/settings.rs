//! The settings of a layer for servers.

use std::borrow::Cow;

use http::request::Parts;

use super::forwarded::Origin;
use super::layer_config::{Filter, LayerConfig};
use super::methods::Methods;
use super::route::Route;
use super::scheme::Scheme;

/// A function that returns the route of a request, or none if no route matched.
pub(super) type RouteOf = dyn Fn(&Parts) -> Option<Route> + Send + Sync;

/// A function that returns the query of a request in the form that spans may show.
pub(super) type Query = dyn Fn(&str) -> Cow<'_, str> + Send + Sync;

/// The settings of a layer for servers.
pub(super) struct Settings {
    pub(super) layer: LayerConfig,
    pub(super) methods: Methods,
    pub(super) scheme: Scheme,
    pub(super) route: Box<RouteOf>,
    /// None to create a span for every request.
    pub(super) span_filter: Option<Box<Filter>>,
    /// None for the default redaction.
    pub(super) query: Option<Box<Query>>,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            layer: LayerConfig::default(),
            methods: Methods::default(),
            scheme: Scheme::Http,
            #[cfg(feature = "axum")]
            route: Box::new(super::axum::matched),
            #[cfg(not(feature = "axum"))]
            route: Box::new(|_| None),
            span_filter: None,
            query: None,
        }
    }
}

impl Settings {
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
