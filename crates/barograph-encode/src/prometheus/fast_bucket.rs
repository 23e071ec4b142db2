//! A fast path for the bucket lines of a histogram without exemplars.
//!
//! The lines of one point differ only in the bound and the count.

use crate::block_copy::{Literal, put};
use crate::prometheus::chunk_writer::ChunkWriter;
use crate::prometheus::digits::put_u64;
use crate::prometheus::number;

/// Writes the line of a bucket: `prefix` ends in front of the bound, `end` begins with it. Returns
/// `None`, without writing, if the line does not fit in a chunk.
#[inline(always)]
pub(super) fn write(
    out: &mut ChunkWriter,
    prefix: &Literal,
    end: &Literal,
    count: u64,
) -> Option<()> {
    let (buf, at) = out.reserve(prefix.len() + end.len() + number::MAX)?;
    let at = prefix.put(buf, at);
    let at = end.put(buf, at);
    let at = put_u64(buf, at, count);
    put(buf, at, b"\n");
    out.advance(at + 1);
    Some(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::prometheus::number::Number;

    fn finish(mut out: ChunkWriter) -> Vec<u8> {
        out.finish();
        out.take_full().concat()
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn a_fast_line_equals_its_parts_written_in_turn(
            prefix in "[ -~]{0,100}",
            end in "[ -~]{0,40}",
            counts: Vec<u64>,
        ) {
            let (mut fast, mut slow) = (ChunkWriter::new(), ChunkWriter::new());
            let literals = [&prefix, &end].map(|text| Literal::new(text.as_bytes()).unwrap());
            for count in counts {
                write(&mut fast, &literals[0], &literals[1], count).expect("it fits in a chunk");
                for text in [&prefix, &end] {
                    slow.text(text.as_bytes());
                }
                Number::U64(count).write(&mut slow);
                slow.text(b"\n");
            }
            prop_assert_eq!(finish(fast), finish(slow));
        }
    }
}
