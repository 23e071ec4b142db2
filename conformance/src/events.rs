//! The spans and log records in what was pushed.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::{
    points::{attributes, list, whole},
    receiver::Record,
};

/// A span as it came.
#[derive(Clone, Debug, PartialEq)]
pub struct Span {
    /// Its own ids.
    pub ids: Ids,
    /// The span id of its parent; empty at the root of a trace.
    pub parent: String,
    /// What other systems say about the trace.
    pub trace_state: String,
    /// Flags of the trace in the low byte, above them whether the parent is remote.
    pub flags: u64,
    /// What was done.
    pub name: String,
    /// The kind, by its number.
    pub kind: u64,
    /// Nanoseconds since 1970.
    pub start: u64,
    /// Nanoseconds since 1970.
    pub end: u64,
    /// The name of the scope.
    pub scope: String,
    /// What is known about it.
    pub attributes: Attributes,
    /// What happened in it.
    pub events: Vec<Event>,
    /// Other spans.
    pub links: Vec<Link>,
    /// The code and the message.
    pub status: (u64, String),
}

/// Something that happened in a span.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// What.
    pub name: String,
    /// Nanoseconds since 1970.
    pub time: u64,
    /// What is known about it.
    pub attributes: Attributes,
}

/// Another span.
#[derive(Clone, Debug, PartialEq)]
pub struct Link {
    /// The ids of the other.
    pub ids: Ids,
    /// What other systems say about its trace.
    pub trace_state: String,
    /// Its flags.
    pub flags: u64,
    /// What is known about it.
    pub attributes: Attributes,
}

/// A log record as it came.
#[derive(Clone, Debug, PartialEq)]
pub struct LogRecord {
    /// The ids of the span in which it was said; empty where there is none.
    pub ids: Ids,
    /// Flags of the trace.
    pub flags: u64,
    /// Nanoseconds since 1970.
    pub time: u64,
    /// How important it is, as a number and as text.
    pub severity: (u64, String),
    /// The name of the event.
    pub event_name: String,
    /// What was said, as OTLP/JSON writes a value.
    pub body: Value,
    /// The name of the scope.
    pub scope: String,
    /// What is known about it.
    pub attributes: Attributes,
}

/// A trace id and a span id, in hex.
pub type Ids = (String, String);

/// Values with their types, as OTLP/JSON writes them: `{"intValue": "7"}`.
pub type Attributes = BTreeMap<String, Value>;

/// The spans that receivers took, of the resources with this `service.name`.
pub fn spans(records: &[Record], service: &str) -> Vec<Span> {
    let parts = ["resourceSpans", "scopeSpans", "spans"];
    let taken = taken(records, service, parts);
    taken.map(|(scope, span)| span_of(scope, span)).collect()
}

/// The log records that receivers took, of the resources with this `service.name`.
pub fn log_records(records: &[Record], service: &str) -> Vec<LogRecord> {
    let parts = ["resourceLogs", "scopeLogs", "logRecords"];
    let taken = taken(records, service, parts);
    let record = |(scope, record): (&Value, &Value)| LogRecord {
        ids: ids(record),
        flags: whole(&record["flags"]),
        time: whole(&record["timeUnixNano"]),
        severity: (
            whole(&record["severityNumber"]),
            text(&record["severityText"]),
        ),
        event_name: text(&record["eventName"]),
        body: record["body"].clone(),
        scope: text(&scope["scope"]["name"]),
        attributes: typed(record),
    };
    taken.map(record).collect()
}

/// What is in the scopes, each with its scope.
fn taken<'a>(
    records: &'a [Record],
    service: &str,
    [resources, scopes, entries]: [&'static str; 3],
) -> impl Iterator<Item = (&'a Value, &'a Value)> {
    let taken = records.iter().filter(|record| record.outcome() == "ok");
    let resources = taken.flat_map(move |record| list(&record.body()[resources]));
    let speaks = move |resource: &&Value| {
        let attributes = attributes(&resource["resource"]["attributes"]);
        attributes
            .get("service.name")
            .is_some_and(|name| name == service)
    };
    let scopes = resources
        .filter(speaks)
        .flat_map(move |resource| list(&resource[scopes]));
    scopes.flat_map(move |scope| list(&scope[entries]).map(move |entry| (scope, entry)))
}

fn span_of(scope: &Value, span: &Value) -> Span {
    Span {
        ids: ids(span),
        parent: text(&span["parentSpanId"]),
        trace_state: text(&span["traceState"]),
        flags: whole(&span["flags"]),
        name: text(&span["name"]),
        kind: whole(&span["kind"]),
        start: whole(&span["startTimeUnixNano"]),
        end: whole(&span["endTimeUnixNano"]),
        scope: text(&scope["scope"]["name"]),
        attributes: typed(span),
        events: list(&span["events"])
            .map(|event| Event {
                name: text(&event["name"]),
                time: whole(&event["timeUnixNano"]),
                attributes: typed(event),
            })
            .collect(),
        links: list(&span["links"])
            .map(|link| Link {
                ids: ids(link),
                trace_state: text(&link["traceState"]),
                flags: whole(&link["flags"]),
                attributes: typed(link),
            })
            .collect(),
        status: (
            whole(&span["status"]["code"]),
            text(&span["status"]["message"]),
        ),
    }
}

fn ids(of: &Value) -> Ids {
    (text(&of["traceId"]), text(&of["spanId"]))
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn typed(of: &Value) -> Attributes {
    list(&of["attributes"])
        .map(|entry| (text(&entry["key"]), entry["value"].clone()))
        .collect()
}
