//! The memory cost of a span.

use std::borrow::Cow;
use std::mem::size_of;

use barograph_model::span::{SpanEvent, SpanLink, SpanRecord, Status};
use barograph_model::value::{AnyValue, Attribute, Text};

/// Returns the bytes that a span holds on the heap, without its own size. Static texts count as 0,
/// and memory that is shared with other spans counts in full.
pub(super) fn of(span: &SpanRecord) -> usize {
    let description = match &span.status {
        Status::Error { description } => text(description),
        Status::Unset | Status::Ok => 0,
    };
    let events = span
        .events
        .iter()
        .map(|event| text(&event.name) + attributes(&event.attributes));
    let links = span.links.iter().map(|link| attributes(&link.attributes));
    text(&span.name)
        + text(&span.scope)
        + description
        + span.trace_state.as_str().len()
        + attributes(&span.attributes)
        + span.events.capacity() * size_of::<SpanEvent>()
        + events.sum::<usize>()
        + span.links.capacity() * size_of::<SpanLink>()
        + links.sum::<usize>()
}

fn attributes(all: &Vec<Attribute>) -> usize {
    all.capacity() * size_of::<Attribute>() + all.iter().map(attribute).sum::<usize>()
}

fn attribute(attribute: &Attribute) -> usize {
    text(&attribute.key) + value(&attribute.value)
}

fn value(any: &AnyValue) -> usize {
    match any {
        AnyValue::Str(text) => self::text(text),
        AnyValue::Bytes(bytes) => bytes.len(),
        AnyValue::Array(values) => {
            values.len() * size_of::<AnyValue>() + values.iter().map(value).sum::<usize>()
        }
        AnyValue::Map(entries) => {
            entries.len() * size_of::<Attribute>() + entries.iter().map(attribute).sum::<usize>()
        }
        _ => 0,
    }
}

fn text(text: &Text) -> usize {
    match text {
        Cow::Borrowed(_) => 0,
        Cow::Owned(text) => text.capacity(),
    }
}
