//! Log records.
//!
//! Source: OpenTelemetry 1.60, "Logs Data Model".

use crate::context::TraceContext;
use crate::value::{AnyValue, Attribute, Text};

/// Something that a program said.
#[derive(Clone, Debug, PartialEq)]
pub struct LogRecord {
    /// When it happened, in nanoseconds since the Unix epoch; 0 when nobody knows.
    pub time_unix_nano: u64,
    /// When it was seen here, in nanoseconds since the Unix epoch.
    pub observed_unix_nano: u64,
    /// How important it is.
    pub severity: Severity,
    /// What it is about; unlike the others, many records say the same.
    pub event_name: Option<Text>,
    /// What was said.
    pub body: Option<AnyValue>,
    /// The part of the program that said it, the name of its instrumentation scope: the target of a
    /// `tracing` event.
    pub scope: Text,
    /// What is known about it, each key once.
    pub attributes: Vec<Attribute>,
    /// Attributes left out because of a limit.
    pub dropped_attributes: u32,
    /// The span in which it was said.
    pub context: Option<TraceContext>,
}

/// How important a log record is.
///
/// Source: OpenTelemetry 1.60, "Severity fields"; of the four numbers of each name the lowest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Severity {
    /// For whoever follows each step.
    Trace = 1,
    /// For whoever looks for a mistake.
    Debug = 5,
    /// Something happened as it should.
    Info = 9,
    /// Something should be looked at.
    Warn = 13,
    /// Something failed.
    Error = 17,
}

impl Severity {
    /// Its name: `WARN`.
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
