//! The response body that ends a request.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Buf;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use super::{End, Exchange, within};
use barograph_tracing::instrument::ReceivedContext;
use barograph_tracing::instrument::error_type;

pin_project! {
    /// A response body that records its request when it ends.
    ///
    /// It ends when the inner body returns nothing more, returns trailers or reports its end, and when
    /// it has returned as many bytes as it announced: servers do not poll it again then.
    pub struct ResponseBody<B, X: Exchange> {
        // Some until it is dropped, which happens inside the exchange.
        #[pin]
        inner: Option<B>,
        scope: ReceivedContext,
        // The number of bytes, if it is known in advance.
        announced: Option<u64>,
        exchange: Option<X>,
    }

    impl<B, X: Exchange> PinnedDrop for ResponseBody<B, X> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            let _in_scope = this.scope.enter();
            {
                let _entered = this.exchange.as_ref().map(Exchange::enter);
                this.inner.set(None);
            }
            // Recorded while the context of the request is current.
            drop(this.exchange.take());
        }
    }
}

impl<B, X: Exchange> ResponseBody<B, X> {
    pub(super) fn new(
        inner: B,
        scope: ReceivedContext,
        announced: Option<u64>,
        exchange: Option<X>,
    ) -> Self {
        ResponseBody {
            inner: Some(inner),
            scope,
            announced,
            exchange,
        }
    }
}

impl<B, X> Body for ResponseBody<B, X>
where
    B: Body<Error: 'static>,
    X: Exchange,
{
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let this = self.project();
        let Some(mut inner) = this.inner.as_pin_mut() else {
            return Poll::Ready(None);
        };
        let _in_scope = this.scope.enter();
        let polled = within(this.exchange, || inner.as_mut().poll_frame(cx));
        let frame = ready!(polled);
        let Some(exchange) = this.exchange else {
            return Poll::Ready(frame);
        };
        let end = match &frame {
            None => Some(End::Complete),
            Some(Err(error)) => {
                let kind = exchange.fail(error);
                Some(End::BodyError(kind.unwrap_or_else(|| error_type(error))))
            }
            Some(Ok(frame)) => {
                if let Some(trailers) = frame.trailers_ref() {
                    exchange.trailers(trailers);
                }
                let passed = exchange.pass(frame.data_ref().map_or(0, Buf::remaining));
                let is_over = this.announced.is_some_and(|announced| passed >= announced)
                    || frame.is_trailers()
                    || inner.is_end_stream();
                is_over.then_some(End::Complete)
            }
        };
        if let Some(end) = end
            && let Some(exchange) = this.exchange.take()
        {
            exchange.end(end);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.as_ref().map(Body::size_hint).unwrap_or_default()
    }
}

impl<B: fmt::Debug, X: Exchange> fmt::Debug for ResponseBody<B, X> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("ResponseBody");
        out.field("inner", &self.inner).finish_non_exhaustive()
    }
}
