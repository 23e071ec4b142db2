//! Encoding of log records.
//!
//! Source: `opentelemetry/proto/logs/v1/logs.proto`, 1.11.

use barograph_model::log::LogRecord;
use barograph_model::value::Text;

use crate::json::{field, quoted, text};
use crate::otlp::record::{Record, sealed};
use crate::otlp::request::Signal;
use crate::otlp::span::number;
use crate::otlp::value;
use crate::otlp::wire::{self, i32_key, i64_key, len_key, varint_key};

impl sealed::Sealed for LogRecord {}

impl Record for LogRecord {
    const SIGNAL: Signal = Signal::Logs;

    fn scope(&self) -> &Text {
        &self.scope
    }

    fn write_protobuf(&self, out: &mut Vec<u8>) {
        if self.time_unix_nano > 0 {
            wire::fixed64(out, i64_key(1), self.time_unix_nano.to_le_bytes());
        }
        wire::number(out, varint_key(2), self.severity as u64);
        wire::text(out, len_key(3), self.severity.as_str());
        if let Some(body) = &self.body {
            value::value_to_wire(out, len_key(5), body);
        }
        value::to_wire(out, len_key(6), &self.attributes);
        wire::number(out, varint_key(7), self.dropped_attributes.into());
        if let Some(context) = &self.context {
            let flags = u32::from(context.flags().bits());
            wire::fixed32(out, i32_key(8), flags.to_le_bytes());
            wire::bytes(out, len_key(9), &context.trace_id().get().to_be_bytes());
            wire::bytes(out, len_key(10), &context.span_id().get().to_be_bytes());
        }
        wire::fixed64(out, i64_key(11), self.observed_unix_nano.to_le_bytes());
        wire::text(out, len_key(12), self.event_name.as_deref().unwrap_or(""));
    }

    fn write_json(&self, out: &mut String) {
        out.push('{');
        if self.time_unix_nano > 0 {
            quoted(out, "timeUnixNano", self.time_unix_nano);
        }
        quoted(out, "observedTimeUnixNano", self.observed_unix_nano);
        number(out, "severityNumber", self.severity as u32);
        quoted(out, "severityText", self.severity.as_str());
        if let Some(body) = &self.body {
            field(out, "body");
            value::value_to_json(out, body);
        }
        value::to_json(out, "attributes", &self.attributes);
        number(out, "droppedAttributesCount", self.dropped_attributes);
        if let Some(context) = &self.context {
            number(out, "flags", context.flags().bits().into());
            quoted(out, "traceId", context.trace_id());
            quoted(out, "spanId", context.span_id());
        }
        if let Some(name) = &self.event_name
            && !name.is_empty()
        {
            field(out, "eventName");
            text(out, name);
        }
        out.push('}');
    }
}
