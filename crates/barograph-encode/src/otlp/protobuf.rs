//! Encoding of metric requests in protobuf.
//!
//! Nearly all points are numbers with short label values under the family's label names. The length
//! of such a point is known before its first byte, and only some lengths, the number and the values
//! change: these points are written by fixed-size copies. All others are written field by field.
//!
//! Source: `opentelemetry/proto/metrics/v1/metrics.proto`, 1.11.

use std::sync::Arc;

use barograph_model::descriptor::{Descriptor, Scope};
use barograph_model::exemplar::Exemplar;
use barograph_model::label::Labels;
use barograph_model::resource::Resource;
use bytes::Bytes;

use crate::block_copy::{BLOCK, Literal, MAX_VALUES, Values, put};
use crate::otlp::attributes::{self, Extra, Seen, Word};
use crate::otlp::datum::{Datum, Distribution, Number, Shape};
use crate::otlp::temporality::Temporality;
use crate::otlp::wire::{self, Body, Open, fixed, long, small};
use crate::report::Rejection;

/// A writer of requests, one at a time.
pub(super) struct Protobuf {
    resource: Vec<u8>,
    body: Body,
    open: Vec<Open>,
    values: Values,
    /// Buffers that are reused.
    point: Vec<u8>,
    attributes: Vec<u8>,
}

/// The parts that all points of a family share.
pub(super) struct FamilyForm {
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

impl FamilyForm {
    pub(super) fn new(
        descriptor: &Arc<Descriptor>,
        name: &str,
        shape: Shape,
        is_unique: bool,
    ) -> Self {
        let mut head = Vec::new();
        wire::text(&mut head, long(1), name);
        wire::text(&mut head, long(2), &descriptor.help);
        wire::text(&mut head, long(3), &descriptor.unit);
        let mut tail = Vec::new();
        let mut temporal = |temporality| {
            tail.push(small(2));
            tail.push(match temporality {
                Temporality::Delta => 1,
                Temporality::Cumulative => 2,
            });
        };
        let data = match shape {
            Shape::Gauge => long(5),
            Shape::Sum {
                temporality,
                is_monotonic,
            } => {
                temporal(temporality);
                if is_monotonic {
                    tail.extend_from_slice(&[small(3), 1]);
                }
                long(7)
            }
            Shape::Histogram(temporality) => {
                temporal(temporality);
                long(9)
            }
        };
        FamilyForm {
            descriptor: Arc::clone(descriptor),
            seen: Seen::new(is_unique),
            head,
            data,
            tail,
            fast: (is_unique
                && !matches!(shape, Shape::Histogram(_))
                && attributes::names_differ(descriptor))
            .then(|| FastPoint::new(descriptor))
            .flatten(),
        }
    }

    fn owns_names(&self, labels: &Labels<'_>) -> bool {
        labels
            .names()
            .is_some_and(|names| std::ptr::eq(names, &*self.descriptor.label_names))
    }
}

impl Protobuf {
    pub(super) fn new(resource: &Resource) -> Self {
        Protobuf {
            resource: resource_field(resource),
            body: Body::new(),
            open: Vec::new(),
            values: Values::new(),
            point: Vec::new(),
            attributes: Vec::new(),
        }
    }

    pub(super) fn open_request(&mut self) {
        self.open(long(1));
        self.body.bytes(&self.resource);
    }

    pub(super) fn open_scope(&mut self, scope: Option<&Scope>) {
        self.open(long(2));
        if let Some(scope) = scope {
            let mut message = Vec::new();
            wire::text(&mut message, long(1), &scope.name);
            wire::text(&mut message, long(2), &scope.version);
            for (key, value) in &scope.attributes {
                wire::attribute(&mut message, long(3), key, value);
            }
            let mut field = Vec::new();
            wire::bytes(&mut field, long(1), &message);
            self.body.bytes(&field);
        }
    }

    pub(super) fn close_scope(&mut self, scope: Option<&Scope>) {
        let mut schema = Vec::new();
        wire::text(
            &mut schema,
            long(3),
            scope.map_or("", |scope| &scope.schema_url),
        );
        self.body.bytes(&schema);
        self.close();
    }

    pub(super) fn open_family(&mut self, family: &FamilyForm) {
        self.open(long(2));
        self.body.bytes(&family.head);
        self.open(family.data);
    }

    pub(super) fn close_family(&mut self, family: &FamilyForm) {
        self.body.bytes(&family.tail);
        self.close();
        self.close();
    }

    pub(super) fn close_request(&mut self, used: Option<Bytes>) -> Bytes {
        self.close();
        self.body.take(used)
    }

    pub(super) fn rest(&mut self) {
        self.open.clear();
        self.body.rest();
    }

