//! Operations that are futures, and those that are functions.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;
use tracing::Span;

use super::attribute::Carried;
use super::outcome::Failure;
use super::running::{Rest, Running};

/// How the output of an operation is judged.
pub(super) trait Judge<T>: FnOnce(&T) -> Option<Failure<'_>> {}

impl<T, J: FnOnce(&T) -> Option<Failure<'_>>> Judge<T> for J {}

pin_project! {
    /// A future that is an operation. It begins when it is first polled: one that never is, was
    /// never begun and not canceled.
    pub(super) struct Observed<B, A: Carried, F, J> {
        begin: Option<B>,
        // None until it begins, and when all is off.
        running: Option<Running<A>>,
        // None once it is over: what it holds is dropped inside of the span.
        #[pin]
        future: Option<F>,
        judge: Option<J>,
    }

    impl<B, A: Carried, F, J> PinnedDrop for Observed<B, A, F, J> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            if let Some(running) = this.running {
                {
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
    B: FnOnce() -> Option<Running<A>>,
    A: Carried,
    F: Future,
    J: Judge<F::Output>,
{
    pub(super) fn new(begin: B, future: F, judge: J) -> Self {
        Observed {
            begin: Some(begin),
            running: None,
            future: Some(future),
            judge: Some(judge),
        }
    }
}

impl<B, A, F, J> Future for Observed<B, A, F, J>
where
    B: FnOnce() -> Option<Running<A>>,
    A: Carried,
    F: Future,
    J: Judge<F::Output>,
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
            let judge = this.judge.take().expect("it is asked once");
            unwinding.rest.end(span, judge(output).as_ref());
        }
        std::mem::forget(unwinding);
        polled
    }
}

/// Runs a function that is an operation, if it has begun.
#[inline]
pub(super) fn run<A: Carried, T>(
    running: Option<Running<A>>,
    function: impl FnOnce() -> T,
    judge: impl Judge<T>,
) -> T {
    let Some(mut running) = running else {
        return function();
    };
    let (span, rest) = (&running.span, &mut running.rest);
    let _inside = span.enter();
    let unwinding = Unwinding { span, rest };
    let output = function();
    unwinding.rest.end(span, judge(&output).as_ref());
    std::mem::forget(unwinding);
    output
}

/// Ends the operation when it is dropped by a panic; to be forgotten when there was none.
///
/// The drop of the operation itself would not do: whoever catches a panic may drop what panicked
/// much later.
struct Unwinding<'r, A: Carried> {
    span: &'r Span,
    rest: &'r mut Rest<A>,
}

impl<A: Carried> Drop for Unwinding<'_, A> {
    fn drop(&mut self) {
        self.rest.abandon(self.span);
    }
}
