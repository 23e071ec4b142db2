//! The layer for calls that a client makes, and its builder.

use std::fmt;
use std::sync::Arc;

use barograph_core::registry::Registry;
use barograph_model::context::TraceContext;
use barograph_model::propagator::Propagators;
use http::request::Parts;
use tower_layer::Layer;

use super::boxed::Boxed;
use super::exchange::GrpcExchange;
use super::recorder::{Recorder, Server, Settings, Side};
use crate::lifecycle::{self, Layers};

/// A channel whose calls are recorded, made by [`GrpcClientLayer`].
///
/// Errors are passed on unchanged in a box, which is what tonic's clients accept.
pub type GrpcClient<S> = lifecycle::RecordedService<Boxed<S>, GrpcClientRecorder>;

/// The body of a response to a call that a client made.
pub type GrpcClientResponseBody<B> = lifecycle::ResponseBody<Boxed<B>, GrpcExchange>;

/// The future of a response to a call that a client makes.
pub type GrpcClientResponseFuture<F> = lifecycle::ResponseFuture<Boxed<F>, GrpcExchange>;

/// A tower layer that records the calls made through a channel. [`GrpcServerLayer`](super::GrpcServerLayer)
/// describes the metrics, and when a call begins and ends.
///
/// Clones share all state.
#[derive(Clone)]
pub struct GrpcClientLayer {
    recorder: GrpcClientRecorder,
}

impl GrpcClientLayer {
    /// Creates a layer with default settings, which records into the global registry.
    pub fn new() -> Self {
        Self::builder().build()
    }

    /// Returns a builder with default settings.
    pub fn builder() -> GrpcClientLayerBuilder {
        GrpcClientLayerBuilder::default()
    }
}

impl<S> Layer<S> for GrpcClientLayer {
    type Service = GrpcClient<S>;

    fn layer(&self, inner: S) -> GrpcClient<S> {
        GrpcClient::new(Boxed::new(inner), self.recorder.clone())
    }
}

impl fmt::Debug for GrpcClientLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GrpcClientLayer").finish_non_exhaustive()
    }
}

impl Default for GrpcClientLayer {
    fn default() -> Self {
        Self::new()
    }
}

/// Configures and builds a [`GrpcClientLayer`].
#[derive(Default)]
#[must_use = "nothing is recorded until `build`"]
pub struct GrpcClientLayerBuilder {
    settings: Settings,
}

impl GrpcClientLayerBuilder {
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

    /// Injects contexts with these propagators instead of
    /// [those of the process](barograph_core::propagation::propagators).
    pub fn with_propagators(mut self, propagators: Propagators) -> Self {
        self.settings.layer.propagators = Some(propagators);
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
        GrpcClientLayer {
            recorder: GrpcClientRecorder(Arc::new(Recorder::new(self.settings, Side::Client))),
        }
    }
}

impl fmt::Debug for GrpcClientLayerBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GrpcClientLayerBuilder")
            .finish_non_exhaustive()
    }
}

/// The state that all calls of one layer share.
#[derive(Clone, Debug)]
pub struct GrpcClientRecorder(Arc<Recorder>);

impl<Q> lifecycle::Recorder<Q> for GrpcClientRecorder {
    type Exchange = GrpcExchange;

    fn layers(&self) -> &Layers {
        &self.0.layers
    }

    fn begin(&self, _: Option<TraceContext>, request: &Parts, _: &mut Q) -> Option<GrpcExchange> {
        GrpcExchange::begin(&self.0, None, request)
    }

    fn inject(&self, request: &mut Parts) {
        self.0.settings.layer.inject(&mut request.headers);
    }
}
