//! Fields of spans and events, with their types.
//!
//! Recording a value can run arbitrary code: a `Debug` implementation may itself emit `tracing`
//! events. So all fields are collected here first, and a span is locked only after the last of them
//! has been read.

use std::error::Error;
use std::fmt::{Debug, Write as _};

use barograph_model::span::{SpanEvent, SpanKind, SpanRecord};
use barograph_model::value::{AnyValue, Attribute, Text};
use tracing::field::{Field, Visit};
use tracing::{Event, Metadata};

use super::limits::{SpanLimits, put};
use super::open::{Outcome, set_outcome};
use super::settings::Settings;
use super::span_pool;
use crate::redact::{REDACTED, Redaction, RedactionRule};

/// The maximum number of causes of an error that are recorded.
const MOST_CAUSES: usize = 16;

/// The fields of a span, collected before they are applied to its record.
pub(super) struct Fields<'a> {
    limits: &'a SpanLimits,
    attributes: Vec<Attribute>,
    dropped: u32,
    pub(super) name: Option<Text>,
    pub(super) kind: Option<SpanKind>,
    outcome: Option<Outcome>,
    description: Option<Text>,
    /// The attributes of one `exception` event for each field that is an error.
    exceptions: Vec<Vec<Attribute>>,
}

impl<'a> Fields<'a> {
    /// Creates an empty collection with room for `count` attributes, which reuses `memory`.
    pub(super) fn new(limits: &'a SpanLimits, count: usize, mut memory: Vec<Attribute>) -> Self {
        memory.reserve(count.min(limits.attributes));
        Fields {
            limits,
            attributes: memory,
            dropped: 0,
            name: None,
            kind: None,
            outcome: None,
            description: None,
            exceptions: Vec::new(),
        }
    }

    /// Returns the attributes collected so far.
    pub(super) fn attributes(&self) -> &[Attribute] {
        &self.attributes
    }

    /// Moves everything to the record. Exceptions get the time `now`.
    pub(super) fn apply(self, record: &mut SpanRecord, now: u64) {
        if record.attributes.is_empty() {
            record.attributes = self.attributes;
        } else {
            for attribute in self.attributes {
                put(
                    &mut record.attributes,
                    &mut record.dropped_attributes,
                    self.limits.attributes,
                    attribute,
                );
            }
        }
        record.dropped_attributes = record.dropped_attributes.saturating_add(self.dropped);
        if let Some(name) = self.name {
            record.name = name;
        }
        if let Some(kind) = self.kind {
            record.kind = kind;
        }
        if self.outcome.is_some() || self.description.is_some() {
            set_outcome(&mut record.status, self.outcome, self.description);
        }
        for attributes in self.exceptions {
            let event = SpanEvent {
                name: "exception".into(),
                time_unix_nano: now,
                attributes,
                dropped_attributes: 0,
            };
            self.limits.push_event(record, || event);
        }
    }

    /// Takes a field that sets something other than an attribute, such as `otel.name`; returns the
    /// text of any other field.
    fn take_own(&mut self, name: &str, text: String) -> Option<String> {
        match name {
            "otel.name" => self.name = Some(text.into()),
            "otel.kind" => self.kind = SpanKind::from_name(&text).or(self.kind),
            "otel.status_code" => self.outcome = Outcome::from_name(&text),
            "otel.status_description" | "otel.status_message" => {
                let text = self.limits.cut(text.into());
                self.description = text.as_str().map(|text| text.to_owned().into());
            }
            _ => return Some(text),
        }
        None
    }
}

impl Collect for Fields<'_> {
    #[inline(always)]
    fn attribute(&mut self, key: Text, value: AnyValue) {
        let value = self.limits.cut(value);
        let new = Attribute { key, value };
        let limit = self.limits.attributes;
        put(&mut self.attributes, &mut self.dropped, limit, new);
    }

    #[inline(always)]
    fn text(&mut self, name: &'static str, write: impl FnOnce(&mut String)) {
        let text = written(write);
        let text = match is_own(name) {
            true => self.take_own(name, text),
            false => Some(text),
        };
        if let Some(text) = text {
            self.value(name, text.into());
        }
    }

    fn error(&mut self, name: &'static str, error: Chain) {
        let exception = Attribute {
            key: "exception.message".into(),
            value: self.limits.cut(error.text.clone().into()),
        };
        self.exceptions.push(vec![exception]);
        error.add_to(self, name);
    }
}

