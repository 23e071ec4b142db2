//! Polls a future and catches its panics.

use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::Poll;

/// The error of a future that panicked while it was polled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Panicked;

/// Returns the output of the future. A future that has panicked is dropped and not polled again.
pub(super) async fn catch_panic<T>(
    future: Pin<Box<dyn Future<Output = T> + Send + '_>>,
) -> Result<T, Panicked> {
    let mut future = Some(future);
    poll_fn(move |context| {
        let Some(polled) = &mut future else {
            return Poll::Ready(Err(Panicked));
        };
        match catch_unwind(AssertUnwindSafe(|| polled.as_mut().poll(context))) {
            Ok(poll) => poll.map(Ok),
            Err(_) => {
                let _ = catch_unwind(AssertUnwindSafe(|| future = None));
                Poll::Ready(Err(Panicked))
            }
        }
    })
    .await
}
