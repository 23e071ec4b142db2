//! Encoding of metric requests in protobuf.
//!
//! Source: `opentelemetry/proto/metrics/v1/metrics.proto`, 1.11.

use std::sync::Arc;

use barograph_model::descriptor::{Descriptor, Scope};
use barograph_model::exemplar::Exemplar;
use barograph_model::label::Labels;
use barograph_model::resource::Resource;
use bytes::Bytes;

use crate::block_copy::Values;
use crate::otlp::attributes::{self, AttributeValue, Extra, Seen};
use crate::otlp::data_point::{DataPoint, Distribution, Number, Shape};
use crate::otlp::fast_point::FastPoint;
use crate::otlp::metric_encoder::MetricEncoder;
use crate::otlp::temporality::Temporality;
use crate::otlp::wire::{self, Body, OpenMessage, i64_key, len_key, varint_key};
use crate::report::Rejection;
use crate::walk::Uniqueness;

/// A writer of requests, one at a time.
pub(super) struct ProtobufEncoder {
    resource: Vec<u8>,
    body: Body,
    open: Vec<OpenMessage>,
    values: Values,
    /// Buffers that are reused.
    point: Vec<u8>,
    attributes: Vec<u8>,
}

/// The parts that all points of a family share.
pub(super) struct FamilyTemplate {
    descriptor: Arc<Descriptor>,
    seen: Seen,
    /// The encoded name, description and unit.
    head: Vec<u8>,
    /// The key of the field that holds the points.
    data: u8,
    /// The encoded fields that follow the points.
    tail: Vec<u8>,
    fast: Option<FastPoint>,
}

impl FamilyTemplate {
    fn owns_names(&self, labels: &Labels<'_>) -> bool {
        labels
            .names()
            .is_some_and(|names| std::ptr::eq(names, &*self.descriptor.label_names))
    }
}

impl ProtobufEncoder {
    pub(super) fn new(resource: &Resource) -> Self {
        ProtobufEncoder {
            resource: resource_field(resource),
            body: Body::new(),
            open: Vec::new(),
            values: Values::new(),
            point: Vec::new(),
            attributes: Vec::new(),
        }
    }

    fn open(&mut self, key: u8) {
        self.open.push(self.body.open(key));
    }

    fn close(&mut self) {
        if let Some(open) = self.open.pop() {
            self.body.close(open);
        }
    }

    #[inline(never)]
    fn write_point(
        &mut self,
        family: &mut FamilyTemplate,
        labels: &Labels<'_>,
        extra: Extra<'_>,
        data_point: &DataPoint<'_>,
        end: usize,
    ) -> Result<bool, Rejection> {
        let ProtobufEncoder {
            point, attributes, ..
        } = self;
        let is_histogram = matches!(data_point.number, Number::Histogram(_));
        let attribute = if is_histogram { len_key(9) } else { len_key(7) };
        attributes.clear();
        attributes::each(
            &family.descriptor,
            labels,
            extra,
            |key, value| match value {
                AttributeValue::Str(text) => wire::attribute(attributes, attribute, key, text),
                AttributeValue::True => wire::flag(attributes, attribute, key),
            },
        )?;
        point.clear();
        wire::fixed64(point, i64_key(2), data_point.start.to_le_bytes());
        wire::fixed64(point, i64_key(3), data_point.time.to_le_bytes());
        match data_point.number {
            Number::Int(value) => wire::fixed64(point, i64_key(6), value.to_le_bytes()),
            Number::Double(value) => wire::fixed64(point, i64_key(4), value.to_le_bytes()),
            Number::Histogram(distribution) => write_distribution(point, &distribution),
        }
        point.extend_from_slice(attributes);
        let key = if is_histogram { len_key(8) } else { len_key(5) };
        for exemplar in data_point.exemplars() {
            write_exemplar(point, key, exemplar, &data_point.number);
        }
        if self.body.len() + 1 + wire::varint_len(point.len()) + point.len() > end {
            return Ok(false);
        }
        if !family.seen.is_first(attributes) {
            return Err(Rejection::Duplicate);
        }
        self.body.field(len_key(1), point);
        Ok(true)
    }
}

impl MetricEncoder for ProtobufEncoder {
    type Family = FamilyTemplate;