/// Returns true if a field of this callsite sets something other than an attribute.
#[inline]
pub(super) fn has_own(metadata: &Metadata<'_>) -> bool {
    metadata.fields().iter().any(|field| is_own(field.name()))
}

#[inline]
fn is_own(name: &str) -> bool {
    name.starts_with("otel.")
}

/// Returns true if a field holds free text for humans, which may quote secrets.
#[inline]
fn is_sentence(name: &str) -> bool {
    matches!(
        name,
        "message" | "otel.status_description" | "otel.status_message"
    )
}

/// The name and kind of a span, for a sampler that needs no other fields.
#[derive(Default)]
pub(super) struct NameAndKind {
    pub(super) name: Option<String>,
    pub(super) kind: Option<SpanKind>,
}

impl Visit for NameAndKind {
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "otel.name" => self.name = Some(value.to_owned()),
            "otel.kind" => self.kind = SpanKind::from_name(value),
            _ => {}
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if is_own(field.name()) {
            self.record_str(field, &format!("{value:?}"));
        }
    }
}

/// Reports the source location of a callsite as attributes.
pub(super) fn location(
    metadata: &'static Metadata<'static>,
    mut add: impl FnMut(&'static str, AnyValue),
) {
    if let Some(file) = metadata.file() {
        add("code.file.path", file.into());
    }
    if let Some(line) = metadata.line() {
        add("code.line.number", line.into());
    }
    if let Some(module) = metadata.module_path() {
        add("code.module.name", module.into());
    }
}

/// The fields of an event.
///
/// It is filled in place, and the event is built in its final place: moving a value whose words
/// were just written stalls the processor on store-to-load forwarding, each time for about as long
/// as reading the clock takes.
pub(super) struct EventFields<'a> {
    limits: &'a SpanLimits,
    message: String,
    has_message: bool,
    /// The target of a record from the `log` crate.
    target: Option<String>,
    is_exception: bool,
    attributes: Vec<Attribute>,
    dropped: u32,
}

impl<'a> EventFields<'a> {
    /// Creates an empty collection, with reused memory if there is some.
    #[inline(always)]
    pub(super) fn new(limits: &'a SpanLimits) -> Self {
        let (message, attributes) = span_pool::event();
        EventFields {
            limits,
            message,
            has_message: false,
            target: None,
            is_exception: false,
            attributes,
            dropped: 0,
        }
    }

    /// Adds all fields, the level, the target and, if enabled, the source location.
    #[inline(always)]
    pub(super) fn add(&mut self, event: &Event<'_>, settings: &Settings) {
        let metadata = event.metadata();
        // One of the fields is usually the message; the level and the target are added at the end.
        let count = metadata.fields().len() + 1;
        self.attributes
            .reserve(count.min(self.limits.event_attributes));
        event.record(&mut Visitor(self, &settings.redaction));
        if self.attributes.is_empty()
            && self.target.is_none()
            && self.limits.takes_level_and_target()
        {
            self.attributes
                .push(Attribute::new("level", metadata.level().as_str()));
            self.attributes
                .push(Attribute::new("target", metadata.target()));
        } else {
            self.value("level", metadata.level().as_str().into());
            match self.target.take() {
                Some(target) => self.value("target", target.into()),
                None => self.value("target", metadata.target().into()),
            }
        }
        if settings.has_code_location {
            location(metadata, |key, value| self.value(key, value));
        }
    }

    /// Returns the event for the span and leaves this collection empty.
    #[inline(always)]
    pub(super) fn take(&mut self, metadata: &'static Metadata<'static>, now: u64) -> SpanEvent {
        let name = match (self.has_message, self.is_exception) {
            (true, _) => std::mem::take(&mut self.message).into(),
            (false, true) => "exception".into(),
            (false, false) => metadata.name().into(),
        };
        SpanEvent {
            name,
            time_unix_nano: now,
            attributes: std::mem::take(&mut self.attributes),
            dropped_attributes: self.dropped,
        }
    }
}

