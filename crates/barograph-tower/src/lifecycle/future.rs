//! The future of a response.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http::Response;
use http_body::Body;
use pin_project_lite::pin_project;

use super::body::ResponseBody;
use super::{End, Exchange, announced, within};
use barograph_tracing::instrument::ReceivedContext;
use barograph_tracing::instrument::error_type;

pin_project! {
    /// The future of a response to a request that is recorded.
    pub struct ResponseFuture<F, X: Exchange> {
        // Some until it is dropped, which happens inside the exchange.
        #[pin]
        inner: Option<F>,
        scope: ReceivedContext,
        exchange: Option<X>,
    }

    impl<F, X: Exchange> PinnedDrop for ResponseFuture<F, X> {
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

impl<F, X: Exchange> ResponseFuture<F, X> {
    pub(crate) fn new(inner: F, scope: ReceivedContext, exchange: Option<X>) -> Self {
        ResponseFuture {
            inner: Some(inner),
            scope,
            exchange,
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
        let _in_scope = this.scope.enter();
        let polled = within(this.exchange, || inner.poll(cx));
        let result = ready!(polled);
        let mut exchange = this.exchange.take();
        let response = match result {
            Ok(response) => response,
            Err(error) => {
                if let Some(mut exchange) = exchange {
                    let kind = exchange.fail(&error);
                    let kind = kind.unwrap_or_else(|| error_type(&error));
                    exchange.end(End::ServiceError(kind));
                }
                return Poll::Ready(Err(error));
            }
        };
        let (mut head, body) = response.into_parts();
        let announced = announced(&body, &head.headers);
        let end = match &mut exchange {
            Some(exchange) => exchange
                .respond(&mut head)
                .or_else(|| (announced == Some(0)).then_some(End::Complete)),
            None => None,
        };
        if let Some(end) = end
            && let Some(exchange) = exchange.take()
        {
            exchange.end(end);
        }
        let body = ResponseBody::new(body, this.scope.clone(), announced, exchange);
        Poll::Ready(Ok(Response::from_parts(head, body)))
    }
}