    fn open(&mut self, key: u8) {
        self.open.push(self.body.open(key));
    }

    fn close(&mut self) {
        if let Some(open) = self.open.pop() {
            self.body.close(open);
        }
    }

    /// Writes a point. Returns false, without writing, if it would extend past `end`.
    #[inline]
    pub(super) fn point(
        &mut self,
        family: &mut FamilyForm,
        labels: &Labels<'_>,
        extra: Extra<'_>,
        datum: &Datum<'_>,
        end: usize,
    ) -> Result<bool, Rejection> {
        if let Some(fast) = &family.fast
            && !extra.is_overflow
            && extra.state.is_none()
            && datum.exemplars.is_empty()
            && family.owns_names(labels)
            && let Some(written) = fast.write(&mut self.body, &mut self.values, labels, datum, end)
        {
            return Ok(written);
        }
        self.point_with_care(family, labels, extra, datum, end)
    }

    #[inline(never)]
    fn point_with_care(
        &mut self,
        family: &mut FamilyForm,
        labels: &Labels<'_>,
        extra: Extra<'_>,
        datum: &Datum<'_>,
        end: usize,
    ) -> Result<bool, Rejection> {
        let Protobuf {
            point, attributes, ..
        } = self;
        let is_histogram = matches!(datum.number, Number::Histogram(_));
        let attribute = if is_histogram { long(9) } else { long(7) };
        attributes.clear();
        attributes::each(&family.descriptor, labels, extra, |key, word| match word {
            Word::Text(text) => wire::attribute(attributes, attribute, key, text),
            Word::True => wire::flag(attributes, attribute, key),
        })?;
        point.clear();
        wire::eight(point, fixed(2), datum.start.to_le_bytes());
        wire::eight(point, fixed(3), datum.time.to_le_bytes());
        match datum.number {
            Number::Whole(value) => wire::eight(point, fixed(6), value.to_le_bytes()),
            Number::Float(value) => wire::eight(point, fixed(4), value.to_le_bytes()),
            Number::Histogram(distribution) => write_distribution(point, &distribution),
        }
        point.extend_from_slice(attributes);
        let key = if is_histogram { long(8) } else { long(5) };
        for exemplar in datum.exemplars() {
            write_exemplar(point, key, exemplar, datum.number);
        }
        if self.body.len() + 1 + wire::varint_len(point.len()) + point.len() > end {
            return Ok(false);
        }
        if !family.seen.is_first(attributes) {
            return Err(Rejection::Duplicate);
        }
        self.body.field(long(1), point);
        Ok(true)
    }
}

/// Encodes the resource as a field.
pub(super) fn resource_field(resource: &Resource) -> Vec<u8> {
    let mut field = Vec::new();
    wire::message(&mut field, long(1), |out| {
        for (key, value) in resource.iter() {
            wire::attribute(out, long(1), key, value);
        }
    });
    field
}

fn write_distribution(point: &mut Vec<u8>, distribution: &Distribution<'_>) {
    wire::eight(point, fixed(4), distribution.count.to_le_bytes());
    if let Some(sum) = distribution.sum {
        wire::eight(point, fixed(5), sum.to_le_bytes());
    }
    let bounds = distribution.bounds.as_slice();
    point.push(long(6));
    wire::varint(point, 8 * distribution.buckets.len() as u64);
    for count in distribution.buckets {
        point.extend_from_slice(&count.to_le_bytes());
    }
    if !bounds.is_empty() {
        point.push(long(7));
        wire::varint(point, 8 * bounds.len() as u64);
        for bound in bounds {
            point.extend_from_slice(&bound.to_le_bytes());
        }
    }
}

fn write_exemplar(out: &mut Vec<u8>, key: u8, exemplar: &Exemplar, of: Number<'_>) {
    let mut message = Vec::new();
    if let Some(time) = exemplar.time_unix_nano {
        wire::eight(&mut message, fixed(2), time.to_le_bytes());
    }
    match whole(exemplar, of) {
        Some(value) => wire::eight(&mut message, fixed(6), value.to_le_bytes()),
        None => wire::eight(&mut message, fixed(3), exemplar.value.to_le_bytes()),
    }
    if let Some(context) = &exemplar.context {
        wire::bytes(
            &mut message,
            long(4),
            &context.span_id().get().to_be_bytes(),
        );
        wire::bytes(
            &mut message,
            long(5),
            &context.trace_id().get().to_be_bytes(),
        );
    }
    for (name, value) in &exemplar.labels {
        wire::attribute(&mut message, long(7), name, value);
    }
    wire::bytes(out, key, &message);
}

/// Returns the exemplar's value as an integer if it is one and the point's value is an integer too.
pub(super) fn whole(exemplar: &Exemplar, of: Number<'_>) -> Option<i64> {
    const EXACT: f64 = (1_u64 << 53) as f64;
    let is_whole = exemplar.value.fract() == 0.0 && exemplar.value.abs() < EXACT;
    (matches!(of, Number::Whole(_)) && is_whole).then_some(exemplar.value as i64)
}

/// An encoder for points that are a number, with short values of the family's labels.
struct FastPoint {
    constant: Literal,
    /// For each label the bytes in front of its value, with the lengths left open.
    names: Vec<Name>,
    /// The length of a point without its label values.
    around: usize,
}

struct Name {
    /// The attribute's key and length, the name's key and length, the name, the value message's key
    /// and length, and the text's key and length.
    open: Literal,
    /// The length of the attribute when the value is empty.
    pair: u8,
    /// The longest value with which every length still takes one byte.
    most: u16,
}

/// The size of the start time, the time and the number: a key of one byte and eight bytes each.
const NUMBERS: usize = 27;

impl FastPoint {
    /// Returns `None` if the names and constant labels are too long.
    fn new(descriptor: &Descriptor) -> Option<Self> {
        let mut constant = Vec::new();
        for (key, value) in &*descriptor.constant_labels {
            wire::attribute(&mut constant, long(7), key, value);
        }
        let names: Option<Vec<Name>> = descriptor
            .label_names
            .iter()
            .map(|n| Name::new(n))
            .collect();
        let names = names?;
        let around =
            NUMBERS + constant.len() + names.iter().map(|name| name.open.len()).sum::<usize>();
        // The length of the point takes two bytes.
        const MOST: usize = 1 << 14;
        (around + MAX_VALUES < MOST).then(|| {
            Some(FastPoint {
                constant: Literal::new(&constant)?,
                names,
                around,
            })
        })?
    }

