//! A fast path for points that are a number, with short values of the family's label names.
//!
//! Nearly all points are of this kind. The length of such a point is known before its first byte, and
//! the lengths of its attributes take one byte each, so it is written by copies of fixed size.
//! [`FastPoint::write`] is the only way in. What it writes decodes to the same point as what the
//! encoder writes field by field; only the length of the point takes two bytes where one could do.

use barograph_model::descriptor::Descriptor;
use barograph_model::label::Labels;

use crate::block_copy::{BLOCK, Literal, MAX_VALUES, Values, put};
use crate::otlp::data_point::{DataPoint, Number};
use crate::otlp::wire::{self, Body, i64_key, len_key};

/// An encoder for the points of one family, whose series need no check for duplicates.
pub(super) struct FastPoint {
    /// The encoded constant labels.
    constant: Literal,
    labels: Vec<Label>,
    /// The length of a point without its label values.
    overhead: usize,
}

/// The encoding of a label up to its value: a `KeyValue` with a string in an `AnyValue`.
struct Label {
    /// The key and the length of the `KeyValue`, which is left open, and those of the name; the name.
    head: Literal,
    /// The length of the `KeyValue` with an empty value.
    empty_len: u8,
    /// The maximum length of a value with which every length still takes one byte.
    max_value: u16,
}

/// The size of the start time, the time and the number: a key of one byte and eight bytes each.
const NUMBERS: usize = 27;

/// The size of the key and the length of a point: always two bytes for the length, even where one
/// would do, since this saves a branch.
const POINT_HEAD: usize = 3;

impl FastPoint {
    /// Returns `None` if the names and constant labels are too long.
    pub(super) fn new(descriptor: &Descriptor) -> Option<Self> {
        let mut constant = Vec::new();
        for (key, value) in &*descriptor.constant_labels {
            wire::attribute(&mut constant, len_key(7), key, value);
        }
        let labels = descriptor.label_names.iter().map(|name| Label::new(name));
        let labels: Vec<Label> = labels.collect::<Option<_>>()?;
        let label_overhead: usize = labels.iter().map(Label::overhead).sum();
        let overhead = NUMBERS + constant.len() + label_overhead;
        const MAX_TWO_BYTE_LENGTH: usize = (1 << 14) - 1;
        if overhead + MAX_VALUES > MAX_TWO_BYTE_LENGTH {
            return None;
        }
        Some(FastPoint {
            constant: Literal::new(&constant)?,
            labels,
            overhead,
        })
    }

    /// Writes a point. Returns `Some(false)`, without writing, if the request would extend past `end`,
    /// and `None`, without writing, if the point needs the encoder's slow path.
    #[inline(never)] // On its own, its few variables stay in registers.
    pub(super) fn write(
        &self,
        body: &mut Body,
        values: &mut Values,
        labels: &Labels<'_>,
        data_point: &DataPoint<'_>,
        end: usize,
    ) -> Option<bool> {
        let (key, bits) = match data_point.number {
            Number::Int(value) => (i64_key(6), value.cast_unsigned()),
            Number::Double(value) => (i64_key(4), value.to_bits()),
            Number::Histogram(_) => return None,
        };
        let ends = labels.ends();
        let text = labels.text().as_bytes();
        let text = text.get(..usize::from(ends.last().copied().unwrap_or(0)))?;
        values.load(text)?;
        let len = self.overhead + text.len();
        if body.len() + POINT_HEAD + len > end {
            return Some(false);
        }
        let (buf, at) = body.reserve(len + BLOCK)?;
        let mut head = [0; BLOCK];
        head[0] = len_key(1);
        head[1] = (len & 0x7f) as u8 | 0x80;
        head[2] = (len >> 7) as u8;
        head[3] = i64_key(2);
        head[4..12].copy_from_slice(&data_point.start.to_le_bytes());
        head[12] = i64_key(3);
        head[13..21].copy_from_slice(&data_point.time.to_le_bytes());
        head[21] = key;
        head[22..30].copy_from_slice(&bits.to_le_bytes());
        put(buf, at, &head);
        let at = at.wrapping_add((POINT_HEAD + NUMBERS) as u16);
        let mut at = self.constant.put(buf, at);
        let mut from = 0;
        let mut own_labels = self.labels.iter();
        for &end in ends {
            let label = own_labels.next()?;
            // An empty value means no attribute.
            if end <= from || usize::from(end) > text.len() || end - from > label.max_value {
                return None;
            }
            let len = end - from;
            let behind = label.head.put(buf, at);
            put(buf, at.wrapping_add(1), &[label.empty_len + len as u8]);
            put(buf, behind, &value_head(len));
            at = values.put(buf, behind.wrapping_add(VALUE_HEAD as u16), from, len);
            from = end;
        }
        body.advance(at);
        Some(true)
    }
}

