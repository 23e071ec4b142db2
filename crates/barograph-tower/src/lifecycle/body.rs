//! The response body that ends a request.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Buf;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use super::{End, Exchange, Ongoing};

pin_project! {
    /// A response body that records its request when it ends.
    ///
    /// It ends when the inner body returns nothing more, returns trailers or reports its end, and when
    /// it has returned as many bytes as it announced: servers do not poll it again then. Only exchanges
    /// that await trailers ignore the announced length.
    pub struct ResponseBody<B, X: Exchange> {
        // Some until it is dropped, which happens inside the exchange.
        #[pin]
        inner: Option<B>,
        ongoing: Ongoing<X>,
        // The number of bytes, if it is known in advance and no trailers are awaited.
        announced: Option<u64>,
        passed: u64,
    }

    impl<B, X: Exchange> PinnedDrop for ResponseBody<B, X> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            let _in_scope = this.ongoing.enter_scope();
            let _entered = this.ongoing.enter_exchange();
            this.inner.set(None);
        }
    }
}

impl<B, X: Exchange> ResponseBody<B, X> {
    pub(super) fn new(inner: B, ongoing: Ongoing<X>, announced: Option<u64>) -> Self {
        ResponseBody {
            inner: Some(inner),
            ongoing,
            announced,
            passed: 0,
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
        let _in_scope = this.ongoing.enter_scope();
        let polled = this.ongoing.run(|| inner.as_mut().poll_frame(cx));
        let frame = ready!(polled);
        let Some(exchange) = this.ongoing.exchange() else {
            return Poll::Ready(frame);
        };
        match &frame {
            None => this.ongoing.end(End::Complete),
            Some(Err(error)) => this.ongoing.fail(error, End::BodyError),
            Some(Ok(frame)) => {
                if let Some(trailers) = frame.trailers_ref() {
                    exchange.trailers(trailers);
                }
                let bytes = frame.data_ref().map_or(0, Buf::remaining);
                *this.passed = this.passed.saturating_add(bytes as u64);
                exchange.pass(*this.passed);
                let is_over = this
                    .announced
                    .is_some_and(|announced| *this.passed >= announced)
                    || frame.is_trailers()
                    || inner.is_end_stream();
                if is_over {
                    this.ongoing.end(End::Complete);
                }
            }
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