    #[inline(never)] // On its own, its few variables stay in registers.
    fn write(
        &self,
        body: &mut Body,
        values: &mut Values,
        labels: &Labels<'_>,
        datum: &Datum<'_>,
        end: usize,
    ) -> Option<bool> {
        let (key, bits) = match datum.number {
            Number::Whole(value) => (fixed(6), value.cast_unsigned()),
            Number::Float(value) => (fixed(4), value.to_bits()),
            Number::Histogram(_) => return None,
        };
        let ends = labels.ends();
        let text = labels.text().as_bytes();
        let text = text.get(..usize::from(ends.last().copied().unwrap_or(0)))?;
        values.load(text)?;
        let len = self.around + text.len();
        if body.len() + 3 + len > end {
            return Some(false);
        }
        let (buf, at) = body.reserve(len + BLOCK)?;
        let mut head = [0; BLOCK];
        head[0] = long(1);
        // Always two bytes, even where one would do: this saves a branch.
        head[1] = (len & 0x7f) as u8 | 0x80;
        head[2] = (len >> 7) as u8;
        head[3] = fixed(2);
        head[4..12].copy_from_slice(&datum.start.to_le_bytes());
        head[12] = fixed(3);
        head[13..21].copy_from_slice(&datum.time.to_le_bytes());
        head[21] = key;
        head[22..30].copy_from_slice(&bits.to_le_bytes());
        put(buf, at, &head);
        let mut at = self.constant.put(buf, at.wrapping_add(3 + NUMBERS as u16));
        let mut from = 0;
        let mut names = self.names.iter();
        for &end in ends {
            let name = names.next()?;
            // An empty value means no attribute; a long one needs more than one byte for its
            // lengths.
            if end <= from || usize::from(end) > text.len() || end - from > name.most {
                return None;
            }
            let len = end - from;
            let behind = name.open.put(buf, at);
            put(
                buf,
                at.wrapping_add(1),
                &[name.pair.wrapping_add(len as u8)],
            );
            put(buf, behind.wrapping_sub(3), &[len as u8 + 2]);
            put(buf, behind.wrapping_sub(1), &[len as u8]);
            at = values.put(buf, behind, from, len);
            from = end;
        }
        body.advance(at);
        Some(true)
    }
}

impl Name {
    fn new(name: &str) -> Option<Self> {
        const MOST: usize = 0x7f;
        let pair = 2 + name.len() + 4;
        let most = MOST.checked_sub(pair)?;
        let mut open = vec![long(7), 0, long(1), name.len() as u8];
        open.extend_from_slice(name.as_bytes());
        open.extend_from_slice(&[long(2), 0, long(1), 0]);
        Some(Name {
            open: Literal::new(&open)?,
            pair: pair as u8,
            most: most as u16,
        })
    }
}
