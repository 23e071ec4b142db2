//! Formatting of numbers for the text formats.

use std::io::Write as _;

use crate::prometheus::out::Out;
use crate::steps::{Buf, put};

/// The maximum length of a number in bytes.
pub(super) const MAX: usize = 32;

/// A value that is one number.
#[derive(Clone, Copy, Debug)]
pub(super) enum Number {
    U64(u64),
    I64(i64),
    F64(f64),
}

impl Number {
    /// Writes the number at `at`, and returns the offset behind it.
    #[inline(always)]
    pub(super) fn put(self, buf: &mut Buf, at: u16) -> u16 {
        match self {
            Number::U64(value) => put_u64(buf, at, value),
            Number::I64(value) => put_i64(buf, at, value),
            Number::F64(value) => put_f64(buf, at, value),
        }
    }

    /// Writes the number to a page.
    pub(super) fn write(self, out: &mut Out) {
        let (buf, at) = out.reserve(MAX).expect("a number is shorter than a chunk");
        let end = self.put(buf, at);
        out.advance(end);
    }

    /// Appends the number to a text.
    pub(super) fn push(self, text: &mut Vec<u8>) {
        let written = match self {
            Number::U64(value) => write!(text, "{value}"),
            Number::I64(value) => write!(text, "{value}"),
            Number::F64(value) => match whole(value) {
                Some(whole) => write!(text, "{whole}"),
                None => text.write_all(shortest(value, &mut zmij::Buffer::new())),
            },
        };
        written.expect("writing into memory does not fail");
    }
}

/// Writes an unsigned integer.
#[inline(always)]
pub(super) fn put_u64(buf: &mut Buf, at: u16, value: u64) -> u16 {
    match value < E8 {
        true => put_first(buf, at, value),
        false => put_long(buf, at, value),
    }
}

#[inline(never)]
fn put_long(buf: &mut Buf, at: u16, value: u64) -> u16 {
    const E16: u64 = E8 * E8;
    if value < E16 {
        let at = put_first(buf, at, value / E8);
        return put_eight(buf, at, value % E8);
    }
    let at = put_first(buf, at, value / E16);
    let at = put_eight(buf, at, value / E8 % E8);
    put_eight(buf, at, value % E8)
}

const E8: u64 = 100_000_000;

#[inline(never)]
fn put_i64(buf: &mut Buf, at: u16, value: i64) -> u16 {
    put(buf, at, b"-");
    put_u64(
        buf,
        at.wrapping_add(u16::from(value < 0)),
        value.unsigned_abs(),
    )
}

/// Writes the shortest form that parses to the same value.
#[inline(never)]
fn put_f64(buf: &mut Buf, at: u16, value: f64) -> u16 {
    if let Some(whole) = whole(value) {
        return put_i64(buf, at, whole);
    }
    let mut digits = zmij::Buffer::new();
    let text = shortest(value, &mut digits);
    let from = usize::from(at);
    buf[from..from + text.len()].copy_from_slice(text);
    at.wrapping_add(text.len() as u16)
}

/// Returns the value as an integer, if it is one and its digits are its shortest form.
#[inline(always)]
fn whole(value: f64) -> Option<i64> {
    // Below this limit every integer is exact.
    const EXACT: f64 = (1_u64 << 53) as f64;
    let whole = value as i64;
    (whole as f64 == value && value.abs() < EXACT).then_some(whole)
}

fn shortest(value: f64, digits: &mut zmij::Buffer) -> &[u8] {
    let text = if value.is_nan() {
        "NaN"
    } else if value == f64::INFINITY {
        "+Inf"
    } else if value == f64::NEG_INFINITY {
        "-Inf"
    } else {
        digits.format_finite(value)
    };
    text.as_bytes()
}

/// Writes up to eight digits, without leading zeros.
#[inline(always)]
fn put_first(buf: &mut Buf, at: u16, value: u64) -> u16 {
    let digits = eight_digits(value);
    // A marker bit in the byte of the last digit keeps one zero if the number is zero.
    let zeros = (digits | 1 << 56).trailing_zeros() & !7;
    put_word(buf, at, (digits | 0x3030_3030_3030_3030) >> zeros);
    at.wrapping_add(8 - (zeros / 8) as u16)
}

