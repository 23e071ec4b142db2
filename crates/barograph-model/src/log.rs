//! Log records.
//!
//! Source: OpenTelemetry 1.60, "Logs Data Model".

use crate::context::TraceContext;
use crate::value::{AnyValue, Attribute, Text};

/// A record of something that a program logged.
#[derive(Clone, Debug, PartialEq)]
pub struct LogRecord {
    /// The time of the event, in nanoseconds since the Unix epoch; 0 if unknown.
    pub time_unix_nano: u64,
    /// The time at which it was observed here, in nanoseconds since the Unix epoch.
    pub observed_unix_nano: u64,
    /// The severity.
    pub severity: Severity,
    /// The name of the event, which many records have in common.
    pub event_name: Option<Text>,
    /// The body: the message.
    pub body: Option<AnyValue>,
    /// The part of the program that logged it, the name of its instrumentation scope: the target of a
    /// `tracing` event.
    pub scope: Text,
    /// The attributes, each key once.
    pub attributes: Vec<Attribute>,
    /// The number of attributes dropped because of a limit.
    pub dropped_attributes: u32,
    /// The span in which it was logged.
    pub context: Option<TraceContext>,
}

/// The severity of a log record.
///
/// Source: OpenTelemetry 1.60, "Severity fields"; of the four numbers of each name the lowest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Severity {
    /// A fine-grained step, for tracing.
    Trace = 1,
    /// A detail for debugging.
    Debug = 5,
    /// An event that is expected.
    Info = 9,
    /// An event that should be looked at.
    Warn = 13,
    /// A failure.
    Error = 17,
}

impl Severity {
    /// Returns its name: `WARN`.
    pub fn as_str(self) -> &'static str {
        match self {
            Severity::Trace => "TRACE",
            Severity::Debug => "DEBUG",
            Severity::Info => "INFO",
            Severity::Warn => "WARN",
            Severity::Error => "ERROR",
        }
    }
}
