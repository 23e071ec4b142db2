//! The client service that records its requests.

use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::{Request, Response};
use http_body::Body;
use tower_service::Service;

use super::exchange::HttpClientExchange;
use super::recorder::Recorder;
use super::{HttpClientResponseBody, HttpClientResponseFuture};
use crate::http::url::Server;
use crate::lifecycle::{Exchange as _, Nested};
use barograph_tracing::instrument::ReceivedContext;

/// A client whose requests are recorded, made by [`HttpClientLayer`](super::HttpClientLayer).
#[derive(Clone)]
pub struct HttpClient<S> {
    inner: S,
    recorder: Arc<Recorder>,
}

impl<S> HttpClient<S> {
    pub(super) fn new(inner: S, recorder: Arc<Recorder>) -> Self {
        HttpClient { inner, recorder }
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

impl<S, Q, B> Service<Request<Q>> for HttpClient<S>
where
    S: Service<Request<Q>, Response = Response<B>, Error: 'static>,
    B: Body,
{
    type Response = Response<HttpClientResponseBody<B>>;
    type Error = S::Error;
    type Future = HttpClientResponseFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Q>) -> HttpClientResponseFuture<S::Future> {
        let (mut parts, body) = request.into_parts();
        let marked = self
            .recorder
            .layers
            .mark::<HttpClient<()>>(&mut parts.extensions);
        if let Err(Nested) = marked {
            let inner = self.inner.call(Request::from_parts(parts, body));
            return HttpClientResponseFuture::new(inner, ReceivedContext::default(), None);
        }
        let exchange = HttpClientExchange::begin(&self.recorder, &parts);
        let inner = {
            let _entered = exchange.as_ref().map(HttpClientExchange::enter);
            let server = Server::of(&parts.uri, &parts.headers);
            if self.recorder.injects(server.address) {
                self.recorder.inject(&mut parts.headers);
            }
            self.inner.call(Request::from_parts(parts, body))
        };
        HttpClientResponseFuture::new(inner, ReceivedContext::default(), exchange)
    }
}

impl<S: fmt::Debug> fmt::Debug for HttpClient<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("HttpClient");
        out.field("inner", &self.inner).finish_non_exhaustive()
    }
}
