//! The spans and log records in pushed requests.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::{
    points::{attributes, list, whole},
    receiver::Record,
};

/// A span as it was received.
#[derive(Clone, Debug, PartialEq)]
pub struct Span {
    /// The ids of the span.
    pub ids: Ids,
    /// The span id of its parent; empty at the root of a trace.
    pub parent: String,
    /// The `tracestate` of the span.
    pub trace_state: String,
    /// The trace flags in the low byte; the bits above say whether the parent is remote.
    pub flags: u64,
    /// The name of the span.
    pub name: String,
    /// The number of the span kind.
    pub kind: u64,
    /// The start time, in nanoseconds since 1970.
    pub start: u64,
    /// The end time, in nanoseconds since 1970.
    pub end: u64,
    /// The name of the instrumentation scope.
    pub scope: String,
    /// The attributes of the span.
    pub attributes: Attributes,
    /// The events of the span.
    pub events: Vec<Event>,
    /// The links to other spans.
    pub links: Vec<Link>,
    /// The status code and message.
    pub status: (u64, String),
}

/// A span event.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// The name of the event.
    pub name: String,
    /// The time of the event, in nanoseconds since 1970.
    pub time: u64,
    /// The attributes of the event.
    pub attributes: Attributes,
}

/// A link to another span.
#[derive(Clone, Debug, PartialEq)]
pub struct Link {
    /// The ids of the linked span.
    pub ids: Ids,
    /// The `tracestate` of the link.
    pub trace_state: String,
    /// The flags of the link.
    pub flags: u64,
    /// The attributes of the link.
    pub attributes: Attributes,
}

/// A log record as it was received.
#[derive(Clone, Debug, PartialEq)]
pub struct LogRecord {
    /// The ids of the span in which it was logged; empty if there was none.
    pub ids: Ids,
    /// The trace flags.
    pub flags: u64,
    /// The time, in nanoseconds since 1970.
    pub time: u64,
    /// The severity, as a number and as text.
    pub severity: (u64, String),
    /// The name of the event.
    pub event_name: String,
    /// The body, as OTLP/JSON writes a value.
    pub body: Value,
    /// The name of the instrumentation scope.
    pub scope: String,
    /// The attributes of the record.
    pub attributes: Attributes,
}

/// A trace id and a span id, in hex.
pub type Ids = (String, String);

/// Values with their types, as OTLP/JSON writes them: `{"intValue": "7"}`.
pub type Attributes = BTreeMap<String, Value>;

/// Returns the spans that receivers accepted, of the resources with this `service.name`.
pub fn spans(records: &[Record], service: &str) -> Vec<Span> {
    let parts = ["resourceSpans", "scopeSpans", "spans"];
    let taken = taken(records, service, parts);
    taken.map(|(scope, span)| span_of(scope, span)).collect()
}

/// Returns the log records that receivers accepted, of the resources with this `service.name`.
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

/// Returns the entries of accepted requests, each with its scope.
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
