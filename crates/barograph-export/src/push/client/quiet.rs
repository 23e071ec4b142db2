//! Futures that nobody hears.
//!
//! `h2` tells `tracing` of every frame, some hundred events for a request. Where the log is itself
//! pushed, each push would be a reason for the next one. So HTTP/2 is polled, and dropped, with no
//! subscriber in place.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use hyper::rt::Executor;
use tracing::dispatcher::{Dispatch, with_default};

/// A future during whose polls, and whose end, events go nowhere.
pub(super) struct Quiet<'a, T> {
    /// Always there, until it is dropped.
    inner: Option<Pin<Box<dyn Future<Output = T> + Send + 'a>>>,
}

impl<'a, T> Quiet<'a, T> {
    pub(super) fn new(future: impl Future<Output = T> + Send + 'a) -> Self {
        let inner: Pin<Box<dyn Future<Output = T> + Send + 'a>> = Box::pin(future);
        Quiet { inner: Some(inner) }
    }
}

impl<T> Future for Quiet<'_, T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        let inner = self.inner.as_mut().expect("there until it is dropped");
        with_default(&Dispatch::none(), || inner.as_mut().poll(context))
    }
}

impl<T> Drop for Quiet<'_, T> {
    fn drop(&mut self) {
        with_default(&Dispatch::none(), || self.inner = None);
    }
}

/// Runs what HTTP/2 has to do beside its connection, on the runtime that we run on.
#[derive(Clone)]
pub(super) struct QuietExecutor;

impl<F> Executor<F> for QuietExecutor
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    fn execute(&self, future: F) {
        tokio::spawn(Quiet::new(future));
    }
}
