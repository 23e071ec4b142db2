//! Lower-case hexadecimal digits, eight at a time.
//!
//! Eight digits are the bytes of one word: they are read, checked and written with word arithmetic,
//! without a table and without a branch. No step carries from one byte into the next.

/// Reads eight digits as a number. The second value is zero if all of them are valid.
#[inline]
fn read8(digits: [u8; 8]) -> (u32, u64) {
    let text = u64::from_be_bytes(digits);
    // Among valid digits, the letters are those with the bit of 0x40.
    let letters = text >> 6 & ONES;
    let nibbles = (text & (0x0f * ONES)) + 9 * letters;
    // Valid digits are spelled again as they were read; a `g` would be, too, were it not more than 15.
    let wrong = (spell(nibbles) ^ text) | (nibbles & (0xf0 * ONES));
    let pairs = (nibbles | nibbles >> 4) & 0x00ff_00ff_00ff_00ff;
    let quads = (pairs | pairs >> 8) & 0x0000_ffff_0000_ffff;
    ((quads | quads >> 16) as u32, wrong)
}

/// Returns the digits of a number.
#[inline]
fn write8(number: u32) -> [u8; 8] {
    let quads = u64::from(number);
    let quads = (quads | quads << 16) & 0x0000_ffff_0000_ffff;
    let pairs = (quads | quads << 8) & 0x00ff_00ff_00ff_00ff;
    spell((pairs | pairs << 4) & (0x0f * ONES)).to_be_bytes()
}

/// Returns the digits of numbers below 16, one in each byte. Nothing carries for numbers below 25.
#[inline]
fn spell(nibbles: u64) -> u64 {
    let letters = (nibbles + 6 * ONES) >> 4 & ONES;
    nibbles + u64::from(b'0') * ONES + u64::from(b'a' - b'9' - 1) * letters
}

/// A one in each byte.
const ONES: u64 = u64::MAX / 0xff;

/// A reader of digits that remembers whether all were valid, so that one branch at the end is enough.
#[derive(Clone, Copy)]
pub(crate) struct Digits {
    wrong: u64,
}

impl Digits {
    pub(crate) const fn new() -> Self {
        Digits { wrong: 0 }
    }

    #[inline]
    pub(crate) fn read8(&mut self, digits: [u8; 8]) -> u32 {
        let (number, wrong) = read8(digits);
        self.wrong |= wrong;
        number
    }

    #[inline]
    pub(crate) fn read16(&mut self, digits: [u8; 16]) -> u64 {
        let [high, low] = halves(digits);
        u64::from(self.read8(high)) << 32 | u64::from(self.read8(low))
    }

    #[inline]
    pub(crate) fn read32(&mut self, digits: [u8; 32]) -> u128 {
        let [high, low] = halves(digits);
        u128::from(self.read16(high)) << 64 | u128::from(self.read16(low))
    }

    /// Returns true if everything that was read was a lower-case digit.
    #[inline]
    pub(crate) fn are_fine(self) -> bool {
        self.wrong == 0
    }
}

/// Reads one digit to as many as a number of 128 bits has, in any case.
pub(crate) fn read_short(digits: &[u8]) -> Option<u128> {
    if !(1..=32).contains(&digits.len()) {
        return None;
    }
    digits.iter().try_fold(0, |number, digit| {
        let digit = char::from(*digit).to_digit(16)?;
        Some(number << 4 | u128::from(digit))
    })
}

/// Returns the sixteen digits of a number.
#[inline]
pub(crate) fn write16(number: u64) -> [u8; 16] {
    let mut digits = [0; 16];
    let (high, low) = digits.split_at_mut(8);
    high.copy_from_slice(&write8((number >> 32) as u32));
    low.copy_from_slice(&write8(number as u32));
    digits
}

/// Returns the thirty-two digits of a number.
#[inline]
pub(crate) fn write32(number: u128) -> [u8; 32] {
    let mut digits = [0; 32];
    let (high, low) = digits.split_at_mut(16);
    high.copy_from_slice(&write16((number >> 64) as u64));
    low.copy_from_slice(&write16(number as u64));
    digits
}

#[inline]
fn halves<const N: usize, const HALF: usize>(digits: [u8; N]) -> [[u8; HALF]; 2] {
    const { assert!(N == 2 * HALF) };
    let mut halves = [[0; HALF]; 2];
    halves[0].copy_from_slice(&digits[..HALF]);
    halves[1].copy_from_slice(&digits[HALF..]);
    halves
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        let mut number = 1_u128;
        for _ in 0..1_000 {
            number = number.wrapping_mul(0x2d99_787d_5ab5_3a4d_9d1c_2f4b_6e0f_8c35) ^ number >> 61;
            let text = write32(number);
            assert_eq!(text, format!("{number:032x}").as_bytes());
            let mut digits = Digits::new();
            assert_eq!(digits.read32(text), number);
            assert!(digits.are_fine());
        }
    }

    #[test]
    fn short_numbers_are_read_too() {
        assert_eq!(read_short(b"aBc"), Some(0xabc));
        assert_eq!(read_short(&[b'f'; 32]), Some(u128::MAX));
        for wrong in [&b""[..], &[b'0'; 33], b"g", b"-1", b"+1", b" 1", b"\xff"] {
            assert_eq!(read_short(wrong), None);
        }
    }

    #[test]
    fn each_byte_in_each_place_is_a_digit_or_not() {
        for byte in 0..=u8::MAX {
            let value = match byte {
                b'0'..=b'9' => Some(byte - b'0'),
                b'a'..=b'f' => Some(byte - b'a' + 10),
                _ => None,
            };
            for place in 0..8 {
                // Neighbors that would show a carry.
                for around in [b'0', b'f'] {
                    let mut text = [around; 8];
                    text[place] = byte;
                    let mut digits = Digits::new();
                    let number = digits.read8(text);
                    assert_eq!(digits.are_fine(), value.is_some(), "{byte:#x} at {place}");
                    if value.is_some() {
                        assert_eq!(format!("{number:08x}").as_bytes(), text);
                    }
                }
            }
        }
    }
}
