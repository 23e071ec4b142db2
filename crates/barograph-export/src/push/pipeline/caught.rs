//! Polls a future so that its panics go no further.

use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::Poll;

/// A future panicked, or did so when it was dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Panicked;

/// What the future comes to. One that has panicked is dropped and not polled again.
pub(super) async fn caught<T>(
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
