//! The future of a response.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http::Response;
use http_body::Body;
use pin_project_lite::pin_project;

use super::body::ResponseBody;
use super::{End, Exchange, Ongoing, announced};

pin_project! {
    /// The future of a response to a request that is recorded.
    pub struct ResponseFuture<F, X: Exchange> {
        // Some until it is dropped, which happens inside the exchange.
        #[pin]
        inner: Option<F>,
        ongoing: Ongoing<X>,
    }

    impl<F, X: Exchange> PinnedDrop for ResponseFuture<F, X> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            let _in_scope = this.ongoing.enter_scope();
            let _entered = this.ongoing.enter_exchange();
            this.inner.set(None);
        }
    }
}

impl<F, X: Exchange> ResponseFuture<F, X> {
    pub(crate) fn new(inner: F, ongoing: Ongoing<X>) -> Self {
        ResponseFuture {
            inner: Some(inner),
            ongoing,
        }
    }
}

impl<F, B, E, X> Future for ResponseFuture<F, X>
where
    F: Future<Output = Result<Response<B>, E>>,
    B: Body,
    E: 'static,
    X: Exchange,
{
    type Output = Result<Response<ResponseBody<B, X>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let inner = this.inner.as_pin_mut();
        let inner = inner.expect("it is there until the future is dropped");
        let _in_scope = this.ongoing.enter_scope();
        let polled = this.ongoing.run(|| inner.poll(cx));
        let result = ready!(polled);
        let mut ongoing = this.ongoing.take();
        let response = match result {
            Ok(response) => response,
            Err(error) => {
                ongoing.fail(&error, End::ServiceError);
                return Poll::Ready(Err(error));
            }
        };
        let (mut head, body) = response.into_parts();
        let mut announced = announced(&body, &head.headers);
        if let Some(exchange) = ongoing.exchange() {
            let end = exchange.respond(&mut head);
            if exchange.awaits_trailers() && !body.is_end_stream() {
                announced = None;
            }
            let end = end.or_else(|| (announced == Some(0)).then_some(End::Complete));
            if let Some(end) = end {
                ongoing.end(end);
            }
        }
        let body = ResponseBody::new(body, ongoing, announced);
        Poll::Ready(Ok(Response::from_parts(head, body)))
    }
}
