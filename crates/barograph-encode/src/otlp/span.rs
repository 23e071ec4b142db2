//! Encoding of spans.
//!
//! Source: `opentelemetry/proto/trace/v1/trace.proto`, 1.11.

use barograph_model::context::{SpanId, TraceContext, TraceState};
use barograph_model::span::{SpanEvent, SpanLink, SpanRecord, Status};
use barograph_model::value::Text;

use crate::json::{field, next, print, quoted, text};
use crate::otlp::record::{Record, sealed};
use crate::otlp::request::Signal;
use crate::otlp::value;
use crate::otlp::wire::{self, i32_key, i64_key, len_key, varint_key};

impl sealed::Sealed for SpanRecord {}

impl Record for SpanRecord {
    const SIGNAL: Signal = Signal::Traces;

    fn scope(&self) -> &Text {
        &self.scope
    }

    fn write_protobuf(&self, out: &mut Vec<u8>) {
        ids_to_wire(out, &self.context, &self.trace_state);
        if let Some(parent) = self.parent {
            span_id(out, len_key(4), parent.span_id);
        }
        wire::text(out, len_key(5), &self.name);
        wire::number(out, varint_key(6), self.kind as u64);
        wire::fixed64(out, i64_key(7), self.start_unix_nano.to_le_bytes());
        wire::fixed64(out, i64_key(8), self.end_unix_nano.to_le_bytes());
        value::to_wire(out, len_key(9), &self.attributes);
        wire::number(out, varint_key(10), self.dropped_attributes.into());
        for event in &self.events {
            wire::message(out, len_key(11), |out| event_to_wire(out, event));
        }
        wire::number(out, varint_key(12), self.dropped_events.into());
        for link in &self.links {
            wire::message(out, len_key(13), |out| link_to_wire(out, link));
        }
        wire::number(out, varint_key(14), self.dropped_links.into());
        if let Some((code, description)) = status(&self.status) {
            wire::message(out, len_key(15), |out| {
                wire::text(out, len_key(2), description);
                wire::number(out, varint_key(3), code);
            });
        }
        // The only key in this message that takes two bytes.
        wire::varint(out, 16 << 3 | 5);
        out.extend_from_slice(&span_flags(self).to_le_bytes());
    }

    fn write_json(&self, out: &mut String) {
        out.push('{');
        ids_to_json(out, &self.context, &self.trace_state);
        if let Some(parent) = self.parent {
            quoted(out, "parentSpanId", parent.span_id);
        }
        number(out, "flags", span_flags(self));
        field(out, "name");
        text(out, &self.name);
        number(out, "kind", self.kind as u32);
        quoted(out, "startTimeUnixNano", self.start_unix_nano);
        quoted(out, "endTimeUnixNano", self.end_unix_nano);
        value::to_json(out, "attributes", &self.attributes);
        number(out, "droppedAttributesCount", self.dropped_attributes);
        list(out, "events", &self.events, event_to_json);
        number(out, "droppedEventsCount", self.dropped_events);
        list(out, "links", &self.links, link_to_json);
        number(out, "droppedLinksCount", self.dropped_links);
        if let Some((code, description)) = status(&self.status) {
            field(out, "status");
            print(out, format_args!("{{\"code\":{code}"));
            if !description.is_empty() {
                field(out, "message");
                text(out, description);
            }
            out.push('}');
        }
        out.push('}');
    }
}

/// Returns the flags of a span, including whether its parent is remote.
fn span_flags(span: &SpanRecord) -> u32 {
    let is_remote = span.parent.is_some_and(|parent| parent.is_remote);
    flags(&span.context, is_remote)
}

/// Returns the flags of a context, with `is_remote` for the span that they describe.
fn flags(context: &TraceContext, is_remote: bool) -> u32 {
    let remote = if is_remote { IS_REMOTE } else { 0 };
    u32::from(context.flags().bits()) | HAS_IS_REMOTE | remote
}

/// Set if `IS_REMOTE` is meaningful.
const HAS_IS_REMOTE: u32 = 0x100;
const IS_REMOTE: u32 = 0x200;

fn status(status: &Status) -> Option<(u64, &str)> {
    match status {
        Status::Unset => None,
        Status::Ok => Some((1, "")),
        Status::Error { description } => Some((2, description)),
    }
}

/// Writes the ids and the tracestate, which have the same field numbers in spans and in links.
fn ids_to_wire(out: &mut Vec<u8>, context: &TraceContext, state: &TraceState) {
    let trace_id = context.trace_id().get().to_be_bytes();
    wire::bytes(out, len_key(1), &trace_id);
    span_id(out, len_key(2), context.span_id());
    wire::text(out, len_key(3), state.as_str());
}

fn span_id(out: &mut Vec<u8>, key: u8, id: SpanId) {
    wire::bytes(out, key, &id.get().to_be_bytes());
}

fn event_to_wire(out: &mut Vec<u8>, event: &SpanEvent) {
    wire::fixed64(out, i64_key(1), event.time_unix_nano.to_le_bytes());
    wire::text(out, len_key(2), &event.name);
    value::to_wire(out, len_key(3), &event.attributes);
    wire::number(out, varint_key(4), event.dropped_attributes.into());
}

fn link_to_wire(out: &mut Vec<u8>, link: &SpanLink) {
    ids_to_wire(out, &link.context, &link.trace_state);
    value::to_wire(out, len_key(4), &link.attributes);
    wire::number(out, varint_key(5), link.dropped_attributes.into());
    let flags = flags(&link.context, link.context.is_remote());
    wire::fixed32(out, i32_key(6), flags.to_le_bytes());
}

fn ids_to_json(out: &mut String, context: &TraceContext, state: &TraceState) {
    quoted(out, "traceId", context.trace_id());
    quoted(out, "spanId", context.span_id());
    if !state.is_empty() {
        field(out, "traceState");
        text(out, state.as_str());
    }
}

fn event_to_json(out: &mut String, event: &SpanEvent) {
    quoted(out, "timeUnixNano", event.time_unix_nano);
    field(out, "name");
    text(out, &event.name);
    value::to_json(out, "attributes", &event.attributes);
    number(out, "droppedAttributesCount", event.dropped_attributes);
}

fn link_to_json(out: &mut String, link: &SpanLink) {
    ids_to_json(out, &link.context, &link.trace_state);
    value::to_json(out, "attributes", &link.attributes);
    number(out, "droppedAttributesCount", link.dropped_attributes);
    number(out, "flags", flags(&link.context, link.context.is_remote()));
}

/// Writes a 32-bit number as a field, unless it is 0.
pub(super) fn number(out: &mut String, name: &str, number: u32) {
    if number > 0 {
        field(out, name);
        print(out, format_args!("{number}"));
    }
}

/// Writes a list of objects as a field, unless it is empty.
fn list<T>(out: &mut String, name: &str, items: &[T], write: impl Fn(&mut String, &T)) {
    if items.is_empty() {
        return;
    }
    field(out, name);
    out.push('[');
    for item in items {
        next(out);
        out.push('{');
        write(out, item);
        out.push('}');
    }
    out.push(']');
}
