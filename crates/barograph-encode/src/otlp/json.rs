//! Encoding of metric requests in JSON.
//!
//! Keys are in lowerCamelCase, ids in hex, enums are numbers, and 64-bit integers are strings, as
//! are NaN and infinities.
//!
//! Source: OTLP 1.11, "JSON Protobuf Encoding".

use std::sync::Arc;

use barograph_model::descriptor::{Descriptor, Scope};
use barograph_model::exemplar::Exemplar;
use barograph_model::label::Labels;
use barograph_model::resource::Resource;
use bytes::Bytes;

use crate::json::{field, float, next, print, quoted, text};
use crate::otlp::attributes::{self, Extra, Seen, Word};
use crate::otlp::datum::{Datum, Distribution, Number, Shape};
use crate::otlp::protobuf::whole;
use crate::otlp::temporality::Temporality;
use crate::report::Rejection;

/// A writer of requests, one at a time.
pub(super) struct Json {
    resource: String,
    body: String,
    /// A buffer that is reused.
    attributes: String,
}

/// The parts that all points of a family share.
pub(super) struct FamilyForm {
    descriptor: Arc<Descriptor>,
    seen: Seen,
    head: String,
    tail: String,
    is_histogram: bool,
}

impl FamilyForm {
    pub(super) fn new(
        descriptor: &Arc<Descriptor>,
        name: &str,
        shape: Shape,
        is_unique: bool,
    ) -> Self {
        let mut head = String::from("{\"name\":");
        text(&mut head, name);
        for (key, value) in [
            ("description", &descriptor.help),
            ("unit", &descriptor.unit),
        ] {
            if !value.is_empty() {
                field(&mut head, key);
                text(&mut head, value);
            }
        }
        field(
            &mut head,
            match shape {
                Shape::Gauge => "gauge",
                Shape::Sum { .. } => "sum",
                Shape::Histogram(_) => "histogram",
            },
        );
        head.push_str("{\"dataPoints\":[");
        let mut tail = String::from("]");
        let mut temporal = |temporality| {
            field(&mut tail, "aggregationTemporality");
            tail.push(match temporality {
                Temporality::Delta => '1',
                Temporality::Cumulative => '2',
            });
        };
        match shape {
            Shape::Gauge => {}
            Shape::Histogram(temporality) => temporal(temporality),
            Shape::Sum {
                temporality,
                is_monotonic,
            } => {
                temporal(temporality);
                if is_monotonic {
                    tail.push_str(",\"isMonotonic\":true");
                }
            }
        }
        tail.push_str("}}");
        FamilyForm {
            descriptor: Arc::clone(descriptor),
            seen: Seen::new(is_unique),
            head,
            tail,
            is_histogram: matches!(shape, Shape::Histogram(_)),
        }
    }
}

impl Json {
    pub(super) fn new(resource: &Resource) -> Self {
        let mut head = open_resource(resource);
        head.push_str(",\"scopeMetrics\":[");
        Json {
            resource: head,
            body: String::new(),
            attributes: String::new(),
        }
    }

    pub(super) fn open_request(&mut self) {
        self.body.push_str("{\"resourceMetrics\":[");
        self.body.push_str(&self.resource);
    }

    pub(super) fn open_scope(&mut self, scope: Option<&Scope>) {
        next(&mut self.body);
        self.body.push('{');
        if let Some(scope) = scope {
            self.body.push_str("\"scope\":{\"name\":");
            text(&mut self.body, &scope.name);
            if !scope.version.is_empty() {
                field(&mut self.body, "version");
                text(&mut self.body, &scope.version);
            }
            if !scope.attributes.is_empty() {
                field(&mut self.body, "attributes");
                self.body.push('[');
                for (key, value) in &scope.attributes {
                    attribute(&mut self.body, key, Word::Text(value));
                }
                self.body.push(']');
            }
            self.body.push('}');
        }
        field(&mut self.body, "metrics");
        self.body.push('[');
    }

    pub(super) fn close_scope(&mut self, scope: Option<&Scope>) {
        self.body.push(']');
        if let Some(scope) = scope
            && !scope.schema_url.is_empty()
        {
            field(&mut self.body, "schemaUrl");
            text(&mut self.body, &scope.schema_url);
        }
        self.body.push('}');
    }

