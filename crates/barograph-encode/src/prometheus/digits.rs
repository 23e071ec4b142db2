//! A fast path for the digits of small integers, which most numbers on a page are.
//!
//! The digits of an integer below 10^8 fit in one word and are written by one store. The crate `itoa`
//! writes into a buffer of its own, from which they have to be copied by their length; that made a
//! line of a page 8 % slower.

use crate::block_copy::{ChunkBuf, put};

/// Writes an unsigned integer at `at`, and returns the offset behind it.
#[inline(always)]
pub(super) fn put_u64(buf: &mut ChunkBuf, at: u16, value: u64) -> u16 {
    match value < MAX_SHORT {
        true => put_short(buf, at, value),
        false => put_long(buf, at, value),
    }
}

/// Below this limit integers have at most eight digits.
const MAX_SHORT: u64 = 100_000_000;

#[inline(always)]
fn put_short(buf: &mut ChunkBuf, at: u16, value: u64) -> u16 {
    let digits = eight_digits(value);
    // A marker bit in the byte of the last digit keeps one zero if the number is zero.
    let zeros = (digits | 1 << 56).trailing_zeros() & !7;
    let text = (digits | u64::from_ne_bytes([b'0'; 8])) >> zeros;
    put(buf, at, &text.to_le_bytes());
    at.wrapping_add(8 - (zeros / 8) as u16)
}

#[inline(never)]
fn put_long(buf: &mut ChunkBuf, at: u16, value: u64) -> u16 {
    let mut digits = itoa::Buffer::new();
    let text = digits.format(value).as_bytes();
    let from = usize::from(at);
    buf[from..from + text.len()].copy_from_slice(text);
    at.wrapping_add(text.len() as u16)
}

/// Returns the digits of a number below 10^8, the first in the lowest byte.
///
/// The halves are split side by side in one word: one group of 8 digits, two of 4, four of 2, eight
/// of 1. The multipliers are reciprocals that are exact for the range in which they are used.
#[inline(always)]
fn eight_digits(value: u64) -> u64 {
    let fours = (value / 10_000) | ((value % 10_000) << 32);
    let hundreds = ((fours * 10_486) >> 20) & 0x7f_0000_007f;
    let twos = hundreds | ((fours - hundreds * 100) << 16);
    let tens = ((twos * 103) >> 10) & 0x000f_000f_000f_000f;
    tens | ((twos - tens * 10) << 8)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::block_copy::new_chunk;

    fn text(value: u64) -> String {
        let mut buf = new_chunk();
        let end = put_u64(&mut buf, 3, value);
        String::from_utf8(buf[3..usize::from(end)].to_vec()).unwrap()
    }

    #[test]
    fn integers_of_every_length_have_the_digits_that_std_prints() {
        for power in 0..20 {
            let ten = 10_u64.pow(power);
            for value in [ten - 1, ten, ten + 1, ten.wrapping_mul(7) / 3] {
                assert_eq!(text(value), value.to_string());
            }
        }
        for value in (0..MAX_SHORT).step_by(997) {
            assert_eq!(text(value), value.to_string());
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn any_integer_has_the_digits_that_std_prints(value: u64, shift in 0..64_u32) {
            prop_assert_eq!(text(value >> shift), (value >> shift).to_string());
        }
    }
}
