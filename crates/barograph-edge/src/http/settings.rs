//! What a layer is told about the requests to come.

use http::Method;
use http::request::Parts;

use super::axum;
use super::route::Route;

/// Whether a request is recorded.
pub(super) type Filter = dyn Fn(&Parts) -> bool + Send + Sync;

/// The route of a request, none where no route matched.
pub(super) type RouteOf = dyn Fn(&Parts) -> Option<Route> + Send + Sync;

/// What a layer is told about the requests to come.
pub(super) struct Settings {
    pub(super) known_methods: Box<[Box<str>]>,
    pub(super) scheme: Scheme,
    pub(super) filter: Option<Box<Filter>>,
    pub(super) route: Box<RouteOf>,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            known_methods: KNOWN_METHODS.map(Box::from).into(),
            scheme: Scheme::Http,
            filter: None,
            route: Box::new(|request| axum::matched(request).map(Route::matched)),
        }
    }
}

impl Settings {
    /// The place of a method among the known ones, or the one behind them.
    pub(super) fn method(&self, method: &Method) -> usize {
        let known = &self.known_methods;
        let place = known.iter().position(|known| **known == *method.as_str());
        place.unwrap_or(known.len())
    }

    /// The method at a place.
    pub(super) fn method_name(&self, place: usize) -> &str {
        self.known_methods.get(place).map_or(OTHER, |known| known)
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

/// What stands for every method that is not known.
const OTHER: &str = "_OTHER";

/// RFC 9110, PATCH of RFC 5789 and QUERY, the most frequent ones first.
const KNOWN_METHODS: [&str; 10] = [
    "GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "QUERY", "CONNECT", "TRACE",
];
