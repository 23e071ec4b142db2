//! The future of a response.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use barograph_core::current;
use barograph_model::context::TraceContext;
use http::Response;
use http_body::Body;
use pin_project_lite::pin_project;

use super::body::ResponseBody;
use super::exchange::{End, Exchange, Unwinding, announced};

pin_project! {
    /// The response to a request that is recorded.
    pub struct ResponseFuture<F> {
        #[pin]
        inner: F,
        context: Option<TraceContext>,
        exchange: Option<Exchange>,
    }
}

impl<F> ResponseFuture<F> {
    pub(super) fn new(inner: F, context: Option<TraceContext>, exchange: Option<Exchange>) -> Self {
        ResponseFuture {
            inner,
            context,
            exchange,
        }
    }
}

impl<F, B, E> Future for ResponseFuture<F>
where
    F: Future<Output = Result<Response<B>, E>>,
    B: Body,
{
    type Output = Result<Response<ResponseBody<B>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let _in_context = this.context.map(current::enter);
        let unwinding = Unwinding(this.exchange);
        let polled = this.inner.poll(cx);
        std::mem::forget(unwinding);
        let result = ready!(polled);
        let mut exchange = this.exchange.take();
        let response = match result {
            Ok(response) => response,
            Err(error) => {
                if let Some(exchange) = exchange {
                    exchange.end(End::ServiceError);
                }
                return Poll::Ready(Err(error));
            }
        };
        let announced = announced(response.body(), response.headers());
        let end = match &mut exchange {
            Some(exchange) => exchange
                .respond(response.status())
                .or_else(|| (announced == Some(0)).then_some(End::Complete)),
            None => None,
        };
        if let Some(end) = end
            && let Some(exchange) = exchange.take()
        {
            exchange.end(end);
        }
        let context = *this.context;
        Poll::Ready(Ok(
            response.map(|body| ResponseBody::new(body, context, announced, exchange))
        ))
    }
}
