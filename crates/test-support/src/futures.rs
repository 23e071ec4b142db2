//! Runs futures without a runtime.

use std::pin::pin;
use std::task::{Context, Poll, Waker};

/// Returns the output of a future that waits only for its own wakeups.
///
/// # Panics
/// Panics if the future waits for anything else.
pub fn now<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let mut cx = Context::from_waker(Waker::noop());
    for _ in 0..100 {
        if let Poll::Ready(output) = future.as_mut().poll(&mut cx) {
            return output;
        }
    }
    panic!("the future waits for something else");
}
