//! The service that records requests, for every protocol and both sides of the connection.

use std::fmt;
use std::task::{Context, Poll};

use barograph_model::context::TraceContext;
use http::request::Parts;
use http::{Request, Response};
use http_body::Body;
use tower_service::Service;

use super::future::ResponseFuture;
use super::nesting::Layers;
use super::ongoing::Ongoing;
use super::{Exchange, ResponseBody};
use barograph_tracing::instrument::ReceivedContext;

/// The state that all requests of a layer share: begins the exchange of each request with a body `Q`.
pub trait Recorder<Q>: 'static {
    /// The record of one request.
    type Exchange: Exchange;

    /// Returns the detection of nested layers.
    fn layers(&self) -> &Layers;

    /// Returns the context that a request arrived with, and another span context to link to. A client
    /// sends its requests in the current context.
    fn received(&self, request: &Parts) -> (ReceivedContext, Option<TraceContext>) {
        let _ = request;
        Default::default()
    }

    /// Begins an exchange when the service is called. Returns none for requests that are not recorded.
    ///
    /// The current span is the parent of the new one; `linked` is another span context to link to.
    fn begin(
        &self,
        linked: Option<TraceContext>,
        request: &Parts,
        body: &mut Q,
    ) -> Option<Self::Exchange>;

    /// Injects the current context into a request, if this side sends it.
    fn inject(&self, request: &mut Parts) {
        let _ = request;
    }

    /// Returns the exchange of a request that an outer layer records, if there is something to pass on
    /// to it.
    fn nested(&self, request: &Parts) -> Option<Self::Exchange> {
        let _ = request;
        None
    }
}

/// A service whose requests are recorded. A layer of the same kind makes it.
#[derive(Clone)]
pub struct RecordedService<S, R> {
    inner: S,
    recorder: R,
}

impl<S, R> RecordedService<S, R> {
    pub(crate) fn new(inner: S, recorder: R) -> Self {
        RecordedService { inner, recorder }
    }

    /// Returns a reference to the inner service.
    pub fn get_ref(&self) -> &S {
        &self.inner
    }

    /// Returns the inner service.
    pub fn into_inner(self) -> S {
        self.inner
    }
}

impl<S, R, Q, B> Service<Request<Q>> for RecordedService<S, R>
where
    S: Service<Request<Q>, Response = Response<B>, Error: 'static>,
    R: Recorder<Q>,
    B: Body,
{
    type Response = Response<ResponseBody<B, R::Exchange>>;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future, R::Exchange>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Q>) -> Self::Future {
        let (mut parts, mut body) = request.into_parts();
        let layers = self.recorder.layers();
        if layers.is_nested::<R>(&parts.extensions) {
            let exchange = self.recorder.nested(&parts);
            let inner = self.inner.call(Request::from_parts(parts, body));
            return ResponseFuture::new(inner, Ongoing::new(ReceivedContext::default(), exchange));
        }
        let (scope, linked) = self.recorder.received(&parts);
        let _in_scope = scope.enter();
        let exchange = self.recorder.begin(linked, &parts, &mut body);
        if exchange.is_some() {
            layers.mark::<R>(&mut parts.extensions);
        }
        let ongoing = Ongoing::new(scope, exchange);
        let inner = {
            let _entered = ongoing.enter_exchange();
            self.recorder.inject(&mut parts);
            self.inner.call(Request::from_parts(parts, body))
        };
        ResponseFuture::new(inner, ongoing)
    }
}

impl<S: fmt::Debug, R> fmt::Debug for RecordedService<S, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("RecordedService");
        out.field("inner", &self.inner).finish_non_exhaustive()
    }
}
