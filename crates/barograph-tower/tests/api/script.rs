//! Bodies and services that follow a test's script.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use barograph_core::current;
use barograph_model::context::TraceContext;
use barograph_tower::http::{HttpServer, HttpServerLayer};
use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body::{Body, Frame, SizeHint};
use tower::{Layer, Service};

pub(crate) use test_support::futures::now;
use test_support::spans::Seen;

use Step::{Data, Fail, Note, Panic, Trailers, Wait};

/// An action of a body when it is polled.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    Data(&'static str),
    Trailers,
    Wait,
    Fail,
    Panic,
    /// Records the current context, and continues with the next step.
    Note(Arc<Mutex<Vec<Option<TraceContext>>>>),
}

/// A body that follows a script, and returns nothing after it.
#[derive(Debug, Default)]
pub(crate) struct Script {
    steps: VecDeque<Step>,
    size: Option<u64>,
    says_when_it_ends: bool,
}

impl Script {
    pub(crate) fn new(steps: impl IntoIterator<Item = Step>) -> Self {
        Script {
            steps: steps.into_iter().collect(),
            ..Script::default()
        }
    }

    pub(crate) fn with_exact_size(mut self, size: u64) -> Self {
        self.size = Some(size);
        self
    }

    pub(crate) fn says_when_it_ends(mut self) -> Self {
        self.says_when_it_ends = true;
        self
    }
}

#[derive(Debug, PartialEq)]
pub(crate) struct Failed;

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("failed")
    }
}

impl std::error::Error for Failed {}

impl Body for Script {
    type Data = Bytes;
    type Error = Failed;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Failed>>> {
        loop {
            return match self.steps.pop_front() {
                None => Poll::Ready(None),
                Some(Data(text)) => {
                    Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(text.as_bytes())))))
                }
                Some(Trailers) => Poll::Ready(Some(Ok(Frame::trailers(HeaderMap::new())))),
                Some(Wait) => {
                    cx.waker().wake_by_ref();
                    Poll::Pending
                }
                Some(Fail) => Poll::Ready(Some(Err(Failed))),
                Some(Panic) => panic!("the script says so"),
                Some(Note(notes)) => {
                    notes.lock().unwrap().push(current::context());
                    continue;
                }
            };
        }
    }

    fn is_end_stream(&self) -> bool {
        self.says_when_it_ends && self.steps.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        self.size.map(SizeHint::with_exact).unwrap_or_default()
    }
}

/// Returns a service whose responses are all created by this function.
pub(crate) fn service<R>(
    layer: &HttpServerLayer,
    respond: R,
) -> HttpServer<
    impl Service<
        Request<Script>,
        Response = Response<Script>,
        Error = Infallible,
        Future = impl Future<Output = Result<Response<Script>, Infallible>>,
    >,
>
where
    R: Fn() -> Response<Script>,
{
    layer.layer(tower::service_fn(move |_: Request<Script>| {
        std::future::ready(Ok(respond()))
    }))
}

pub(crate) fn request(method: &str) -> Request<Script> {
    let request = Request::builder().method(method).uri("/secret/path");
    let body = Script::new([]).with_exact_size(0);
    request.body(body).unwrap()
}

/// Returns the next frame of a body, as `poll_frame` returns it.
pub(crate) fn frame<B: Body + Unpin>(body: &mut B) -> Option<Result<Frame<B::Data>, B::Error>> {
    now(std::future::poll_fn(|cx| {
        Pin::new(&mut *body).poll_frame(cx)
    }))
}

/// Returns the status, the error and the span status of a span.
pub(crate) fn end(span: &Seen) -> [&str; 3] {
    [
        "http.response.status_code",
        "error.type",
        "otel.status_code",
    ]
    .map(|name| span.field(name))
}
