//! Encoding of the attributes of spans and log records, in protobuf and JSON.
//!
//! Source: `opentelemetry/proto/common/v1/common.proto`, 1.11.

use barograph_model::value::{AnyValue, Attribute};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::json::{self, field, float, next, print, quoted};
use crate::otlp::attributes::AttributeValue;
use crate::otlp::json::attribute;
use crate::otlp::wire::{self, i64_key, len_key, varint_key};

/// The maximum nesting depth of arrays and maps; deeper values are written as unset values.
///
/// Protobuf decoders accept 100 nested messages, JSON parsers often 128 brackets, and they reject
/// the whole request beyond that. One map takes three nested messages or four brackets.
const DEPTH: u32 = 24;

/// Writes attributes, each as a field with this key.
pub(super) fn to_wire(out: &mut Vec<u8>, key: u8, attributes: &[Attribute]) {
    for attribute in attributes {
        attribute_to_wire(out, key, attribute, DEPTH);
    }
}

/// Writes a value as a field with this key.
pub(super) fn value_to_wire(out: &mut Vec<u8>, key: u8, value: &AnyValue) {
    wire::message(out, key, |out| any_to_wire(out, value, DEPTH));
}

fn attribute_to_wire(out: &mut Vec<u8>, key: u8, attribute: &Attribute, depth: u32) {
    if let Some(text) = attribute.value.as_str() {
        wire::attribute(out, key, &attribute.key, text);
        return;
    }
    wire::message(out, key, |out| {
        wire::bytes(out, len_key(1), attribute.key.as_bytes());
        wire::message(out, len_key(2), |out| {
            any_to_wire(out, &attribute.value, depth)
        });
    });
}

fn any_to_wire(out: &mut Vec<u8>, value: &AnyValue, depth: u32) {
    // Empty, zero and false values are written too: in a oneof they differ from an unset value.
    match value {
        AnyValue::Str(text) => wire::bytes(out, len_key(1), text.as_bytes()),
        AnyValue::Bool(value) => out.extend_from_slice(&[varint_key(2), u8::from(*value)]),
        AnyValue::I64(number) => {
            out.push(varint_key(3));
            wire::varint(out, number.cast_unsigned());
        }
        AnyValue::F64(number) => wire::fixed64(out, i64_key(4), number.to_le_bytes()),
        AnyValue::Bytes(bytes) => wire::bytes(out, len_key(7), bytes),
        AnyValue::Array(values) if depth > 0 => wire::message(out, len_key(5), |out| {
            for value in values {
                wire::message(out, len_key(1), |out| any_to_wire(out, value, depth - 1));
            }
        }),
        AnyValue::Map(attributes) if depth > 0 => wire::message(out, len_key(6), |out| {
            for attribute in attributes {
                attribute_to_wire(out, len_key(1), attribute, depth - 1);
            }
        }),
        _ => {}
    }
}

/// Writes attributes as a field with this name; writes nothing if there are none.
pub(super) fn to_json(out: &mut String, name: &str, attributes: &[Attribute]) {
    if attributes.is_empty() {
        return;
    }
    field(out, name);
    list_to_json(out, attributes, DEPTH);
}

/// Writes a value as a JSON object.
pub(super) fn value_to_json(out: &mut String, value: &AnyValue) {
    any_to_json(out, value, DEPTH);
}

fn list_to_json(out: &mut String, attributes: &[Attribute], depth: u32) {
    out.push('[');
    for Attribute { key, value } in attributes {
        if let Some(text) = value.as_str() {
            attribute(out, key, AttributeValue::Str(text));
            continue;
        }
        next(out);
        out.push_str("{\"key\":");
        json::text(out, key);
        field(out, "value");
        any_to_json(out, value, depth);
        out.push('}');
    }
    out.push(']');
}

fn any_to_json(out: &mut String, value: &AnyValue, depth: u32) {
    out.push('{');
    match value {
        AnyValue::Str(text) => {
            field(out, "stringValue");
            json::text(out, text);
        }
        AnyValue::Bool(value) => {
            field(out, "boolValue");
            print(out, format_args!("{value}"));
        }
        AnyValue::I64(number) => quoted(out, "intValue", number),
        AnyValue::F64(number) => {
            field(out, "doubleValue");
            float(out, *number);
        }
        AnyValue::Bytes(bytes) => {
            field(out, "bytesValue");
            out.push('"');
            STANDARD.encode_string(bytes, out);
            out.push('"');
        }
        AnyValue::Array(values) if depth > 0 => {
            field(out, "arrayValue");
            out.push_str("{\"values\":[");
            for value in values {
                next(out);
                any_to_json(out, value, depth - 1);
            }
            out.push_str("]}");
        }
        AnyValue::Map(attributes) if depth > 0 => {
            field(out, "kvlistValue");
            out.push_str("{\"values\":");
            list_to_json(out, attributes, depth - 1);
            out.push('}');
        }
        _ => {}
    }
    out.push('}');
}
