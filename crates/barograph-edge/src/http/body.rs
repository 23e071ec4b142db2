//! The response body that ends an exchange.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use barograph_core::current;
use barograph_model::context::TraceContext;
use bytes::Buf;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use super::exchange::{End, Exchange, Unwinding};

pin_project! {
    /// The body of a response whose request is recorded when the body ends.
    ///
    /// It ends when the inner body gives nothing more or says that it is at its end, and when it has
    /// given as many bytes as it announced: servers do not ask again then.
    pub struct ResponseBody<B> {
        #[pin]
        inner: B,
        context: Option<TraceContext>,
        // How many bytes there will be, if that is known.
        announced: Option<u64>,
        exchange: Option<Exchange>,
    }
}

impl<B> ResponseBody<B> {
    pub(super) fn new(
        inner: B,
        context: Option<TraceContext>,
        announced: Option<u64>,
        exchange: Option<Exchange>,
    ) -> Self {
        ResponseBody {
            inner,
            context,
            announced,
            exchange,
        }
    }
}

impl<B: Body> Body for ResponseBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let mut this = self.project();
        let _in_context = this.context.map(current::enter);
        let unwinding = Unwinding(this.exchange);
        let polled = this.inner.as_mut().poll_frame(cx);
        std::mem::forget(unwinding);
        let frame = ready!(polled);
        let Some(exchange) = this.exchange else {
            return Poll::Ready(frame);
        };
        let end = match &frame {
            None => Some(End::Complete),
            Some(Err(_)) => Some(End::BodyError),
            Some(Ok(frame)) => {
                let passed = exchange.pass(frame.data_ref().map_or(0, Buf::remaining));
                let is_over = this.announced.is_some_and(|announced| passed >= announced)
                    || this.inner.is_end_stream();
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
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
