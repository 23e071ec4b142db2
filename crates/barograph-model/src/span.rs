//! Spans: what a process did for a trace, from when to when.
//!
//! Source: OpenTelemetry 1.60, trace API and SDK.

use crate::context::{SpanId, TraceContext, TraceState};
use crate::value::{Attribute, Text};

/// A span that has ended, or is told as it stands because its process ends.
#[derive(Clone, Debug, PartialEq)]
pub struct SpanRecord {
    /// Its trace, its own id and the flags.
    pub context: TraceContext,
    /// The span that it is a part of; none at the root of a trace.
    pub parent: Option<Parent>,
    /// What other tracing systems say about the trace.
    pub trace_state: TraceState,
    /// What was done, with few different names: `GET /orders/{id}`.
    pub name: Text,
    /// Its place between services.
    pub kind: SpanKind,
    /// When it began, in nanoseconds since the Unix epoch.
    pub start_unix_nano: u64,
    /// When it ended, in nanoseconds since the Unix epoch.
    pub end_unix_nano: u64,
    /// The part of the program that made it, the name of its instrumentation scope: the target of a
    /// `tracing` span.
    pub scope: Text,
    /// What is known about it, each key once.
    pub attributes: Vec<Attribute>,
    /// Attributes left out because of a limit.
    pub dropped_attributes: u32,
    /// What happened in it, in order.
    pub events: Vec<SpanEvent>,
    /// Events left out because of a limit.
    pub dropped_events: u32,
    /// Other spans that it has to do with.
    pub links: Vec<SpanLink>,
    /// Links left out because of a limit.
    pub dropped_links: u32,
    /// How it ended.
    pub status: Status,
}

impl SpanRecord {
    /// A span of which nothing more is known: a root of unset status, at the beginning of time.
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

/// The span that another is a part of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parent {
    /// Its id, in the same trace.
    pub span_id: SpanId,
    /// Whether it is in another process.
    pub is_remote: bool,
}

/// The place of a span between services.
///
/// Source: OpenTelemetry 1.60, "SpanKind"; the numbers are those of OTLP.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum SpanKind {
    /// Work inside of the process.
    #[default]
    Internal = 1,
    /// It answers a request of another service.
    Server = 2,
    /// It asks another service, and waits for the answer.
    Client = 3,
    /// It hands a message on, and does not wait for whoever takes it.
    Producer = 4,
    /// It takes a message.
    Consumer = 5,
}

impl SpanKind {
    /// The kind of that name, whatever the case of its letters.
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

    /// Its name: `server`.
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

/// How a span ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Status {
    /// Nobody said so.
    #[default]
    Unset,
    /// Somebody who knows says that it went well.
    Ok,
    /// It failed.
    Error {
        /// Why, for people; may be empty.
        description: Text,
    },
}

/// Something that happened in a span.
#[derive(Clone, Debug, PartialEq)]
pub struct SpanEvent {
    /// What.
    pub name: Text,
    /// When, in nanoseconds since the Unix epoch.
    pub time_unix_nano: u64,
    /// What is known about it.
    pub attributes: Vec<Attribute>,
    /// Attributes left out because of a limit.
    pub dropped_attributes: u32,
}

/// Another span, mostly of another trace, that a span has to do with.
#[derive(Clone, Debug, PartialEq)]
pub struct SpanLink {
    /// The other span.
    pub context: TraceContext,
    /// What came with it.
    pub trace_state: TraceState,
    /// What the two have to do with each other.
    pub attributes: Vec<Attribute>,
    /// Attributes left out because of a limit.
    pub dropped_attributes: u32,
}

impl SpanLink {
    /// A link about which nothing more is known.
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
