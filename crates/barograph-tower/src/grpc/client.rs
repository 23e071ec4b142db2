//! The layer for calls that a client makes, and its builder.

use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};

use barograph_core::current;
use barograph_core::registry::Registry;
use barograph_model::propagator::Propagators;
use http::request::Parts;
use http::{Request, Response};
use http_body::Body;
use tower_layer::Layer;
use tower_service::Service;

use super::boxed::Boxed;
use super::exchange::GrpcExchange;
use super::recorder::{Recorder, Server, Settings, Side};
use crate::carrier::HeadersMut;
use crate::lifecycle::{self, Exchange as _, Nested, ResponseFuture};
use barograph_tracing::instrument::BoxError;
use barograph_tracing::instrument::ReceivedContext;

/// The body of a response to a call that a client made.
pub type GrpcClientResponseBody<B> = lifecycle::ResponseBody<Boxed<B>, GrpcExchange>;

/// The future of a response to a call that a client makes.
pub type GrpcClientResponseFuture<F> = ResponseFuture<Boxed<F>, GrpcExchange>;

/// A layer that records the calls made through the channels that it wraps.
///
/// Clones share all state.
#[derive(Clone)]
pub struct GrpcClientLayer {
    recorder: Arc<Recorder>,
}

impl GrpcClientLayer {
    /// Returns a builder with default settings.
    pub fn builder() -> GrpcClientLayerBuilder {
        GrpcClientLayerBuilder::default()
    }
}

impl<S> Layer<S> for GrpcClientLayer {
    type Service = GrpcClient<S>;

    fn layer(&self, inner: S) -> GrpcClient<S> {
        GrpcClient {
            inner,
            recorder: self.recorder.clone(),
        }
    }
}

impl fmt::Debug for GrpcClientLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GrpcClientLayer").finish_non_exhaustive()
    }
}

/// Configures and builds a [`GrpcClientLayer`].
#[derive(Default)]
#[must_use = "nothing is recorded until `build`"]
pub struct GrpcClientLayerBuilder {
    registry: Option<Registry>,
    settings: Settings,
}

impl GrpcClientLayerBuilder {
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

    /// Injects contexts with these propagators instead of
    /// [those of the process](barograph_core::propagation::propagators).
    pub fn with_propagators(mut self, propagators: Propagators) -> Self {
        self.settings.propagators = Some(propagators);
        self
    }

    /// Sets the known methods, as `package.Service/Method`; every other method is `_OTHER`.
    ///
    /// Without a list, every method that is called counts as known, up to a thousand.
    pub fn with_methods(mut self, methods: impl IntoIterator<Item = impl Into<Arc<str>>>) -> Self {
        self.settings
            .methods
            .list(methods.into_iter().map(Into::into));
        self
    }

    /// Sets the server that the channel calls: `server.address` and `server.port`.
    ///
    /// By default both are taken from the URI of each request. tonic's clients leave the server out of
    /// the URI, because the channel behind them knows it; clients made by `with_origin` include it, and
    /// then one layer serves the clients of all servers:
    ///
    /// ```text
    /// let layer = GrpcClientLayer::builder().build();
    /// OrdersClient::with_origin(layer.layer(channel), Uri::from_static("http://orders:50051"))
    /// ```
    pub fn with_server(mut self, address: impl Into<Box<str>>, port: u16) -> Self {
        self.settings.server = Some(Server::new(address.into(), port));
        self
    }

    /// Registers the family and builds the layer.
    ///
    /// If the name is already registered with another definition, the conflict is reported and nothing
    /// is recorded there.
    pub fn build(self) -> GrpcClientLayer {
        let registry = self.registry.as_ref().unwrap_or_else(|| Registry::global());
        GrpcClientLayer {
            recorder: Arc::new(Recorder::new(registry, self.settings, Side::Client)),
        }
    }
}

impl fmt::Debug for GrpcClientLayerBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GrpcClientLayerBuilder")
            .finish_non_exhaustive()
    }
}

/// A channel whose calls are recorded, made by [`GrpcClientLayer`].
#[derive(Clone)]
pub struct GrpcClient<S> {
    inner: S,
    recorder: Arc<Recorder>,
}

/// Errors are passed on unchanged in a box, which is what tonic's clients accept.
impl<S, Q, B> Service<Request<Q>> for GrpcClient<S>
where
    S: Service<Request<Q>, Response = Response<B>, Error: Into<BoxError>>,
    B: Body<Error: Into<BoxError>>,
{
    type Response = Response<GrpcClientResponseBody<B>>;
    type Error = BoxError;
    type Future = GrpcClientResponseFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, request: Request<Q>) -> GrpcClientResponseFuture<S::Future> {
        let (mut parts, body) = request.into_parts();
        let marked = self
            .recorder
            .layers
            .mark::<GrpcClient<()>>(&mut parts.extensions);
        if let Err(Nested) = marked {
            let inner = self.inner.call(Request::from_parts(parts, body));
            return ResponseFuture::new(Boxed::new(inner), ReceivedContext::default(), None);
        }
        let exchange = GrpcExchange::begin(&self.recorder, None, &parts);
        let inner = {
            let _entered = exchange.as_ref().map(GrpcExchange::enter);
            let propagators = self.recorder.settings.propagators();
            propagators.inject(&current::propagation(), &mut HeadersMut(&mut parts.headers));
            self.inner.call(Request::from_parts(parts, body))
        };
        ResponseFuture::new(Boxed::new(inner), ReceivedContext::default(), exchange)
    }
}

impl<S: fmt::Debug> fmt::Debug for GrpcClient<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("GrpcClient");
        out.field("inner", &self.inner).finish_non_exhaustive()
    }
}
