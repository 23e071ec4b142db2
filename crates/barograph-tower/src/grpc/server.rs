//! The layer for calls that a server answers, and its builder.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll};

use barograph_core::registry::Registry;
use barograph_model::context::TrustBoundary;
use barograph_model::propagator::Propagators;
use http::request::Parts;
use http::{Request, Response};
use http_body::Body;
use tower_layer::Layer;
use tower_service::Service;

use super::exchange::GrpcExchange;
use super::recorder::{Recorder, Settings, Side};
use super::{GrpcResponseBody, GrpcResponseFuture};
use crate::carrier::Headers;
use crate::http::TrustedProxies;
use crate::lifecycle::{Exchange as _, Nested};
use barograph_tracing::instrument::ReceivedContext;

/// A layer that records the calls that the services that it wraps answer.
///
/// Clones share all state.
#[derive(Clone)]
pub struct GrpcServerLayer {
    recorder: Arc<Recorder>,
    boundary: TrustBoundary,
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
        GrpcServer {
            inner,
            recorder: self.recorder.clone(),
            boundary: self.boundary,
        }
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
    registry: Option<Registry>,
    settings: Settings,
    boundary: TrustBoundary,
}

impl GrpcServerLayerBuilder {
    /// Records into this registry instead of the global one.
    pub fn with_registry(mut self, registry: &Registry) -> Self {
        self.registry = Some(registry.clone());
        self
    }

    /// Records only the calls for which `filter` returns true. A later call replaces the filter.
    pub fn with_filter(mut self, filter: impl Fn(&Parts) -> bool + Send + Sync + 'static) -> Self {
        self.settings.filter = Some(Box::new(filter));
        self
    }

    /// Extracts contexts with these propagators instead of
    /// [those of the process](barograph_core::propagation::propagators).
    pub fn with_propagators(mut self, propagators: Propagators) -> Self {
        self.settings.propagators = Some(propagators);
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
        self.boundary = boundary;
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
        self.settings.peer = Box::new(peer);
        self
    }

    /// Trusts these proxies to name the client of a call, for `client.address` in spans. By default no
    /// proxy is trusted, and the client is the peer.
    pub fn with_trusted_proxies(mut self, proxies: TrustedProxies) -> Self {
        self.settings.proxies = Some(proxies);
        self
    }

    /// Registers the family and builds the layer.
    ///
    /// If the name is already registered with another definition, the conflict is reported and nothing
    /// is recorded there.
    pub fn build(self) -> GrpcServerLayer {
        let registry = self.registry.as_ref().unwrap_or_else(|| Registry::global());
        GrpcServerLayer {
            recorder: Arc::new(Recorder::new(registry, self.settings, Side::Server)),
            boundary: self.boundary,
        }
    }
}

impl fmt::Debug for GrpcServerLayerBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GrpcServerLayerBuilder")
            .finish_non_exhaustive()
    }
}

/// A service whose calls are recorded, made by [`GrpcServerLayer`].
#[derive(Clone)]
pub struct GrpcServer<S> {
    inner: S,
    recorder: Arc<Recorder>,
    boundary: TrustBoundary,
}

impl<S, Q, B> Service<Request<Q>> for GrpcServer<S>
where
    S: Service<Request<Q>, Response = Response<B>, Error: 'static>,
    B: Body,
{
    type Response = Response<GrpcResponseBody<B>>;
    type Error = S::Error;
    type Future = GrpcResponseFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Q>) -> GrpcResponseFuture<S::Future> {
        let (mut parts, body) = request.into_parts();
        let marked = self
            .recorder
            .layers
            .mark::<GrpcServer<()>>(&mut parts.extensions);
        if let Err(Nested) = marked {
            let inner = self.inner.call(Request::from_parts(parts, body));
            return GrpcResponseFuture::new(inner, ReceivedContext::default(), None);
        }
        let received = self.recorder.settings.propagators();
        let received = received.extract(&Headers(&parts.headers));
        let (scope, linked) = ReceivedContext::of(received, self.boundary);
        let exchange;
        let inner = {
            let _in_scope = scope.enter();
            exchange = GrpcExchange::begin(&self.recorder, linked, &parts);
            let _entered = exchange.as_ref().map(GrpcExchange::enter);
            self.inner.call(Request::from_parts(parts, body))
        };
        GrpcResponseFuture::new(inner, scope, exchange)
    }
}

impl<S: fmt::Debug> fmt::Debug for GrpcServer<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("GrpcServer");
        out.field("inner", &self.inner).finish_non_exhaustive()
    }
}
