//! The settings of a layer.

use super::limits::SpanLimits;
use crate::redact::Redaction;

/// The handling of events inside of recorded spans.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Events {
    /// Events are recorded in the span.
    #[default]
    InSpans,
    /// Events are not recorded in the span; they are exported as log records instead.
    AsLogs,
}

/// The effect of an event of level `ERROR` on the status of its span.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorEvents {
    /// The event sets the status to error, unless the status is set to `Ok`.
    #[default]
    FailSpan,
    /// The event does not change the status.
    SayNothing,
}

/// The settings of a layer.
#[derive(Clone, Debug, Default)]
pub(super) struct Settings {
    pub(super) limits: SpanLimits,
    pub(super) redaction: Redaction,
    pub(super) events: Events,
    pub(super) error_events: ErrorEvents,
    pub(super) has_code_location: bool,
    pub(super) has_timing: bool,
}
