//! Futures that produce no telemetry.
//!
//! `h2` emits about a hundred `tracing` events per request. If log records are exported, each
//! request would cause the next one. So telemetry is suppressed while HTTP/2 is polled or dropped,
//! on whichever thread that happens; see [`suppression`].

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use barograph_model::suppression;
use hyper::rt::Executor;

/// A future that suppresses telemetry while it is polled and dropped.
pub(super) struct Suppressed<'a, T> {
    /// `Some` until it is dropped.
    inner: Option<Pin<Box<dyn Future<Output = T> + Send + 'a>>>,
}

impl<'a, T> Suppressed<'a, T> {
    pub(super) fn new(future: impl Future<Output = T> + Send + 'a) -> Self {
        let inner: Pin<Box<dyn Future<Output = T> + Send + 'a>> = Box::pin(future);
        Suppressed { inner: Some(inner) }
    }
}

impl<T> Future for Suppressed<'_, T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        let inner = self.inner.as_mut().expect("there until it is dropped");
        let _suppressed = suppression::suppress();
        inner.as_mut().poll(context)
    }
}

impl<T> Drop for Suppressed<'_, T> {
    fn drop(&mut self) {
        let _suppressed = suppression::suppress();
        self.inner = None;
    }
}

/// An executor that spawns the tasks of HTTP/2, with telemetry suppressed, on the current runtime.
#[derive(Clone)]
pub(super) struct SuppressedExecutor;

impl<F> Executor<F> for SuppressedExecutor
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    fn execute(&self, future: F) {
        tokio::spawn(Suppressed::new(future));
    }
}