    fn family(
        &self,
        descriptor: &Arc<Descriptor>,
        name: &str,
        shape: Shape,
        uniqueness: Uniqueness,
    ) -> Self::Family {
        let mut head = Vec::new();
        wire::text(&mut head, len_key(1), name);
        wire::text(&mut head, len_key(2), &descriptor.help);
        wire::text(&mut head, len_key(3), &descriptor.unit);
        let mut tail = Vec::new();
        let mut temporal = |temporality| {
            tail.push(varint_key(2));
            tail.push(match temporality {
                Temporality::Delta => 1,
                Temporality::Cumulative => 2,
            });
        };
        let data = match shape {
            Shape::Gauge => len_key(5),
            Shape::Sum {
                temporality,
                is_monotonic,
            } => {
                temporal(temporality);
                if is_monotonic {
                    tail.extend_from_slice(&[varint_key(3), 1]);
                }
                len_key(7)
            }
            Shape::Histogram(temporality) => {
                temporal(temporality);
                len_key(9)
            }
        };
        FamilyTemplate {
            descriptor: Arc::clone(descriptor),
            seen: Seen::new(uniqueness),
            head,
            data,
            tail,
            fast: (uniqueness == Uniqueness::Guaranteed && !matches!(shape, Shape::Histogram(_)))
                .then(|| FastPoint::new(descriptor))
                .flatten(),
        }
    }

    fn open_request(&mut self) {
        self.open(len_key(1));
        self.body.bytes(&self.resource);
    }

    fn open_scope(&mut self, scope: Option<&Scope>) {
        self.open(len_key(2));
        if let Some(scope) = scope {
            let mut message = Vec::new();
            wire::text(&mut message, len_key(1), &scope.name);
            wire::text(&mut message, len_key(2), &scope.version);
            for (key, value) in &scope.attributes {
                wire::attribute(&mut message, len_key(3), key, value);
            }
            let mut field = Vec::new();
            wire::bytes(&mut field, len_key(1), &message);
            self.body.bytes(&field);
        }
    }

    fn close_scope(&mut self, scope: Option<&Scope>) {
        let mut schema = Vec::new();
        wire::text(
            &mut schema,
            len_key(3),
            scope.map_or("", |scope| &scope.schema_url),
        );
        self.body.bytes(&schema);
        self.close();
    }

    fn open_family(&mut self, family: &Self::Family) {
        self.open(len_key(2));
        self.body.bytes(&family.head);
        self.open(family.data);
    }

    fn close_family(&mut self, family: &Self::Family) {
        self.body.bytes(&family.tail);
        self.close();
        self.close();
    }

    fn close_request(&mut self, used: Option<Bytes>) -> Bytes {
        self.close();
        self.body.take(used)
    }

    fn discard(&mut self) {
        self.open.clear();
        self.body.discard();
    }

    #[inline]
    fn point(
        &mut self,
        family: &mut Self::Family,
        labels: &Labels<'_>,
        extra: Extra<'_>,
        data_point: &DataPoint<'_>,
        end: usize,
    ) -> Result<bool, Rejection> {
        if let Some(fast) = &family.fast
            && !extra.is_overflow
            && extra.state.is_none()
            && data_point.exemplars.is_empty()
            && family.owns_names(labels)
            && let Some(written) =
                fast.write(&mut self.body, &mut self.values, labels, data_point, end)
        {
            return Ok(written);
        }
        self.write_point(family, labels, extra, data_point, end)
    }
}

/// Encodes the resource as a field.
pub(super) fn resource_field(resource: &Resource) -> Vec<u8> {
    let mut field = Vec::new();
    wire::message(&mut field, len_key(1), |out| {
        for (key, value) in resource.iter() {
            wire::attribute(out, len_key(1), key, value);
        }
    });
    field
}

fn write_distribution(point: &mut Vec<u8>, distribution: &Distribution<'_>) {
    wire::fixed64(point, i64_key(4), distribution.count.to_le_bytes());
    if let Some(sum) = distribution.sum {
        wire::fixed64(point, i64_key(5), sum.to_le_bytes());
    }
    let bounds = distribution.bounds.as_slice();
    point.push(len_key(6));
    wire::varint(point, 8 * distribution.buckets.len() as u64);
    for count in distribution.buckets {
        point.extend_from_slice(&count.to_le_bytes());
    }
    if !bounds.is_empty() {
        point.push(len_key(7));
        wire::varint(point, 8 * bounds.len() as u64);
        for bound in bounds {
            point.extend_from_slice(&bound.to_le_bytes());
        }
    }
}

fn write_exemplar(out: &mut Vec<u8>, key: u8, exemplar: &Exemplar, of: &Number<'_>) {
    let mut message = Vec::new();
    if let Some(time) = exemplar.time_unix_nano {
        wire::fixed64(&mut message, i64_key(2), time.to_le_bytes());
    }
    match of.integer_exemplar(exemplar) {
        Some(value) => wire::fixed64(&mut message, i64_key(6), value.to_le_bytes()),
        None => wire::fixed64(&mut message, i64_key(3), exemplar.value.to_le_bytes()),
    }
    if let Some(context) = &exemplar.context {
        wire::bytes(
            &mut message,
            len_key(4),
            &context.span_id().get().to_be_bytes(),
        );
        wire::bytes(
            &mut message,
            len_key(5),
            &context.trace_id().get().to_be_bytes(),
        );
    }
    for (name, value) in &exemplar.labels {
        wire::attribute(&mut message, len_key(7), name, value);
    }
    wire::bytes(out, key, &message);
}