#[inline(always)]
fn put_eight(buf: &mut Buf, at: u16, value: u64) -> u16 {
    put_word(buf, at, eight_digits(value) | 0x3030_3030_3030_3030);
    at.wrapping_add(8)
}

#[inline(always)]
fn put_word(buf: &mut Buf, at: u16, word: u64) {
    put(buf, at, &word.to_le_bytes());
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

/// The text format that is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dialect {
    /// Prometheus' own format. Bounds are formatted as `1`, `0.5`, `1e+06`, as Prometheus' client
    /// libraries do.
    Text,
    /// OpenMetrics. Bounds are canonical numbers: `1.0`, `0.5`, `1e+06`.
    OpenMetrics,
}

/// Formats a bucket's bound as a label value.
pub(super) fn bound(value: f64, dialect: Dialect) -> String {
    if value == f64::INFINITY {
        return "+Inf".into();
    }
    let scientific = format!("{value:e}");
    let (digits, exponent) = scientific
        .split_once('e')
        .expect("a finite number in scientific form has an exponent");
    let exponent: i32 = exponent.parse().expect("the exponent is a whole number");
    if (-4..=5).contains(&exponent) {
        let plain = format!("{value}");
        if dialect == Dialect::OpenMetrics && !plain.contains('.') {
            return plain + ".0";
        }
        return plain;
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{digits}e{sign}{:02}", exponent.unsigned_abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Formats a number by both functions, and checks that they agree.
    fn text(number: Number) -> String {
        let mut out = Out::new();
        number.write(&mut out);
        out.finish();
        let put = out.take_full().concat();
        let mut pushed = Vec::new();
        number.push(&mut pushed);
        assert_eq!(put, pushed);
        String::from_utf8(put).unwrap()
    }

    #[test]
    fn whole_numbers_read_back_at_every_length() {
        let mut values = vec![0, 9, 99_999_999, 100_000_000, i64::MAX as u64, u64::MAX];
        for power in 0..20 {
            let ten = 10_u64.pow(power);
            values.extend([ten - 1, ten, ten + 1, ten.wrapping_mul(7) / 3]);
        }
        for value in values {
            assert_eq!(text(Number::U64(value)), value.to_string());
            let signed = (value as i64).wrapping_neg();
            assert_eq!(text(Number::I64(signed)), signed.to_string());
        }
        for value in 0..100_000_u64 {
            let digits = eight_digits(value * 997 % E8) | 0x3030_3030_3030_3030;
            assert_eq!(
                digits.to_le_bytes(),
                *format!("{:08}", value * 997 % E8).as_bytes()
            );
        }
    }

    #[test]
    fn other_numbers_have_their_shortest_form() {
        for (value, expected) in [
            (0.0, "0"),
            (-0.0, "0"),
            (1.0, "1"),
            (-17.0, "-17"),
            (0.1, "0.1"),
            (1.5e300, "1.5e+300"),
            (f64::NAN, "NaN"),
            (f64::INFINITY, "+Inf"),
            (f64::NEG_INFINITY, "-Inf"),
        ] {
            assert_eq!(text(Number::F64(value)), expected);
        }
        for value in [
            5e-324,
            f64::MIN_POSITIVE,
            f64::MAX,
            2_f64.powi(53),
            -2_f64.powi(63),
            1e22,
        ] {
            assert_eq!(text(Number::F64(value)).parse(), Ok(value));
        }
    }

    #[test]
    fn bounds_are_spelled_as_each_format_wants_them() {
        for (value, text, open_metrics) in [
            (0.0, "0", "0.0"),
            (1.0, "1", "1.0"),
            (0.005, "0.005", "0.005"),
            (0.0001, "0.0001", "0.0001"),
            (0.00001, "1e-05", "1e-05"),
            (2.5, "2.5", "2.5"),
            (100_000.0, "100000", "100000.0"),
            (1e6, "1e+06", "1e+06"),
            (1_048_576.0, "1.048576e+06", "1.048576e+06"),
            (-10.0, "-10", "-10.0"),
            (1e100, "1e+100", "1e+100"),
            (f64::INFINITY, "+Inf", "+Inf"),
        ] {
            assert_eq!(bound(value, Dialect::Text), text);
            assert_eq!(bound(value, Dialect::OpenMetrics), open_metrics);
        }
    }
}
