//! The outcome of one attempt to send a request.

use std::borrow::Cow;
use std::time::Duration;

/// The outcome of one attempt to send a request.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// The receiver accepted the request, or part of it. It is never sent again.
    Delivered(Option<PartialSuccess>),
    /// A retryable failure: the attempt failed, and a later one may succeed.
    Retryable(Retryable),
    /// A permanent failure: the request must not be sent again.
    Permanent(Permanent),
}

/// The response of a receiver that accepted a request but rejected some of its items, or only warns.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PartialSuccess {
    /// The number of data points, spans or log records that were rejected.
    pub rejected: u64,
    /// The receiver's message, cut to a bounded length, with control characters escaped.
    pub message: String,
}

/// The details of a retryable failure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retryable {
    /// The code or kind for `error.type`, one of few values: `503`, `UNAVAILABLE`, `timeout`,
    /// `connect`.
    pub error_type: Cow<'static, str>,
    /// A message for people: without secrets, bounded, with control characters escaped.
    pub message: String,
    /// The time that the receiver asks to wait before the next attempt.
    pub retry_after: Option<Duration>,
    /// True if the receiver may have accepted the request anyway: it was sent and no response came.
    pub may_have_arrived: bool,
}

/// The details of a permanent failure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Permanent {
    /// The code or kind for `error.type`, one of few values.
    pub error_type: Cow<'static, str>,
    /// A message for people: without secrets, bounded, with control characters escaped.
    pub message: String,
}

impl Permanent {
    /// The `error_type` of a request that exceeds the maximum size and was not sent.
    pub const TOO_LARGE: &'static str = "too_large";
}
