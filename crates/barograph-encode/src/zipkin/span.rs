//! Encoding of one span.

use barograph_model::resource::Resource;
use barograph_model::span::{SpanKind, SpanRecord, Status};
use barograph_model::value::{AnyValue, Attribute};

use crate::json::{self, field, next, print, quoted};
use crate::zipkin::{remote, text};

/// The parts that all spans of a process share.
#[derive(Debug)]
pub(super) struct Process {
    /// The local endpoint, encoded.
    local: String,
    /// The resource's attributes without `service.name`, as keys and encoded tags.
    tags: Vec<(Box<str>, String)>,
}

impl Process {
    pub(super) fn new(resource: &Resource) -> Self {
        let name = resource.value(SERVICE_NAME).filter(|name| !name.is_empty());
        let mut local = String::from("{\"serviceName\":");
        json::text(&mut local, name.unwrap_or("unknown_service"));
        local.push('}');
        let others = resource.iter().filter(|(key, _)| *key != SERVICE_NAME);
        let tags = others.map(|(key, value)| {
            let mut tag = String::new();
            write_tag(&mut tag, key, value);
            (key.into(), tag)
        });
        Process {
            local,
            tags: tags.collect(),
        }
    }

    /// Writes a span.
    pub(super) fn write(&self, out: &mut String, span: &SpanRecord) {
        // Pushed directly: the caller has already written the comma.
        out.push('{');
        quoted(out, "traceId", span.context.trace_id());
        if let Some(parent) = span.parent {
            quoted(out, "parentId", parent.span_id);
        }
        quoted(out, "id", span.context.span_id());
        if let Some(kind) = kind(span.kind) {
            quoted(out, "kind", kind);
        }
        if !span.name.is_empty() {
            field(out, "name");
            json::text(out, &span.name);
        }
        number(out, "timestamp", micros(span.start_unix_nano));
        let took = span.end_unix_nano.saturating_sub(span.start_unix_nano);
        // Zipkin treats a duration of 0 as missing.
        number(out, "duration", micros(took).max(1));
        field(out, "localEndpoint");
        out.push_str(&self.local);
        remote::write(out, span);
        if !span.events.is_empty() {
            field(out, "annotations");
            out.push('[');
            for event in &span.events {
                next(out);
                out.push('{');
                number(out, "timestamp", micros(event.time_unix_nano));
                field(out, "value");
                json::text(out, &text::of_event(&event.name, &event.attributes));
                out.push('}');
            }
            out.push(']');
        }
        self.write_tags(out, span);
        out.push('}');
    }

    fn write_tags(&self, out: &mut String, span: &SpanRecord) {
        let before = out.len();
        field(out, "tags");
        out.push('{');
        let empty = out.len();
        for (key, tag) in &self.tags {
            let is_attribute = span
                .attributes
                .iter()
                .any(|attribute| *attribute.key == **key);
            if !is_attribute && !OWN.contains(&&**key) {
                next(out);
                out.push_str(tag);
            }
        }
        for attribute in &span.attributes {
            if !is_left_out(attribute, &span.status) {
                write_tag(out, &attribute.key, &text::of(&attribute.value));
            }
        }
        match &span.status {
            Status::Unset => {}
            Status::Ok => write_tag(out, STATUS_CODE, "OK"),
            Status::Error { description } => {
                write_tag(out, STATUS_CODE, "ERROR");
                write_tag(out, ERROR, description);
            }
        }
        if !span.scope.is_empty() {
            write_tag(out, SCOPE_NAME, &span.scope);
        }
        for (key, count) in [
            (DROPPED_ATTRIBUTES, span.dropped_attributes),
            (DROPPED_EVENTS, span.dropped_events),
            (DROPPED_LINKS, span.dropped_links),
        ] {
            if count > 0 {
                write_tag(out, key, &count.to_string());
            }
        }
        if out.len() == empty {
            out.truncate(before);
        } else {
            out.push('}');
        }
    }
}

/// Returns true if this attribute must not become a tag, because Zipkin or this encoder gives its
/// key another meaning.
fn is_left_out(attribute: &Attribute, status: &Status) -> bool {
    if attribute.key == ERROR {
        // Zipkin treats any span with this tag as failed, whatever its value.
        let is_false = match &attribute.value {
            AnyValue::Bool(value) => !value,
            value => value.as_str() == Some("false"),
        };
        return is_false || matches!(status, Status::Error { .. });
    }
    OWN.contains(&&*attribute.key)
}

fn write_tag(out: &mut String, key: &str, value: &str) {
    next(out);
    json::text(out, key);
    out.push(':');
    json::text(out, value);
}

fn number(out: &mut String, key: &str, number: u64) {
    field(out, key);
    print(out, format_args!("{number}"));
}

/// Converts to microseconds, truncated.
///
/// Source: OpenTelemetry 1.60, "Unit of Time".
fn micros(nanos: u64) -> u64 {
    nanos / 1000
}

fn kind(kind: SpanKind) -> Option<&'static str> {
    match kind {
        SpanKind::Internal => None,
        SpanKind::Server => Some("SERVER"),
        SpanKind::Client => Some("CLIENT"),
        SpanKind::Producer => Some("PRODUCER"),
        SpanKind::Consumer => Some("CONSUMER"),
    }
}

const SERVICE_NAME: &str = "service.name";
const ERROR: &str = "error";
const STATUS_CODE: &str = "otel.status_code";
const SCOPE_NAME: &str = "otel.scope.name";
const DROPPED_ATTRIBUTES: &str = "otel.dropped_attributes_count";
const DROPPED_EVENTS: &str = "otel.dropped_events_count";
const DROPPED_LINKS: &str = "otel.dropped_links_count";
/// The tags that are derived from fields of the span.
const OWN: [&str; 5] = [
    STATUS_CODE,
    SCOPE_NAME,
    DROPPED_ATTRIBUTES,
    DROPPED_EVENTS,
    DROPPED_LINKS,
];
