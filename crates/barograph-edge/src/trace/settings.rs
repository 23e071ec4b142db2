//! What a layer is asked to do.

use super::limits::SpanLimits;
use crate::redact::Redaction;

/// What becomes of an event inside of a span that is recorded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Events {
    /// It is recorded in the span.
    #[default]
    InSpans,
    /// It is not: it goes out as a log record.
    AsLogs,
}

/// What an event of level `ERROR` says about its span.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorEvents {
    /// That it failed, unless somebody says otherwise.
    #[default]
    FailSpan,
    /// Nothing.
    SayNothing,
}

/// What a layer is asked to do.
#[derive(Clone, Debug, Default)]
pub(super) struct Settings {
    pub(super) limits: SpanLimits,
    pub(super) redaction: Redaction,
    pub(super) events: Events,
    pub(super) error_events: ErrorEvents,
    pub(super) has_code_location: bool,
    pub(super) has_timing: bool,
}
