//! Boxes the errors of a channel.
//!
//! The cause of a failed call is found in the chain of its error's sources, which can be read from a
//! boxed error whatever its type was. Callers see no difference: tonic's clients put every error into
//! such a box and derive the same status from it.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http::{Request, Response};
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use tower_service::Service;

use barograph_tracing::instrument::BoxError;

pin_project! {
    /// A channel, its response future, or its response body, whose errors are boxed.
    #[derive(Clone, Debug)]
    pub struct Boxed<T> {
        #[pin]
        inner: T,
    }
}

impl<T> Boxed<T> {
    pub(super) fn new(inner: T) -> Self {
        Boxed { inner }
    }
}

impl<S, Q, B> Service<Request<Q>> for Boxed<S>
where
    S: Service<Request<Q>, Response = Response<B>, Error: Into<BoxError>>,
{
    type Response = Response<Boxed<B>>;
    type Error = BoxError;
    type Future = Boxed<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, request: Request<Q>) -> Boxed<S::Future> {
        Boxed::new(self.inner.call(request))
    }
}

impl<F, B, E> Future for Boxed<F>
where
    F: Future<Output = Result<Response<B>, E>>,
    E: Into<BoxError>,
{
    type Output = Result<Response<Boxed<B>>, BoxError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let result = ready!(self.project().inner.poll(cx));
        let boxed = result.map(|response| response.map(Boxed::new));
        Poll::Ready(boxed.map_err(Into::into))
    }
}

impl<B: Body<Error: Into<BoxError>>> Body for Boxed<B> {
    type Data = B::Data;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, BoxError>>> {
        let frame = ready!(self.project().inner.poll_frame(cx));
        Poll::Ready(frame.map(|frame| frame.map_err(Into::into)))
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
