//! Formatting of numbers for the text formats.

use std::io::Write as _;

use crate::block_copy::{ChunkBuf, put};
use crate::prometheus::chunk_writer::ChunkWriter;
use crate::prometheus::digits::put_u64;

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
    pub(super) fn put(self, buf: &mut ChunkBuf, at: u16) -> u16 {
        match self {
            Number::U64(value) => put_u64(buf, at, value),
            Number::I64(value) => put_i64(buf, at, value),
            Number::F64(value) => put_f64(buf, at, value),
        }
    }

    /// Writes the number to a page.
    pub(super) fn write(self, out: &mut ChunkWriter) {
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

/// Writes a signed integer.
#[inline(never)]
fn put_i64(buf: &mut ChunkBuf, at: u16, value: i64) -> u16 {
    put(buf, at, b"-");
    put_u64(
        buf,
        at.wrapping_add(u16::from(value < 0)),
        value.unsigned_abs(),
    )
}

/// Writes the shortest form that parses to the same value.
#[inline(never)]
fn put_f64(buf: &mut ChunkBuf, at: u16, value: f64) -> u16 {
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
        let mut out = ChunkWriter::new();
        number.write(&mut out);
        out.finish();
        let put = out.take_full().concat();
        let mut pushed = Vec::new();
        number.push(&mut pushed);
        assert_eq!(put, pushed);
        String::from_utf8(put).unwrap()
    }

    #[test]
    fn integers_of_every_length_are_formatted_as_std_does() {
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
    fn bounds_are_formatted_as_each_format_requires() {
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
