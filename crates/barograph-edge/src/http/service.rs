//! The service that records.

use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};

use barograph_core::current;
use http::{Request, Response};
use http_body::Body;
use tower_service::Service;

use super::body::ResponseBody;
use super::exchange::{Exchange, Recorder, context_of};
use super::future::ResponseFuture;

/// A service whose requests are recorded. Made by [`HttpLayer`](super::HttpLayer).
#[derive(Clone)]
pub struct HttpMetrics<S> {
    inner: S,
    recorder: Arc<Recorder>,
}

impl<S> HttpMetrics<S> {
    pub(super) fn new(inner: S, recorder: Arc<Recorder>) -> Self {
        HttpMetrics { inner, recorder }
    }

    /// The service inside.
    pub fn get_ref(&self) -> &S {
        &self.inner
    }

    /// The service inside.
    pub fn into_inner(self) -> S {
        self.inner
    }
}

impl<S, Q, B> Service<Request<Q>> for HttpMetrics<S>
where
    S: Service<Request<Q>, Response = Response<B>>,
    Q: Body + 'static,
    B: Body,
{
    type Response = Response<ResponseBody<B>>;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Q>) -> ResponseFuture<S::Future> {
        let (parts, mut body) = request.into_parts();
        let context = context_of(&parts.headers);
        let _in_context = context.map(current::enter);
        let exchange = Exchange::begin(&self.recorder, context, &parts, &mut body);
        let inner = self.inner.call(Request::from_parts(parts, body));
        ResponseFuture::new(inner, context, exchange)
    }
}

impl<S: fmt::Debug> fmt::Debug for HttpMetrics<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("HttpMetrics");
        out.field("inner", &self.inner).finish_non_exhaustive()
    }
}
