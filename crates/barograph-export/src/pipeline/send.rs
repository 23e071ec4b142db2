//! Sends one request, with retries, until its time is up.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use tokio::time::Instant;

use super::caught::caught;
use super::orders::{Orders, Stage};
use crate::ledger::{ErrorType, Ledger};
use crate::moment::{after, part};
use crate::outcome::{Outcome, PartialSuccess, Refusal, Setback};
use crate::retry::{Chance, RetryPolicy};
use crate::transport::Transport;
use barograph_encode::otlp::Request;

/// The outcome of a request after all its attempts.
#[derive(Debug)]
pub(super) enum Delivery {
    /// The receiver accepted it.
    Taken(Option<PartialSuccess>),
    /// The receiver refused it permanently.
    Refused(Refusal),
    /// It exceeds the maximum size, and was not sent.
    TooLarge,
    /// The transport panicked.
    Panicked,
    /// It could not be delivered.
    Undelivered {
        /// The failure of the last attempt; `may_have_arrived` covers all attempts.
        setback: Setback,
        /// True if this shows that the receiver is unavailable. An attempt that was cut short does
        /// not.
        is_proof: bool,
    },
}

/// The number of attempts to make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Patience {
    /// Retry until the time is up.
    Retries,
    /// Make one attempt, to see whether the receiver is back.
    OneTry,
}

/// Sends requests to a receiver, with retries.
pub(super) struct Sender {
    pub(super) transport: Box<dyn Transport>,
    pub(super) ledger: Ledger,
    pub(super) retry: RetryPolicy,
    pub(super) chance: Chance,
    /// The time limit of a request, which covers all its attempts.
    pub(super) request_timeout: Duration,
}

impl Sender {
    /// Sends the request, with retries, until it is accepted or refused, the time is up, or a more
    /// urgent command arrives.
    pub(super) async fn deliver(
        &mut self,
        request: &Request,
        patience: Patience,
        stage: Stage,
        until: Instant,
        orders: &mut Orders,
    ) -> Delivery {
        let ledger = self.ledger.clone();
        let _in_flight = ledger.begin_operation(request.items);
        let began = Instant::now();
        let delivery = self.tries(request, patience, stage, until, orders).await;
        let (operation, failed) = error_of(&delivery, request.items);
        let failed = (failed.0, &failed.1);
        ledger.end_operation(began.elapsed(), &operation, failed);
        delivery
    }

    async fn tries(
        &mut self,
        request: &Request,
        patience: Patience,
        stage: Stage,
        until: Instant,
        orders: &mut Orders,
    ) -> Delivery {
        let began = Instant::now();
        let until = until.min(after(began, self.request_timeout));
        let time = until.saturating_duration_since(began);
        // A failure proves nothing if the request had less time than its own limit.
        let has_full_time = time >= self.request_timeout;
        let mut backoff = self.retry.backoff();
        let mut may_have_arrived = false;
        loop {
            let answer = orders.within(stage, until, self.one_try(request)).await;
            let mut setback = match answer {
                Some(Some(Outcome::Delivered(partial))) => return Delivery::Taken(partial),
                Some(Some(Outcome::Refused(refusal))) => {
                    return match refusal.error_type == Refusal::TOO_LARGE {
                        true => Delivery::TooLarge,
                        false => Delivery::Refused(refusal),
                    };
                }
                Some(Some(Outcome::Setback(setback))) => setback,
                Some(None) => return Delivery::Panicked,
                None => {
                    let waited = began.elapsed();
                    return Delivery::Undelivered {
                        setback: no_answer(waited),
                        is_proof: waited >= self.request_timeout,
                    };
                }
            };
            may_have_arrived |= setback.may_have_arrived;
            setback.may_have_arrived = may_have_arrived;
            let pause = backoff.pause(&mut self.chance, setback.retry_after);
            let left = until.saturating_duration_since(Instant::now());
            // If the pause leaves no time for another attempt, give up now: the next cycle comes
            // sooner.
            let is_over =
                patience == Patience::OneTry || pause.saturating_add(part(time, 10)) >= left;
            if is_over || !orders.sleep(stage, after(Instant::now(), pause)).await {
                return Delivery::Undelivered {
                    setback,
                    is_proof: is_over && (has_full_time || patience == Patience::OneTry),
                };
            }
        }
    }

    /// Makes one attempt. Returns `None` if the transport panicked.
    async fn one_try(&mut self, request: &Request) -> Option<Outcome> {
        let transport = AssertUnwindSafe(&mut self.transport);
        let made = catch_unwind(move || {
            let AssertUnwindSafe(transport) = { transport };
            transport.send(request)
        });
        caught(made.ok()?).await.ok()
    }
}

fn no_answer(waited: Duration) -> Setback {
    Setback {
        error_type: "timeout".into(),
        message: format!("no answer within {} ms", waited.as_millis()),
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
        Delivery::Taken(partial) => {
            let rejected = partial
                .as_ref()
                .map_or(0, |partial| partial.rejected.min(items));
            return (None, (rejected, Some("rejected".into())));
        }
        Delivery::Refused(refusal) => refusal.error_type.clone(),
        Delivery::TooLarge => Refusal::TOO_LARGE.into(),
        Delivery::Panicked => "panic".into(),
        Delivery::Undelivered { setback, .. } => setback.error_type.clone(),
    };
    (Some(error_type.clone()), (items, Some(error_type)))
}
