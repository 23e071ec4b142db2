//! The settings that layers of both protocols share.

use std::net::SocketAddr;

use barograph_core::current;
use barograph_core::propagation::propagators;
use barograph_core::registry::Registry;
use barograph_model::context::{TraceContext, TrustBoundary};
use barograph_model::propagator::Propagators;
use http::HeaderMap;
use http::request::Parts;

use super::forwarded::{Origin, TrustedProxies};
use crate::carrier::{Headers, HeadersMut};
use barograph_tracing::instrument::ReceivedContext;

/// A predicate on requests.
pub(super) type Filter = dyn Fn(&Parts) -> bool + Send + Sync;

/// A function that returns the peer that sent a request.
type Peer = dyn Fn(&Parts) -> Option<SocketAddr> + Send + Sync;

/// The settings that layers share. Only layers of servers use the boundary, the peer and the proxies.
pub(crate) struct LayerConfig {
    /// None for that of the thread that builds the layer: the global one, except in a test.
    pub(crate) registry: Option<Registry>,
    /// None to record all requests.
    pub(crate) filter: Option<Box<Filter>>,
    /// None for those of the process.
    pub(crate) propagators: Option<Propagators>,
    pub(crate) boundary: TrustBoundary,
    pub(crate) peer: Box<Peer>,
    pub(crate) proxies: Option<TrustedProxies>,
}

impl Default for LayerConfig {
    fn default() -> Self {
        LayerConfig {
            registry: None,
            filter: None,
            propagators: None,
            boundary: TrustBoundary::default(),
            peer: Box::new(|request| {
                let plain = request.extensions.get().copied();
                #[cfg(feature = "axum")]
                let plain = plain.or_else(|| super::axum::connected(request));
                plain
            }),
            proxies: None,
        }
    }
}

impl LayerConfig {
    pub(crate) fn registry(&self) -> &Registry {
        self.registry
            .as_ref()
            .unwrap_or_else(|| Registry::current())
    }

    /// Returns true if a request is to be recorded.
    pub(crate) fn records(&self, request: &Parts) -> bool {
        self.filter.as_ref().is_none_or(|filter| filter(request))
    }

    fn propagators(&self) -> &Propagators {
        self.propagators.as_ref().unwrap_or_else(|| propagators())
    }

    /// Returns the context of a request, as far as the boundary admits it, and the span context to link
    /// to if the caller's span is not to be the parent.
    pub(crate) fn received(&self, headers: &HeaderMap) -> (ReceivedContext, Option<TraceContext>) {
        let received = self.propagators().extract(&Headers(headers));
        ReceivedContext::of(received, self.boundary)
    }

    /// Injects the current context into the headers of a request.
    pub(crate) fn inject(&self, headers: &mut HeaderMap) {
        let propagators = self.propagators();
        if !propagators.is_empty() {
            propagators.inject(&current::propagation(), &mut HeadersMut(headers));
        }
    }

    /// Returns what trusted proxies report about a request. None without trusted proxies or a peer.
    pub(crate) fn origin<'a>(&self, request: &'a Parts) -> Option<Origin<'a>> {
        let proxies = self.proxies.as_ref()?;
        let peer = (self.peer)(request)?;
        Some(proxies.origin(peer.ip(), &request.headers))
    }
}
