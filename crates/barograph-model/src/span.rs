//! Spans: operations of a process in a trace, with their start and end.
//!
//! Source: OpenTelemetry 1.60, trace API and SDK.

use crate::context::{SpanId, TraceContext, TraceState};
use crate::value::{Attribute, Text};

/// A span that has ended, or that is exported with its current state because its process ends.
#[derive(Clone, Debug, PartialEq)]
pub struct SpanRecord {
    /// The trace id, the span id and the flags.
    pub context: TraceContext,
    /// The parent span; `None` at the root of a trace.
    pub parent: Option<Parent>,
    /// The data of other tracing systems about the trace.
    pub trace_state: TraceState,
    /// The name, of low cardinality: `GET /orders/{id}`.
    pub name: Text,
    /// The role of the span between services.
    pub kind: SpanKind,
    /// The start time, in nanoseconds since the Unix epoch.
    pub start_unix_nano: u64,
    /// The end time, in nanoseconds since the Unix epoch.
    pub end_unix_nano: u64,
    /// The part of the program that made it, the name of its instrumentation scope: the target of a
    /// `tracing` span.
    pub scope: Text,
    /// The attributes, each key once.
    pub attributes: Vec<Attribute>,
    /// The number of attributes dropped because of a limit.
    pub dropped_attributes: u32,
    /// The events, in order.
    pub events: Vec<SpanEvent>,
    /// The number of events dropped because of a limit.
    pub dropped_events: u32,
    /// The links to other spans.
    pub links: Vec<SpanLink>,
    /// The number of links dropped because of a limit.
    pub dropped_links: u32,
    /// The status.
    pub status: Status,
}

impl SpanRecord {
    /// Returns a span with only a context and a name: a root of unset status, with times of zero.
    #[inline]
    pub fn new(context: TraceContext, name: impl Into<Text>) -> Self {
        SpanRecord {
            context,
            parent: None,
            trace_state: TraceState::EMPTY,
            name: name.into(),
            kind: SpanKind::Internal,
            start_unix_nano: 0,
            end_unix_nano: 0,
            scope: Text::Borrowed(""),
            attributes: Vec::new(),
            dropped_attributes: 0,
            events: Vec::new(),
            dropped_events: 0,
            links: Vec::new(),
            dropped_links: 0,
            status: Status::Unset,
        }
    }
}

/// The parent of a span.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parent {
    /// The span id, in the same trace.
    pub span_id: SpanId,
    /// True if it is in another process.
    pub is_remote: bool,
}

/// The role of a span between services.
///
/// Source: OpenTelemetry 1.60, "SpanKind"; the numbers are those of OTLP.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum SpanKind {
    /// An operation inside the process.
    #[default]
    Internal = 1,
    /// The span handles a request of another service.
    Server = 2,
    /// The span calls another service, and waits for the response.
    Client = 3,
    /// The span sends a message, and does not wait for its consumer.
    Producer = 4,
    /// The span receives a message.
    Consumer = 5,
}

impl SpanKind {
    /// Returns the kind with that name, in any case.
    pub fn from_name(name: &str) -> Option<Self> {
        [
            SpanKind::Internal,
            SpanKind::Server,
            SpanKind::Client,
            SpanKind::Producer,
            SpanKind::Consumer,
        ]
        .into_iter()
        .find(|kind| kind.as_str().eq_ignore_ascii_case(name))
    }

    /// Returns its name: `server`.
    pub fn as_str(self) -> &'static str {
        match self {
            SpanKind::Internal => "internal",
            SpanKind::Server => "server",
            SpanKind::Client => "client",
            SpanKind::Producer => "producer",
            SpanKind::Consumer => "consumer",
        }
    }
}

/// The status of a span.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Status {
    /// No status was set.
    #[default]
    Unset,
    /// The operation was explicitly marked as successful.
    Ok,
    /// The operation failed.
    Error {
        /// The reason, for people; may be empty.
        description: Text,
    },
}

/// An event in a span.
#[derive(Clone, Debug, PartialEq)]
pub struct SpanEvent {
    /// The name.
    pub name: Text,
    /// The time, in nanoseconds since the Unix epoch.
    pub time_unix_nano: u64,
    /// The attributes.
    pub attributes: Vec<Attribute>,
    /// The number of attributes dropped because of a limit.
    pub dropped_attributes: u32,
}

/// A link to another span, mostly of another trace.
#[derive(Clone, Debug, PartialEq)]
pub struct SpanLink {
    /// The other span.
    pub context: TraceContext,
    /// The tracestate of the other span.
    pub trace_state: TraceState,
    /// Attributes of the link.
    pub attributes: Vec<Attribute>,
    /// The number of attributes dropped because of a limit.
    pub dropped_attributes: u32,
}

impl SpanLink {
    /// Returns a link without tracestate and attributes.
    pub fn new(context: TraceContext) -> Self {
        SpanLink {
            context,
            trace_state: TraceState::default(),
            attributes: Vec::new(),
            dropped_attributes: 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_found_by_name() {
        assert_eq!(SpanKind::from_name("SERVER"), Some(SpanKind::Server));
        assert_eq!(SpanKind::from_name("consumer"), Some(SpanKind::Consumer));
        assert_eq!(SpanKind::from_name("waiter"), None);
    }
}
