//! Request data in a service built on axum: the matched route, and the type of the body.

use std::any::Any;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use ::axum::body::Body;
use ::axum::extract::{ConnectInfo, MatchedPath};
use bytes::Bytes;
use http::request::Parts;
use http_body::{Body as _, Frame, SizeHint};
use pin_project_lite::pin_project;

use super::route::Route;

/// Returns the route that axum's router matched.
pub(super) fn matched(request: &Parts) -> Option<Route> {
    let matched = request.extensions.get::<MatchedPath>().cloned();
    matched.map(Route::from)
}

/// Returns the peer of the connection, as stored by `into_make_service_with_connect_info`.
pub(super) fn connected(request: &Parts) -> Option<SocketAddr> {
    let connected = request.extensions.get::<ConnectInfo<SocketAddr>>();
    connected.map(|connected| connected.0)
}

/// Wraps the body so that its bytes are counted, if it is axum's.
///
/// The body keeps its type, because middleware that accepts only axum's requests would not fit below
/// this layer otherwise. Bodies of other types are not counted: wrapping would change their type.
pub(super) fn count<B: 'static>(body: &mut B) -> Option<Passed> {
    let body = (body as &mut dyn Any).downcast_mut::<Body>()?;
    if body.is_end_stream() {
        return None;
    }
    let passed = Passed::new();
    *body = Body::new(RequestBody {
        inner: std::mem::take(body),
        passed: passed.clone(),
    });
    Some(passed)
}

pin_project! {
    /// A request body whose bytes are counted.
    struct RequestBody {
        #[pin]
        inner: Body,
        passed: Passed,
    }
}

impl http_body::Body for RequestBody {
    type Data = Bytes;
    type Error = ::axum::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, ::axum::Error>>> {
        let this = self.project();
        let polled = this.inner.poll_frame(cx);
        let bytes = match &polled {
            Poll::Ready(Some(Ok(frame))) => frame.data_ref().map_or(0, Bytes::len),
            _ => 0,
        };
        this.passed.add(bytes);
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// The bytes read from one request body, counted as they are read. Clones share the count.
#[derive(Clone)]
pub(super) struct Passed {
    bytes: Arc<AtomicU64>,
}

impl Passed {
    /// The body has not been polled yet.
    const UNREAD: u64 = u64::MAX;

    fn new() -> Self {
        Passed {
            bytes: Arc::new(AtomicU64::new(Self::UNREAD)),
        }
    }

    /// Adds bytes to the count; zero if a poll gave none.
    ///
    /// The body is the only writer.
    fn add(&self, bytes: usize) {
        let before = self.get().unwrap_or(0);
        self.bytes
            .store(before.saturating_add(bytes as u64), Ordering::Relaxed);
    }

    /// Returns the bytes so far, or none if the body was never polled.
    pub(super) fn get(&self) -> Option<u64> {
        let bytes = self.bytes.load(Ordering::Relaxed);
        (bytes != Self::UNREAD).then_some(bytes)
    }
}
