//! Numbers, as the text formats spell them.

/// The most bytes that any number takes, the slack of a fast write included.
pub(super) const MAX: usize = 48;

/// Writes a whole number at `at`, and gives the place behind it.
///
/// Up to [`MAX`] bytes from `at` on must be there; what lies behind the digits may be overwritten.
#[inline]
pub(super) fn put_u64(buf: &mut [u8], at: usize, value: u64) -> usize {
    const E8: u64 = 100_000_000;
    const E16: u64 = E8 * E8;
    if value < E8 {
        return put_first(buf, at, value);
    }
    if value < E16 {
        let at = put_first(buf, at, value / E8);
        return put_eight(buf, at, value % E8);
    }
    let at = put_first(buf, at, value / E16);
    let at = put_eight(buf, at, value / E8 % E8);
    put_eight(buf, at, value % E8)
}

/// Writes a whole number with its sign, as [`put_u64`].
#[inline]
pub(super) fn put_i64(buf: &mut [u8], at: usize, value: i64) -> usize {
    buf[at] = b'-';
    put_u64(buf, at + usize::from(value < 0), value.unsigned_abs())
}

/// Writes any number in the shortest form that reads back the same, as [`put_u64`].
#[inline]
pub(super) fn put_f64(buf: &mut [u8], at: usize, value: f64) -> usize {
    // Below this every whole number is exact, and digits alone are the shortest form.
    const EXACT: f64 = (1_u64 << 53) as f64;
    let whole = value as i64;
    if whole as f64 == value && value.abs() < EXACT {
        return put_i64(buf, at, whole);
    }
    put_fraction(buf, at, value)
}

#[inline(never)]
fn put_fraction(buf: &mut [u8], at: usize, value: f64) -> usize {
    let mut shortest = zmij::Buffer::new();
    let text = if value.is_nan() {
        "NaN"
    } else if value == f64::INFINITY {
        "+Inf"
    } else if value == f64::NEG_INFINITY {
        "-Inf"
    } else {
        shortest.format_finite(value)
    };
    buf[at..at + text.len()].copy_from_slice(text.as_bytes());
    at + text.len()
}

/// Up to eight digits, without leading zeros.
#[inline(always)]
fn put_first(buf: &mut [u8], at: usize, value: u64) -> usize {
    let digits = eight_digits(value);
    // A mark in the last digit's byte keeps one zero of a number that is zero.
    let zeros = (digits | 1 << 56).trailing_zeros() & !7;
    put_word(buf, at, (digits | 0x3030_3030_3030_3030) >> zeros);
    at + 8 - (zeros / 8) as usize
}

#[inline(always)]
fn put_eight(buf: &mut [u8], at: usize, value: u64) -> usize {
    put_word(buf, at, eight_digits(value) | 0x3030_3030_3030_3030);
    at + 8
}

#[inline(always)]
fn put_word(buf: &mut [u8], at: usize, word: u64) {
    buf[at..at + 8].copy_from_slice(&word.to_le_bytes());
}

/// The digits of a number below 10^8, the first in the lowest byte.
///
/// Halves are split side by side in one word: 8 digits, two times 4, four times 2, eight times 1.
/// The factors are reciprocals, exact for the range they meet.
#[inline(always)]
fn eight_digits(value: u64) -> u64 {
    let fours = (value / 10_000) | ((value % 10_000) << 32);
    let hundreds = ((fours * 10_486) >> 20) & 0x7f_0000_007f;
    let twos = hundreds | ((fours - hundreds * 100) << 16);
    let tens = ((twos * 103) >> 10) & 0x000f_000f_000f_000f;
    tens | ((twos - tens * 10) << 8)
}

/// Which of the two text formats is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dialect {
    /// Prometheus' own. Bounds are spelled `1`, `0.5`, `1e+06`, as its exposers do.
    Text,
    /// OpenMetrics. Bounds are its canonical numbers: `1.0`, `0.5`, `1e+06`.
    OpenMetrics,
}

/// A bucket's bound as a label value.
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

    fn f64_text(value: f64) -> String {
        let mut buf = [b'?'; MAX];
        let end = put_f64(&mut buf, 0, value);
        String::from_utf8(buf[..end].to_vec()).unwrap()
    }

    #[test]
    fn whole_numbers_read_back_at_every_length() {
        let mut values = vec![0, 9, 99_999_999, 100_000_000, i64::MAX as u64, u64::MAX];
        for power in 0..20 {
            let ten = 10_u64.pow(power);
            values.extend([ten - 1, ten, ten + 1, ten.wrapping_mul(7) / 3]);
        }
        for value in values {
            let mut buf = [b'?'; MAX];
            let end = put_u64(&mut buf, 1, value);
            assert_eq!(std::str::from_utf8(&buf[1..end]), Ok(&*value.to_string()));
        }
        for value in 0..100_000_u64 {
            let mut buf = [b'?'; MAX];
            let end = put_u64(&mut buf, 0, value * 997 % 100_000_000);
            assert_eq!(
                buf[..end],
                *(value * 997 % 100_000_000).to_string().as_bytes()
            );
        }
    }

    #[test]
    fn other_numbers_have_their_shortest_form() {
        for (value, text) in [
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
            assert_eq!(f64_text(value), text);
        }
        for value in [
            5e-324,
            f64::MIN_POSITIVE,
            f64::MAX,
            2_f64.powi(53),
            -2_f64.powi(63),
            1e22,
        ] {
            assert_eq!(f64_text(value).parse(), Ok(value));
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