    pub(super) fn open_family(&mut self, family: &FamilyForm) {
        next(&mut self.body);
        self.body.push_str(&family.head);
    }

    pub(super) fn close_family(&mut self, family: &FamilyForm) {
        self.body.push_str(&family.tail);
    }

    pub(super) fn close_request(&mut self) -> Bytes {
        self.body.push_str("]}]}");
        std::mem::take(&mut self.body).into()
    }

    /// Discards unfinished output.
    pub(super) fn rest(&mut self) {
        self.body = String::new();
    }

    /// Writes a point. Returns false, without writing, if it would extend past `end`.
    pub(super) fn point(
        &mut self,
        family: &mut FamilyForm,
        labels: &Labels<'_>,
        extra: Extra<'_>,
        datum: &Datum<'_>,
        end: usize,
    ) -> Result<bool, Rejection> {
        let Json {
            attributes, body, ..
        } = self;
        let from = body.len();
        attributes.clear();
        attributes::each(&family.descriptor, labels, extra, |key, word| {
            attribute(attributes, key, word)
        })?;
        next(body);
        body.push_str("{\"attributes\":[");
        body.push_str(attributes);
        body.push(']');
        quoted(body, "startTimeUnixNano", datum.start);
        quoted(body, "timeUnixNano", datum.time);
        match datum.number {
            Number::Whole(value) => quoted(body, "asInt", value),
            Number::Float(value) => {
                field(body, "asDouble");
                float(body, value);
            }
            Number::Histogram(distribution) => write_distribution(body, &distribution),
        }
        let mut exemplars = datum.exemplars().peekable();
        if exemplars.peek().is_some() {
            field(body, "exemplars");
            body.push('[');
            for exemplar in exemplars {
                let of = match family.is_histogram {
                    true => Number::Float(0.0),
                    false => datum.number,
                };
                write_exemplar(body, exemplar, of);
            }
            body.push(']');
        }
        body.push('}');
        let fits = body.len() <= end;
        if !fits {
            body.truncate(from);
        } else if !family.seen.is_first(attributes.as_bytes()) {
            body.truncate(from);
            return Err(Rejection::Duplicate);
        }
        Ok(fits)
    }
}

/// Opens the JSON object that holds the telemetry of a resource.
pub(super) fn open_resource(resource: &Resource) -> String {
    let mut text = String::from("{\"resource\":{\"attributes\":[");
    for (key, value) in resource.iter() {
        attribute(&mut text, key, Word::Text(value));
    }
    text.push_str("]}");
    text
}

fn write_distribution(out: &mut String, distribution: &Distribution<'_>) {
    quoted(out, "count", distribution.count);
    if let Some(sum) = distribution.sum {
        field(out, "sum");
        float(out, sum);
    }
    field(out, "bucketCounts");
    out.push('[');
    for count in distribution.buckets {
        next(out);
        print(out, format_args!("\"{count}\""));
    }
    out.push(']');
    field(out, "explicitBounds");
    out.push('[');
    for bound in distribution.bounds.as_slice() {
        next(out);
        float(out, *bound);
    }
    out.push(']');
}

fn write_exemplar(out: &mut String, exemplar: &Exemplar, of: Number<'_>) {
    next(out);
    match whole(exemplar, of) {
        Some(value) => print(out, format_args!("{{\"asInt\":\"{value}\"")),
        None => {
            out.push_str("{\"asDouble\":");
            float(out, exemplar.value);
        }
    }
    if let Some(time) = exemplar.time_unix_nano {
        quoted(out, "timeUnixNano", time);
    }
    if let Some(context) = &exemplar.context {
        quoted(out, "spanId", context.span_id());
        quoted(out, "traceId", context.trace_id());
    }
    if !exemplar.labels.is_empty() {
        field(out, "filteredAttributes");
        out.push('[');
        for (key, value) in &exemplar.labels {
            attribute(out, key, Word::Text(value));
        }
        out.push(']');
    }
    out.push('}');
}

/// Writes an attribute.
pub(super) fn attribute(out: &mut String, key: &str, word: Word<'_>) {
    next(out);
    out.push_str("{\"key\":");
    text(out, key);
    match word {
        Word::Text(value) => {
            out.push_str(",\"value\":{\"stringValue\":");
            text(out, value);
            out.push_str("}}");
        }
        Word::True => out.push_str(",\"value\":{\"boolValue\":true}}"),
    }
}
