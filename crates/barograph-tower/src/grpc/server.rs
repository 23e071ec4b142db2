//! The layer for calls that a server answers, and its builder.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use barograph_core::registry::Registry;
use barograph_model::context::{TraceContext, TrustBoundary};
use barograph_model::propagator::Propagators;
use http::request::Parts;
use tower_layer::Layer;

use super::exchange::GrpcExchange;
use super::recorder::{Recorder, Settings, Side};
use crate::http::TrustedProxies;
use crate::lifecycle::{self, Layers};
use barograph_tracing::instrument::ReceivedContext;

/// A service whose calls are recorded, made by [`GrpcServerLayer`].
pub type GrpcServer<S> = lifecycle::RecordedService<S, GrpcServerRecorder>;

/// The body of a response to a call that a server answers; the call is recorded when it ends.
pub type GrpcResponseBody<B> = lifecycle::ResponseBody<B, GrpcExchange>;

/// The future of a response to a call that a server answers.
pub type GrpcResponseFuture<F> = lifecycle::ResponseFuture<F, GrpcExchange>;

/// A layer that records the calls that the services that it wraps answer.
///
/// Clones share all state.
#[derive(Clone)]
pub struct GrpcServerLayer {
    recorder: GrpcServerRecorder,
}

impl GrpcServerLayer {
    /// Returns a builder with default settings.
    pub fn builder() -> GrpcServerLayerBuilder {
        GrpcServerLayerBuilder::default()
    }
}

impl<S> Layer<S> for GrpcServerLayer {
    type Service = GrpcServer<S>;

    fn layer(&self, inner: S) -> GrpcServer<S> {
        GrpcServer::new(inner, self.recorder.clone())
    }
}

impl fmt::Debug for GrpcServerLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GrpcServerLayer").finish_non_exhaustive()
    }
}

/// Configures and builds a [`GrpcServerLayer`].
#[derive(Default)]
#[must_use = "nothing is recorded until `build`"]
pub struct GrpcServerLayerBuilder {
    settings: Settings,
}

impl GrpcServerLayerBuilder {
    /// Records into this registry instead of the global one.
    pub fn with_registry(mut self, registry: &Registry) -> Self {
        self.settings.layer.registry = Some(registry.clone());
        self
    }

    /// Records only the calls for which `filter` returns true. A later call replaces the filter.
    pub fn with_filter(mut self, filter: impl Fn(&Parts) -> bool + Send + Sync + 'static) -> Self {
        self.settings.layer.filter = Some(Box::new(filter));
        self
    }

    /// Extracts contexts with these propagators instead of
    /// [those of the process](barograph_core::propagation::propagators).
    pub fn with_propagators(mut self, propagators: Propagators) -> Self {
        self.settings.layer.propagators = Some(propagators);
        self
    }

    /// Sets the known methods, as `package.Service/Method`; every other method is `_OTHER`.
    ///
    /// Without a list, methods are learned: a path is a method when one of its calls was answered as only
    /// the method's own code would answer, by a response that messages may follow or by a status that
    /// nothing else returns. At most a thousand are learned.
    pub fn with_methods(mut self, methods: impl IntoIterator<Item = impl Into<Arc<str>>>) -> Self {
        self.settings
            .methods
            .list(methods.into_iter().map(Into::into));
        self
    }

    /// Learns only methods of these services, such as `package.Service`.
    pub fn with_services(
        mut self,
        services: impl IntoIterator<Item = impl Into<Box<str>>>,
    ) -> Self {
        self.settings
            .methods
            .learn_of(services.into_iter().map(Into::into));
        self
    }

    /// Sets the trust boundary between the service and its callers. By default callers are trusted.
    ///
    /// Behind an [untrusted](TrustBoundary::Untrusted) boundary each call begins a new trace, with a
    /// link to the caller's span; the caller's sampling decision and baggage are ignored.
    pub fn with_boundary(mut self, boundary: TrustBoundary) -> Self {
        self.settings.layer.boundary = boundary;
        self
    }

    /// Sets the function that returns the peer of a call, for `network.peer.address` in spans.
    ///
    /// By default it is a `SocketAddr` in the extensions of the request, or with the feature `axum` its
    /// `ConnectInfo`. tonic's own server has the address in its `TcpConnectInfo`:
    ///
    /// ```text
    /// .with_peer(|request| request.extensions.get::<TcpConnectInfo>()?.remote_addr())
    /// ```
    pub fn with_peer(
        mut self,
        peer: impl Fn(&Parts) -> Option<SocketAddr> + Send + Sync + 'static,
    ) -> Self {
        self.settings.layer.peer = Box::new(peer);
        self
    }

    /// Trusts these proxies to name the client of a call, for `client.address` in spans. By default no
    /// proxy is trusted, and the client is the peer.
    pub fn with_trusted_proxies(mut self, proxies: TrustedProxies) -> Self {
        self.settings.layer.proxies = Some(proxies);
        self
    }

    /// Registers the family and builds the layer.
    ///
    /// If the name is already registered with another definition, the conflict is reported and nothing
    /// is recorded there.
    pub fn build(self) -> GrpcServerLayer {
        GrpcServerLayer {
            recorder: GrpcServerRecorder(Arc::new(Recorder::new(self.settings, Side::Server))),
        }
    }
}

impl fmt::Debug for GrpcServerLayerBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GrpcServerLayerBuilder")
            .finish_non_exhaustive()
    }
}

/// The state that all calls of one layer share.
#[derive(Clone)]
pub struct GrpcServerRecorder(Arc<Recorder>);

impl<Q> lifecycle::Recorder<Q> for GrpcServerRecorder {
    type Exchange = GrpcExchange;

    fn layers(&self) -> &Layers {
        &self.0.layers
    }

    fn received(&self, request: &Parts) -> (ReceivedContext, Option<TraceContext>) {
        self.0.settings.layer.received(&request.headers)
    }

    fn begin(
        &self,
        linked: Option<TraceContext>,
        request: &Parts,
        _: &mut Q,
    ) -> Option<GrpcExchange> {
        GrpcExchange::begin(&self.0, linked, request)
    }
}
