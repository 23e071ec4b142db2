//! Routes as label values.

use std::fmt;
use std::sync::Arc;

/// The pattern of a route, such as `/orders/{id}`. Clones are cheap.
///
/// The number of routes must not depend on what clients request: do not derive one from the path.
///
/// ```
/// # mod barograph {
/// #     pub use barograph_tower::http as layers;
/// # }
/// use barograph::layers::Route;
/// assert_eq!(Route::from("/orders/{id}").as_str(), "/orders/{id}");
/// ```
#[derive(Clone)]
pub struct Route(Text);

#[derive(Clone)]
enum Text {
    Static(&'static str),
    Shared(Arc<str>),
    #[cfg(feature = "axum")]
    Matched(::axum::extract::MatchedPath),
}

impl Route {
    /// Returns the text of the route.
    pub fn as_str(&self) -> &str {
        match &self.0 {
            Text::Static(route) => route,
            Text::Shared(route) => route,
            #[cfg(feature = "axum")]
            Text::Matched(route) => route.as_str(),
        }
    }
}

impl fmt::Debug for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Route").field(&self.as_str()).finish()
    }
}

#[cfg(feature = "axum")]
impl From<::axum::extract::MatchedPath> for Route {
    fn from(route: ::axum::extract::MatchedPath) -> Self {
        Route(Text::Matched(route))
    }
}

impl From<&'static str> for Route {
    fn from(route: &'static str) -> Self {
        Route(Text::Static(route))
    }
}

impl From<Arc<str>> for Route {
    fn from(route: Arc<str>) -> Self {
        Route(Text::Shared(route))
    }
}

impl From<String> for Route {
    fn from(route: String) -> Self {
        Route(Text::Shared(route.into()))
    }
}
