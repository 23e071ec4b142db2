//! Sends one request, with retries, until its time is up.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use super::catch_panic::catch_panic;
use super::commands::{Commands, Stage};
use crate::ledger::{ErrorType, Ledger};
use crate::moment::{Instant, after, now, part};
use crate::outcome::{Outcome, PartialSuccess, Permanent, Retryable};
use crate::retry::{Jitter, RetryPolicy};
use crate::transport::Transport;
use barograph_encode::otlp::Request;

/// The outcome of a request after all its attempts.
#[derive(Clone, Debug)]
pub(super) enum Delivery {
    /// The receiver accepted it.
    Accepted(Option<PartialSuccess>),
    /// The receiver refused it permanently.
    Refused(Permanent),
    /// It exceeds the maximum size, and was not sent.
    TooLarge,
    /// The transport panicked.
    Panicked,
    /// It could not be delivered.
    Undelivered {
        /// The failure of the last attempt; `may_have_arrived` covers all attempts.
        failure: Retryable,
        /// True if this shows that the receiver is unavailable. An attempt that was cut short does
        /// not.
        is_proof: bool,
    },
}

/// The number of attempts to make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Attempts {
    /// Retry until the time is up.
    UntilDeadline,
    /// Make one attempt, to see whether the receiver is back.
    Single,
}

/// The limits of sending one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SendLimits {
    pub(super) attempts: Attempts,
    /// Commands that are more urgent than this end the attempts.
    pub(super) stage: Stage,
    pub(super) until: Instant,
}

/// Sends requests to a receiver, with retries.
pub(super) struct Sender {
    pub(super) transport: Box<dyn Transport>,
    pub(super) ledger: Ledger,
    pub(super) retry: RetryPolicy,
    pub(super) jitter: Jitter,
    /// The time limit of a request, which covers all its attempts.
    pub(super) request_timeout: Duration,
}

impl Sender {
    /// Sends the request with retries, and counts the operation.
    pub(super) async fn send(
        &mut self,
        request: &Request,
        limits: SendLimits,
        commands: &mut Commands,
    ) -> Delivery {
        let ledger = self.ledger.clone();
        let _in_flight = ledger.begin_operation(request.items);
        let began = now();
        let delivery = self.send_with_retry(request, limits, commands).await;
        let (operation, failed) = error_of(&delivery, request.items);
        let took = now().saturating_duration_since(began);
        ledger.end_operation(took, &operation, (failed.0, &failed.1));
        delivery
    }

    /// Sends the request until it is accepted or refused, the time is up, or a more urgent command
    /// arrives.
    async fn send_with_retry(
        &mut self,
        request: &Request,
        limits: SendLimits,
        commands: &mut Commands,
    ) -> Delivery {
        let SendLimits {
            attempts, stage, ..
        } = limits;
        let began = now();
        let deadline = limits.until.min(after(began, self.request_timeout));
        let time = deadline.saturating_duration_since(began);
        let mut interval = self.retry.first_interval();
        let mut may_have_arrived = false;
        loop {
            // Attempt.
            let attempt = attempt(&mut *self.transport, request);
            let outcome = commands.within(stage, deadline, attempt).await;

            // Classify.
            let mut failure = match outcome {
                Some(Some(Outcome::Delivered(partial))) => return Delivery::Accepted(partial),
                Some(Some(Outcome::Permanent(failure))) => {
                    return match failure.error_type == Permanent::TOO_LARGE {
                        true => Delivery::TooLarge,
                        false => Delivery::Refused(failure),
                    };
                }
                Some(Some(Outcome::Retryable(failure))) => failure,
                Some(None) => return Delivery::Panicked,
                None => {
                    let waited = now().saturating_duration_since(began);
                    return Delivery::Undelivered {
                        failure: timed_out(waited),
                        is_proof: waited >= self.request_timeout,
                    };
                }
            };
            may_have_arrived |= failure.may_have_arrived;
            failure.may_have_arrived = may_have_arrived;

            // Pause, unless that leaves no time for another attempt: then give up now, because the next
            // cycle comes sooner.
            let pause = self
                .retry
                .pause(interval, &mut self.jitter, failure.retry_after);
            interval = self.retry.next_interval(interval);
            let left = deadline.saturating_duration_since(now());
            let is_over =
                attempts == Attempts::Single || pause.saturating_add(part(time, 10)) >= left;
            if is_over || !commands.sleep(stage, after(now(), pause)).await {
                // A failure proves nothing if the request had less time than its own limit.
                let had_time = attempts == Attempts::Single || time >= self.request_timeout;
                return Delivery::Undelivered {
                    failure,
                    is_proof: is_over && had_time,
                };
            }
        }
    }
}

/// Makes one attempt. Returns `None` if the transport panicked.
async fn attempt(transport: &mut dyn Transport, request: &Request) -> Option<Outcome> {
    let transport = AssertUnwindSafe(transport);
    let made = catch_unwind(move || {
        let AssertUnwindSafe(transport) = { transport };
        transport.send(request)
    });
    catch_panic(made.ok()?).await.ok()
}

fn timed_out(waited: Duration) -> Retryable {
    Retryable {
        error_type: "timeout".into(),
        message: format!("no response within {} ms", waited.as_millis()),
        retry_after: None,
        may_have_arrived: true,
    }
}

/// Returns the `error.type` of the operation, and the number of items that did not arrive, with their
/// `error.type`.
///
/// Source: OpenTelemetry semantic conventions 1.44: the items that a partial success rejects have
/// failed, the operation has not.
fn error_of(delivery: &Delivery, items: u64) -> (ErrorType, (u64, ErrorType)) {
    let error_type = match delivery {
        Delivery::Accepted(partial) => {
            let rejected = partial
                .as_ref()
                .map_or(0, |partial| partial.rejected.min(items));
            return (None, (rejected, Some("rejected".into())));
        }
        Delivery::Refused(failure) => failure.error_type.clone(),
        Delivery::TooLarge => Permanent::TOO_LARGE.into(),
        Delivery::Panicked => "panic".into(),
        Delivery::Undelivered { failure, .. } => failure.error_type.clone(),
    };
    (Some(error_type.clone()), (items, Some(error_type)))
}
