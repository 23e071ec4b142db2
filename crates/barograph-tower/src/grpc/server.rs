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

/// A tower layer that records the calls that a gRPC server answers: their metrics, their spans, and the
/// context in their metadata. [`GrpcClientLayer`](super::GrpcClientLayer) does so for calls that are made.
///
/// Both work on the HTTP requests that carry the calls, so tonic's servers and channels accept them
/// directly.
///
/// | metric | unit | labels |
/// |---|---|---|
/// | `rpc.server.call.duration` | `s` | the first four |
/// | `rpc.client.call.duration` | `s` | all six |
///
/// The labels are `rpc.system.name` (`grpc`), `rpc.method` (`package.Service/Method`),
/// `rpc.response.status_code` (`NOT_FOUND`), `error.type`, `server.address` and `server.port`. A label
/// that does not apply has an empty value.
///
/// A call begins when the service is called, and ends with its stream. Its status is that of the
/// trailers, or of the response head if nothing follows the head. A call that is dropped earlier is
/// `CANCELLED`. If a client gets an error and no status, the recorded status is the one that tonic gives
/// the caller: `UNAVAILABLE` if no connection could be made, `CANCELLED` if the timeout of an endpoint
/// expired, `UNKNOWN` if nothing is known about the error.
///
/// `error.type` is the status if that indicates an error: for clients every status but `OK`, for servers
/// `UNKNOWN`, `DEADLINE_EXCEEDED`, `UNIMPLEMENTED`, `INTERNAL`, `UNAVAILABLE` and `DATA_LOSS`. If there
/// was no status from the server, it is the reason, if known: for clients a cause such as
/// `connection_refused`, from the [causes](barograph_tracing::instrument::error_type()) that all clients
/// share, otherwise `panic`, `service_error` or `body_error`.
///
/// Clients choose the path of a request, so not every path is a method. A path becomes a method when one
/// of its calls was answered as only the method's own code would answer, or when it
/// [was listed](GrpcServerLayerBuilder::with_methods). Until then it is `_OTHER`. A response that begins
/// without a status is such an answer, so a streaming method becomes known even if every client leaves
/// before the end. Requests that are not gRPC pass through unrecorded.
///
/// A call that passes two layers of the same side that record into the same registry is counted once:
/// the inner layer passes it on unchanged, and this is reported.
///
/// ```
/// # mod barograph {
/// #     pub use barograph_core::Registry;
/// #     pub use barograph_tower::grpc::{GrpcClientLayer, GrpcServerLayer};
/// # }
/// use barograph::{GrpcClientLayer, GrpcServerLayer, Registry};
///
/// let registry = Registry::new();
/// // tonic::transport::Server::builder().layer(server)
/// let server = GrpcServerLayer::builder()
///     .with_registry(&registry)
///     .with_services(["shop.Orders", "shop.Stock"])
///     .build();
/// // OrdersClient::new(client.layer(channel))
/// let client = GrpcClientLayer::builder()
///     .with_registry(&registry)
///     .with_server("orders.shop.internal", 50051)
///     .build();
/// # let _ = (server, client);
/// ```
///
/// Source: OpenTelemetry semantic conventions 1.44, "gRPC" (a release candidate).
///
/// Clones share all state.
#[derive(Clone)]
pub struct GrpcServerLayer {
    recorder: GrpcServerRecorder,
}

impl GrpcServerLayer {
    /// Creates a layer with default settings, which records into the global registry.
    pub fn new() -> Self {
        Self::builder().build()
    }

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

impl Default for GrpcServerLayer {
    fn default() -> Self {
        Self::new()
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
#[derive(Clone, Debug)]
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