impl Collect for EventFields<'_> {
    #[inline(always)]
    fn attribute(&mut self, key: Text, value: AnyValue) {
        let value = self.limits.cut(value);
        let new = Attribute { key, value };
        let limit = self.limits.event_attributes;
        put(&mut self.attributes, &mut self.dropped, limit, new);
    }

    #[inline(always)]
    fn text(&mut self, name: &'static str, write: impl FnOnce(&mut String)) {
        match name {
            // A second `message` becomes an attribute.
            "message" if !self.has_message => {
                self.message.clear();
                write(&mut self.message);
                self.has_message = true;
            }
            "log.target" => self.target = Some(written(write)),
            // The other fields by which the `log` crate describes its callsite are skipped.
            "log.module_path" | "log.file" => {}
            _ => self.value(name, written(write).into()),
        }
    }

    fn error(&mut self, name: &'static str, error: Chain) {
        self.is_exception = true;
        self.value("exception.message", error.text.clone().into());
        error.add_to(self, name);
    }
}

/// The redacted text of an error and of its causes.
pub(super) struct Chain {
    text: String,
    causes: Vec<String>,
}

impl Chain {
    /// Collects the text of an error and of its causes. The text is redacted, because errors quote
    /// their input, which may contain secrets.
    fn of(error: &(dyn Error + 'static), redaction: &Redaction) -> Self {
        let mut next = error.source();
        let causes = std::iter::from_fn(|| {
            let cause = next?;
            next = cause.source();
            Some(cause)
        });
        let redacted =
            |error: &dyn Error| redaction.owned_text(error.to_string().into()).into_owned();
        Chain {
            text: redacted(error),
            causes: causes.take(MOST_CAUSES).map(redacted).collect(),
        }
    }

    fn add_to(self, fields: &mut impl Collect, name: &'static str) {
        fields.value(name, self.text.into());
        if !self.causes.is_empty() {
            fields.attribute(format!("{name}.chain").into(), self.causes.into());
        }
    }
}

/// A collector of typed fields.
pub(super) trait Collect {
    /// Adds an attribute, within the limits.
    fn attribute(&mut self, key: Text, value: AnyValue);

    #[inline(always)]
    fn value(&mut self, name: &'static str, value: AnyValue) {
        self.attribute(name.into(), value);
    }

    fn text(&mut self, name: &'static str, write: impl FnOnce(&mut String));
    fn error(&mut self, name: &'static str, error: Chain);
}

/// Returns the text that `write` writes.
#[inline(always)]
fn written(write: impl FnOnce(&mut String)) -> String {
    let mut text = String::new();
    write(&mut text);
    text
}

/// Passes typed fields to a collector, with secrets redacted.
pub(super) struct Visitor<'a, C>(pub(super) &'a mut C, pub(super) &'a Redaction);

impl<C: Collect> Visitor<'_, C> {
    /// Passes a number on, unless it has to be redacted.
    #[inline]
    fn value(&mut self, field: &Field, value: impl Into<AnyValue>) {
        let value = match self.1.rule_of(field.name()) {
            RedactionRule::Redact => REDACTED.into(),
            _ => value.into(),
        };
        self.0.value(field.name(), value);
    }

    /// Passes a text on. The text is not produced if it has to be redacted.
    #[inline]
    fn text(&mut self, field: &Field, write: impl FnOnce(&mut String)) {
        self.treated(field, self.1.rule_of(field.name()), write);
    }

    fn treated(&mut self, field: &Field, rule: RedactionRule, write: impl FnOnce(&mut String)) {
        let name = field.name();
        self.0.text(name, |text| {
            match rule {
                RedactionRule::Redact => return text.push_str(REDACTED),
                _ => write(text),
            }
            if rule == RedactionRule::Search || is_sentence(name) {
                self.1.text_in_place(text);
            }
        });
    }
}

impl<C: Collect> Visit for Visitor<'_, C> {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.value(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.value(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        // `log.line` is the only number among the fields of the `log` crate, so it is skipped here.
        if field.name() != "log.line" {
            self.value(field, value);
        }
    }

    fn record_i128(&mut self, field: &Field, value: i128) {
        self.value(field, value);
    }

    fn record_u128(&mut self, field: &Field, value: u128) {
        self.value(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.value(field, value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.text(field, |text| text.push_str(value));
    }

    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        match self.1.rule_of(field.name()) {
            RedactionRule::Redact => self.text(field, |_| {}),
            _ => self.0.error(field.name(), Chain::of(value, self.1)),
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let rule = self.1.rule_of(field.name()).of_debug();
        self.treated(field, rule, |text| {
            // Enough for most messages.
            text.reserve(64);
            // If a `Debug` implementation fails, the part that it wrote is kept.
            let _ = write!(text, "{value:?}");
        });
    }
}
