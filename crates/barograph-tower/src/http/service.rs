//! The server service that records its requests.

use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::{Request, Response};
use http_body::Body;
use tower_service::Service;

use super::exchange::{HttpExchange, Recorder};
use super::{HttpResponseBody, HttpResponseFuture};
use crate::lifecycle::{Exchange as _, Nested};
use barograph_tracing::instrument::ReceivedContext;

/// A service whose requests are recorded, made by [`HttpServerLayer`](super::HttpServerLayer).
#[derive(Clone)]
pub struct HttpServer<S> {
    inner: S,
    recorder: Arc<Recorder>,
}

impl<S> HttpServer<S> {
    pub(super) fn new(inner: S, recorder: Arc<Recorder>) -> Self {
        HttpServer { inner, recorder }
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

impl<S, Q, B> Service<Request<Q>> for HttpServer<S>
where
    S: Service<Request<Q>, Response = Response<B>, Error: 'static>,
    Q: Body + 'static,
    B: Body,
{
    type Response = Response<HttpResponseBody<B>>;
    type Error = S::Error;
    type Future = HttpResponseFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Q>) -> HttpResponseFuture<S::Future> {
        let (mut parts, mut body) = request.into_parts();
        let marked = self
            .recorder
            .layers
            .mark::<HttpServer<()>>(&mut parts.extensions);
        if let Err(Nested) = marked {
            let exchange = HttpExchange::nested(&self.recorder, &parts);
            let inner = self.inner.call(Request::from_parts(parts, body));
            return HttpResponseFuture::new(inner, ReceivedContext::default(), Some(exchange));
        }
        let (scope, linked) = self.recorder.settings.received(&parts.headers);
        let exchange;
        let inner = {
            let _in_scope = scope.enter();
            exchange = HttpExchange::begin(&self.recorder, linked, &parts, &mut body);
            let _entered = exchange.as_ref().map(HttpExchange::enter);
            self.inner.call(Request::from_parts(parts, body))
        };
        HttpResponseFuture::new(inner, scope, exchange)
    }
}

impl<S: fmt::Debug> fmt::Debug for HttpServer<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("HttpServer");
        out.field("inner", &self.inner).finish_non_exhaustive()
    }
}
