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
use crate::otlp::attributes::{self, AttributeValue, Extra, Seen};
use crate::otlp::data_point::{DataPoint, Distribution, Number, Shape};
use crate::otlp::metric_encoder::MetricEncoder;
use crate::otlp::request::Signal;
use crate::otlp::temporality::Temporality;
use crate::report::Rejection;
use crate::walk::Uniqueness;

/// A writer of requests, one at a time.
pub(super) struct JsonEncoder {
    /// The beginning of every request.
    head: String,
    body: String,
    /// A buffer that is reused.
    attributes: String,
}

/// The parts that all points of a family share.
pub(super) struct FamilyTemplate {
    descriptor: Arc<Descriptor>,
    seen: Seen,
    head: String,
    tail: String,
}

impl JsonEncoder {
    pub(super) fn new(resource: &Resource) -> Self {
        JsonEncoder {
            head: open_request(Signal::Metrics, resource),
            body: String::new(),
            attributes: String::new(),
        }
    }
}

impl MetricEncoder for JsonEncoder {
    type Family = FamilyTemplate;

    fn family(
        &self,
        descriptor: &Arc<Descriptor>,
        name: &str,
        shape: Shape,
        uniqueness: Uniqueness,
    ) -> Self::Family {
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
        FamilyTemplate {
            descriptor: Arc::clone(descriptor),
            seen: Seen::new(uniqueness),
            head,
            tail,
        }
    }

    fn open_request(&mut self) {
        self.body.push_str(&self.head);
    }

    fn open_scope(&mut self, scope: Option<&Scope>) {
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
                    attribute(&mut self.body, key, AttributeValue::Str(value));
                }
                self.body.push(']');
            }
            self.body.push('}');
        }
        field(&mut self.body, "metrics");
        self.body.push('[');
    }

    fn close_scope(&mut self, scope: Option<&Scope>) {
        self.body.push(']');
        if let Some(scope) = scope
            && !scope.schema_url.is_empty()
        {
            field(&mut self.body, "schemaUrl");
            text(&mut self.body, &scope.schema_url);
        }
        self.body.push('}');
    }

    fn open_family(&mut self, family: &Self::Family) {
        next(&mut self.body);
        self.body.push_str(&family.head);
    }

    fn close_family(&mut self, family: &Self::Family) {
        self.body.push_str(&family.tail);
    }

    fn close_request(&mut self, _used: Option<Bytes>) -> Bytes {
        self.body.push_str("]}]}");
        std::mem::take(&mut self.body).into()
    }

    fn discard(&mut self) {
        self.body = String::new();
    }

    fn point(
        &mut self,
        family: &mut Self::Family,
        labels: &Labels<'_>,
        extra: Extra<'_>,
        data_point: &DataPoint<'_>,
        end: usize,
    ) -> Result<bool, Rejection> {
        let JsonEncoder {
            attributes, body, ..
        } = self;
        let from = body.len();
        attributes.clear();
        attributes::each(&family.descriptor, labels, extra, |key, value| {
            attribute(attributes, key, value)
        })?;
        next(body);
        body.push_str("{\"attributes\":[");
        body.push_str(attributes);
        body.push(']');
        quoted(body, "startTimeUnixNano", data_point.start);
        quoted(body, "timeUnixNano", data_point.time);
        match data_point.number {
            Number::Int(value) => quoted(body, "asInt", value),
            Number::Double(value) => {
                field(body, "asDouble");
                float(body, value);
            }
            Number::Histogram(distribution) => write_distribution(body, &distribution),
        }
        let mut exemplars = data_point.exemplars().peekable();
        if exemplars.peek().is_some() {
            field(body, "exemplars");
            body.push('[');
            for exemplar in exemplars {
                write_exemplar(body, exemplar, &data_point.number);
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

/// Returns the beginning of a request: the resource, and the keys of the lists around the scopes.
pub(super) fn open_request(signal: Signal, resource: &Resource) -> String {
    let (resources, scopes) = match signal {
        Signal::Metrics => ("resourceMetrics", "scopeMetrics"),
        Signal::Traces => ("resourceSpans", "scopeSpans"),
        Signal::Logs => ("resourceLogs", "scopeLogs"),
    };
    let mut text = format!("{{\"{resources}\":[{{\"resource\":{{\"attributes\":[");
    for (key, value) in resource.iter() {
        attribute(&mut text, key, AttributeValue::Str(value));
    }
    print(&mut text, format_args!("]}},\"{scopes}\":["));
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

fn write_exemplar(out: &mut String, exemplar: &Exemplar, of: &Number<'_>) {
    next(out);
    match of.integer_exemplar(exemplar) {
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
            attribute(out, key, AttributeValue::Str(value));
        }
        out.push(']');
    }
    out.push('}');
}

/// Writes an attribute.
pub(super) fn attribute(out: &mut String, key: &str, value: AttributeValue<'_>) {
    next(out);
    out.push_str("{\"key\":");
    text(out, key);
    match value {
        AttributeValue::Str(value) => {
            out.push_str(",\"value\":{\"stringValue\":");
            text(out, value);
            out.push_str("}}");
        }
        AttributeValue::True => out.push_str(",\"value\":{\"boolValue\":true}}"),
    }
}
