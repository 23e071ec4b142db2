//! A fast path for the line of a point with fixed labels and one number.
//!
//! Nearly all lines of a page are of this kind. Only the values and the number differ between the
//! lines of a family, and neither a value that has to be escaped nor an empty one is written here.
//! [`FastLine::write`] is the only way in, and it writes what [`LineWriter`] writes.
//!
//! [`LineWriter`]: crate::prometheus::line::LineWriter

use barograph_model::label::Labels;

use crate::block_copy::{Literal, Values, put};
use crate::prometheus::chunk_writer::ChunkWriter;
use crate::prometheus::label::LabelWriter;
use crate::prometheus::line::Sample;
use crate::prometheus::number::{self, Number};

/// A writer of lines for the points of one family, whose series need no check for duplicates.
pub(super) struct FastLine {
    /// The text from the beginning of the line to the first value.
    open: Literal,
    /// The text behind each value.
    after: Vec<Literal>,
    /// The maximum length of a line without its label values.
    room: usize,
    values: Values,
}

impl FastLine {
    /// Returns `None` if a line of the family may need more than this path writes.
    pub(super) fn new(sample: &Sample, labels: &LabelWriter) -> Option<Self> {
        let pattern = labels.pattern()?;
        let (first, others) = pattern.names.split_first()?;
        let open = Literal::new(&[&*sample.open, &*pattern.constant, first].concat())?;
        let between = others
            .iter()
            .map(|name| Literal::new(&[b"\"", &**name].concat()));
        let after: Vec<Literal> = between
            .chain([Literal::new(b"\"} ")])
            .collect::<Option<_>>()?;
        let room = open.len() + after.iter().map(Literal::len).sum::<usize>() + number::MAX;
        Some(FastLine {
            open,
            after,
            room,
            values: Values::new(),
        })
    }

    /// Writes the line. Returns `None`, without writing, if the values need the slow path.
    #[inline(never)] // On its own, its few variables stay in registers.
    pub(super) fn write(
        &mut self,
        out: &mut ChunkWriter,
        labels: &Labels<'_>,
        number: Number,
    ) -> Option<()> {
        let ends = labels.ends();
        let text = labels.text().as_bytes().get(..usize::from(*ends.last()?))?;
        self.values.load_plain(text)?;
        let (buf, at) = out.reserve(self.room + text.len())?;
        let mut at = self.open.put(buf, at);
        let mut from = 0;
        let mut after = self.after.iter();
        for &end in ends {
            let after = after.next()?;
            // An empty value means no label, so the text around it must not be written either.
            if end <= from || usize::from(end) > text.len() {
                return None;
            }
            at = self.values.put(buf, at, from, end - from);
            at = after.put(buf, at);
            from = end;
        }
        at = number.put(buf, at);
        put(buf, at, b"\n");
        out.advance(at + 1);
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use barograph_model::descriptor::{Descriptor, Kind};
    use barograph_model::label::PackedLabels;
    use barograph_model::snapshot::{Point, Value};
    use proptest::collection::vec;
    use proptest::prelude::*;
    use proptest::sample::select;

    use super::*;
    use crate::prometheus::line::{LineWriter, Style};
    use crate::prometheus::name::{Escaping, Translation};
    use crate::prometheus::number::Dialect;
    use crate::walk::Uniqueness;

    fn finish(mut out: ChunkWriter) -> String {
        out.finish();
        String::from_utf8(out.take_full().concat()).unwrap()
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn a_fast_line_equals_the_line_that_any_point_gets(
            values in vec(prop_oneof!["[ !#-\\[\\]-~]{1,40}", "[ -~]{0,3}", ".{0,3}"], 1..5),
            constant in vec("[ -~]{0,40}", 0..2),
            number in prop_oneof![
                any::<u64>().prop_map(Number::U64),
                any::<i64>().prop_map(Number::I64),
                any::<f64>().prop_map(Number::F64),
            ],
            escaping in select(vec![Escaping::Underscores, Escaping::AllowUtf8]),
        ) {
            let style = Style {
                dialect: Dialect::Text,
                translation: Translation::NoTranslation,
                escaping,
                created: false,
            };
            let mut descriptor = Descriptor::new("x", Kind::Gauge);
            descriptor.label_names = (0..values.len()).map(|i| format!("l.{i}").into()).collect();
            descriptor.constant_labels =
                constant.iter().enumerate().map(|(i, v)| (format!("c{i}").into(), v[..].into())).collect();
            let descriptor = Arc::new(descriptor);
            let mut labels = LabelWriter::new(
                Arc::clone(&descriptor),
                style.translation,
                style.escaping,
                None,
                Uniqueness::Guaranteed,
            );
            let mut packed = PackedLabels::default();
            values.iter().for_each(|value| packed.push(value));
            let given = packed.fixed(&descriptor.label_names);
            let sample = Sample::new("x");

            let mut fast = FastLine::new(&sample, &labels).expect("the labels are fixed");
            let mut fast_out = ChunkWriter::new();
            let written = fast.write(&mut fast_out, &given, number);
            let mut out = ChunkWriter::new();
            let mut content = Vec::new();
            labels.write(&mut content, &Point::new(0, given, Value::Info)).expect("they are valid");
            let mut line = LineWriter {
                out: &mut out,
                content: &content,
                text: &mut Vec::new(),
                style,
            };
            line.line(&sample, b"", number);

            let is_plain = |value: &String| {
                !value.is_empty() && value.bytes().all(|b| matches!(b, b' '..=0x7f if b != b'"' && b != b'\\'))
            };
            prop_assert_eq!(written.is_some(), values.iter().all(is_plain));
            prop_assert_eq!(finish(fast_out), if written.is_some() { finish(out) } else { String::new() });
        }
    }
}
