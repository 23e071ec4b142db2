//! Futures and functions that are run as operations.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;
use tracing::Span;

use super::active_operation::{ActiveOperation, Rest};
use super::attribute::Carried;
use super::failure::Failure;

/// A function that derives a failure from the output of an operation.
pub(super) trait Classify<T>: FnOnce(&T) -> Option<Failure<'_>> {}

impl<T, J: FnOnce(&T) -> Option<Failure<'_>>> Classify<T> for J {}

pin_project! {
    /// A future that is an operation. The operation begins at the first poll; a future that is never
    /// polled counts neither as begun nor as canceled.
    pub(super) struct Observed<B, A: Carried, F, J> {
        begin: Option<B>,
        // None until it begins, and when observation is off.
        running: Option<ActiveOperation<A>>,
        // None once it has finished, so that its data is dropped inside the span.
        #[pin]
        future: Option<F>,
        classify: Option<J>,
    }

    impl<B, A: Carried, F, J> PinnedDrop for Observed<B, A, F, J> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            if let Some(running) = this.running {
                // Usually it has finished: entering a span costs as much as all the rest.
                if this.future.is_some() {
                    let _inside = running.span.enter();
                    this.future.set(None);
                }
                running.abandon();
            }
        }
    }
}

impl<B, A, F, J> Observed<B, A, F, J>
where
    B: FnOnce() -> Option<ActiveOperation<A>>,
    A: Carried,
    F: Future,
    J: Classify<F::Output>,
{
    pub(super) fn new(begin: B, future: F, classify: J) -> Self {
        Observed {
            begin: Some(begin),
            running: None,
            future: Some(future),
            classify: Some(classify),
        }
    }
}

impl<B, A, F, J> Future for Observed<B, A, F, J>
where
    B: FnOnce() -> Option<ActiveOperation<A>>,
    A: Carried,
    F: Future,
    J: Classify<F::Output>,
{
    type Output = F::Output;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let mut this = self.project();
        if let Some(begin) = this.begin.take()
            && let Some(begun) = begin()
        {
            *this.running = Some(begun);
        }
        let future = this.future.as_mut().as_pin_mut();
        let future = future.expect("it is not polled when it is over");
        let Some(running) = this.running else {
            return future.poll(cx);
        };
        let (span, rest) = (&running.span, &mut running.rest);
        let _inside = span.enter();
        let unwinding = Unwinding { span, rest };
        let polled = future.poll(cx);
        if let Poll::Ready(output) = &polled {
            this.future.set(None);
            let classify = this.classify.take().expect("it is asked once");
            unwinding.rest.end(span, classify(output).as_ref());
        }
        std::mem::forget(unwinding);
        polled
    }
}

/// Runs a function that is an operation, if it has begun.
#[inline]
pub(super) fn run<A: Carried, T>(
    running: Option<ActiveOperation<A>>,
    function: impl FnOnce() -> T,
    classify: impl Classify<T>,
) -> T {
    let Some(mut running) = running else {
        return function();
    };
    let (span, rest) = (&running.span, &mut running.rest);
    let _inside = span.enter();
    let unwinding = Unwinding { span, rest };
    let output = function();
    unwinding.rest.end(span, classify(&output).as_ref());
    std::mem::forget(unwinding);
    output
}

/// Ends the operation if a panic drops this guard; forgotten if there was none.
///
/// Dropping the operation itself is too late: code that catches the panic may drop it much later.
struct Unwinding<'r, A: Carried> {
    span: &'r Span,
    rest: &'r mut Rest<A>,
}

impl<A: Carried> Drop for Unwinding<'_, A> {
    fn drop(&mut self) {
        self.rest.abandon(self.span);
    }
}
