//! What became of one try to send a request.

use std::borrow::Cow;
use std::time::Duration;

/// How one try ended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// The receiver took it, or part of it. It is never sent again.
    Delivered(Option<PartialSuccess>),
    /// It did not work, and may work later.
    Setback(Setback),
    /// It will never work: not to be tried again.
    Refused(Refusal),
}

/// What a receiver says about a request that it took: how much of it it did not want, or only a
/// warning.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PartialSuccess {
    /// Data points, spans or log records that were rejected.
    pub rejected: u64,
    /// What the receiver says, cut to a bounded length, control characters escaped.
    pub message: String,
}

/// Why a try failed that may be repeated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setback {
    /// The code or kind, of few values: `503`, `UNAVAILABLE`, `timeout`, `connect`. For `error.type`.
    pub error_type: Cow<'static, str>,
    /// For people, without secrets, bounded, control characters escaped.
    pub message: String,
    /// How long the receiver asks to wait.
    pub retry_after: Option<Duration>,
    /// Whether the receiver may have taken it all the same: the request was sent and no answer came.
    pub may_have_arrived: bool,
}

/// Why a request is not to be repeated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The code or kind, of few values, for `error.type`.
    pub error_type: Cow<'static, str>,
    /// For people, without secrets, bounded, control characters escaped.
    pub message: String,
}

impl Refusal {
    /// The `error_type` of a request that is larger than any may be, and was not sent.
    pub const TOO_LARGE: &'static str = "too_large";
}
