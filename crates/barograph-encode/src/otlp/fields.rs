//! The fields of a protobuf message.
//!
//! The bytes come from the network or from a disk. Nothing is allocated, nothing recurses, and any other
//! input ends in [`Malformed`].
#![cfg_attr(not(test), warn(clippy::arithmetic_side_effects))]

/// An error: the bytes are not the expected message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

impl std::fmt::Display for Malformed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("not the protobuf message that was expected")
    }
}

impl std::error::Error for Malformed {}

/// The value of a field, as far as it is needed here.
pub(super) enum Value<'a> {
    Number(u64),
    Bytes(&'a [u8]),
    /// Eight bytes, little-endian.
    #[cfg_attr(
        not(feature = "parse"),
        expect(dead_code, reason = "only requests have times")
    )]
    Fixed64(u64),
    /// Four bytes.
    Fixed32,
}

/// An iterator over the fields of a message, as field numbers and values. Ends after the first
/// error.
pub(super) struct Fields<'a>(pub(super) &'a [u8]);

impl<'a> Iterator for Fields<'a> {
    type Item = Result<(u64, Value<'a>), Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_none() {
            self.0 = &[];
        }
        Some(field.ok_or(Malformed))
    }
}

impl<'a> Fields<'a> {
    fn field(&mut self) -> Option<(u64, Value<'a>)> {
        let tag = self.varint()?;
        let value = match tag & 7 {
            0 => Value::Number(self.varint()?),
            1 => Value::Fixed64(u64::from_le_bytes(*self.bytes(8)?.first_chunk()?)),
            2 => {
                let length = usize::try_from(self.varint()?).ok()?;
                Value::Bytes(self.bytes(length)?)
            }
            5 => self.bytes(4).map(|_| Value::Fixed32)?,
            // Groups, which OTLP does not use.
            _ => return None,
        };
        let number = tag >> 3;
        (1..=MAX_FIELD).contains(&number).then_some((number, value))
    }

    fn varint(&mut self) -> Option<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let (&byte, rest) = self.0.split_first()?;
            self.0 = rest;
            // The tenth byte holds a single bit.
            if shift == 63 && byte > 1 {
                return None;
            }
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(value);
            }
        }
        None
    }

    fn bytes(&mut self, length: usize) -> Option<&'a [u8]> {
        let (bytes, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(bytes)
    }
}

/// The highest valid field number.
///
/// Source: the Protocol Buffers language guide, "Assigning Field Numbers".
const MAX_FIELD: u64 = (1 << 29) - 1;