/// The size of the keys and lengths between a label's name and its value.
const VALUE_HEAD: usize = 4;

impl Label {
    fn new(name: &str) -> Option<Self> {
        const MAX_ONE_BYTE_LENGTH: usize = 0x7f;
        let empty_len = 2 + name.len() + VALUE_HEAD;
        let max_value = MAX_ONE_BYTE_LENGTH.checked_sub(empty_len)?;
        let mut head = vec![len_key(7), 0, len_key(1), name.len() as u8];
        head.extend_from_slice(name.as_bytes());
        Some(Label {
            head: Literal::new(&head)?,
            empty_len: empty_len as u8,
            max_value: max_value as u16,
        })
    }

    /// Returns the length of the label without its value.
    fn overhead(&self) -> usize {
        self.head.len() + VALUE_HEAD
    }
}

/// Returns the keys and lengths between a label's name and its value of `len` bytes.
#[inline(always)]
fn value_head(len: u16) -> [u8; VALUE_HEAD] {
    // Both lengths are added in one word: put together from bytes, they made a point 5 % slower.
    const EMPTY: u32 = u32::from_le_bytes([len_key(2), 2, len_key(1), 0]);
    const LENGTHS: u32 = u32::from_le_bytes([0, 1, 0, 1]);
    (EMPTY + u32::from(len) * LENGTHS).to_le_bytes()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use barograph_model::descriptor::Kind;
    use barograph_model::label::PackedLabels;
    use barograph_model::resource::Resource;
    use opentelemetry_proto::tonic::metrics::v1::Gauge;
    use proptest::collection::vec;
    use proptest::prelude::*;
    use prost::Message as _;

    use super::*;
    use crate::otlp::attributes::Extra;
    use crate::otlp::data_point::Shape;
    use crate::otlp::metric_encoder::MetricEncoder;
    use crate::otlp::protobuf::ProtobufEncoder;
    use crate::walk::Uniqueness;

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn a_fast_point_decodes_as_the_point_written_field_by_field(
            labels in vec(("[a-z.]{1,90}", ".{0,60}"), 0..6),
            constant in vec(".{0,40}", 0..2),
            number in prop_oneof![
                any::<i64>().prop_map(Number::Int),
                (-1e9..1e9).prop_map(Number::Double),
            ],
            start: u64,
            time: u64,
            end in prop_oneof![Just(usize::MAX), 0..300_usize],
        ) {
            let mut descriptor = Descriptor::new("x", Kind::Gauge);
            descriptor.label_names =
                labels.iter().enumerate().map(|(i, (name, _))| format!("{name}{i}").into()).collect();
            descriptor.constant_labels =
                constant.iter().enumerate().map(|(i, v)| (format!("C{i}").into(), v[..].into())).collect();
            let descriptor = Arc::new(descriptor);
            let mut packed = PackedLabels::default();
            labels.iter().for_each(|(_, value)| packed.push(value));
            let given = packed.fixed(&descriptor.label_names);
            let data_point = DataPoint { start, time, number, exemplars: &[], exported_until: 0 };
            let Some(fast) = FastPoint::new(&descriptor) else {
                return Ok(());
            };
            let (mut body, mut values) = (Body::new(), Values::new());
            let written = fast.write(&mut body, &mut values, &given, &data_point, end);

            // Without the guarantee, the encoder does not use the fast path.
            let mut slow = ProtobufEncoder::new(&Resource::new());
            let mut family = slow.family(&descriptor, "x", Shape::Gauge, Uniqueness::Unknown);
            slow.point(&mut family, &given, Extra::default(), &data_point, usize::MAX).expect("it is valid");

            let is_short = |(name, value): &(String, String)| {
                !value.is_empty() && 2 + name.len() + 1 + 4 + value.len() <= 0x7f
            };
            match written {
                Some(true) => {
                    prop_assert!(body.len() <= end);
                    let fast = Gauge::decode(body.take(None)).unwrap();
                    prop_assert_eq!(fast.data_points.len(), 1);
                    prop_assert_eq!(fast, Gauge::decode(slow.close_request(None)).unwrap());
                }
                Some(false) => prop_assert!(end < usize::MAX && body.len() == 0),
                None => prop_assert!(body.len() == 0 && !labels.iter().all(is_short)),
            }
        }
    }
}
