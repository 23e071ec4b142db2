//! Hashes of label values: seeded for each process, computed from whole words, never used as an
//! identity.
//!
//! Label values can come from clients, so the seed is random: a client cannot choose values that
//! collide. Two label sets are the same only if their contents are equal (see `table`).

#![expect(
    unsafe_code,
    reason = "short strings are read in whole, overlapping words"
)]

use std::hash::{BuildHasher, RandomState};
use std::sync::OnceLock;

const K0: u64 = 0x9e37_79b9_7f4a_7c15;
const K1: u64 = 0xd6e8_feb8_6659_fd93;
const K2: u64 = 0xa076_1d64_78bd_642f;

/// Returns the seed of this process.
pub(crate) fn seed() -> u64 {
    static SEED: OnceLock<u64> = OnceLock::new();
    *SEED.get_or_init(|| RandomState::new().hash_one(K0) | 1)
}

/// Folds the 128-bit product of two words into one word.
#[inline(always)]
pub(crate) fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a).wrapping_mul(u128::from(b));
    product as u64 ^ (product >> 64) as u64
}

/// Returns the hash of pieces of text in their order.
#[inline(always)]
pub(crate) fn pieces<const N: usize>(pieces: &[&str; N], seed: u64) -> u64 {
    let mut hash = seed;
    for (i, piece) in pieces.iter().enumerate() {
        // Each piece is hashed by itself, so that the multiplications do not wait for each other.
        hash = hash.rotate_left(23) ^ text(piece.as_bytes(), seed_of(i, seed));
    }
    fold(hash ^ K2, seed ^ K1)
}

/// Returns the hash of pieces that come with an index, which is not hashed. It is finished by `words`.
#[inline(always)]
pub(crate) fn placed<const N: usize>(pieces: &[(usize, &str); N], seed: u64) -> u64 {
    let mut hash = seed;
    for (i, (_, piece)) in pieces.iter().enumerate() {
        hash = hash.rotate_left(23) ^ text(piece.as_bytes(), seed_of(i, seed));
    }
    hash
}

/// Returns the hash of any number of pieces; it equals that of `pieces`.
pub(crate) fn any_pieces<'a>(pieces: impl Iterator<Item = &'a str>, seed: u64) -> u64 {
    let mut hash = seed;
    for (i, piece) in pieces.enumerate() {
        hash = hash.rotate_left(23) ^ text(piece.as_bytes(), seed_of(i, seed));
    }
    fold(hash ^ K2, seed ^ K1)
}

/// Returns a separate seed for each position, so that swapping two pieces changes the hash.
#[inline(always)]
pub(crate) fn seed_of(place: usize, seed: u64) -> u64 {
    seed ^ K0.wrapping_mul(place as u64 + 1)
}

/// Mixes numbers into the hash of text.
#[inline(always)]
pub(crate) fn words<const N: usize>(words: &[u64; N], mut hash: u64) -> u64 {
    for word in words {
        hash = fold(hash ^ word, K2);
    }
    hash
}

#[inline(always)]
fn text(text: &[u8], seed: u64) -> u64 {
    let len = text.len();
    if len > 16 {
        return long(text, seed);
    }
    let (a, b) = if len >= 8 {
        (word(text, 0), word(text, len - 8))
    } else if len >= 4 {
        (half(text, 0), half(text, len - 4))
    } else if len > 0 {
        let byte = |i: usize| u64::from(byte(text, i));
        (byte(0) << 16 | byte(len / 2) << 8 | byte(len - 1), 0)
    } else {
        (0, 0)
    };
    fold(a ^ seed, b ^ K1 ^ len as u64)
}

#[inline]
fn long(text: &[u8], seed: u64) -> u64 {
    let (len, mut at) = (text.len(), 0);
    let mut hash = seed ^ len as u64;
    while at + 16 < len {
        hash = fold(word(text, at) ^ hash, word(text, at + 8) ^ K1);
        at += 16;
    }
    fold(word(text, len - 16) ^ hash, word(text, len - 8) ^ K2)
}

/// Reads eight bytes from `at` on; the caller has checked the length.
#[inline(always)]
fn word(text: &[u8], at: usize) -> u64 {
    debug_assert!(at + 8 <= text.len());
    // SAFETY: all callers check the length first.
    let from = unsafe { text.as_ptr().add(at) };
    // SAFETY: as above.
    u64::from_le_bytes(unsafe { from.cast::<[u8; 8]>().read_unaligned() })
}

/// Reads four bytes from `at` on; the caller has checked the length.
#[inline(always)]
fn half(text: &[u8], at: usize) -> u64 {
    debug_assert!(at + 4 <= text.len());
    // SAFETY: all callers check the length first.
    let from = unsafe { text.as_ptr().add(at) };
    // SAFETY: as above.
    u64::from(u32::from_le_bytes(unsafe {
        from.cast::<[u8; 4]>().read_unaligned()
    }))
}

/// Reads one byte; the caller has checked the length.
#[inline(always)]
fn byte(text: &[u8], at: usize) -> u8 {
    debug_assert!(at < text.len());
    // SAFETY: all callers check the length first.
    unsafe { *text.get_unchecked(at) }
}

/// Returns true if two texts are equal. Short texts, such as most labels, are compared without a call.
#[inline(always)]
pub(crate) fn equal(a: &[u8], b: &[u8]) -> bool {
    let len = a.len();
    if len != b.len() {
        return false;
    }
    if len > 16 {
        let mut at = 0;
        while at + 8 < len {
            if word(a, at) != word(b, at) {
                return false;
            }
            at += 8;
        }
        return word(a, len - 8) == word(b, len - 8);
    }
    if len >= 8 {
        return (word(a, 0) ^ word(b, 0)) | (word(a, len - 8) ^ word(b, len - 8)) == 0;
    }
    if len >= 4 {
        return (half(a, 0) ^ half(b, 0)) | (half(a, len - 4) ^ half(b, len - 4)) == 0;
    }
    let same = |i: usize| byte(a, i) == byte(b, i);
    len == 0 || same(0) & same(len / 2) & same(len - 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn equal_is_equality(a in ".{0,40}", b in ".{0,40}", cut in 0usize..40) {
            prop_assert!(equal(a.as_bytes(), a.clone().as_bytes()));
            prop_assert_eq!(equal(a.as_bytes(), b.as_bytes()), a == b);
            // One byte differs.
            let mut c = a.clone().into_bytes();
            if let Some(byte) = c.get_mut(cut) {
                *byte ^= 1;
                prop_assert!(!equal(a.as_bytes(), &c));
            }
        }

        #[test]
        fn both_ways_to_hash_agree(a in ".{0,40}", b in ".{0,40}", c in ".{0,40}") {
            let list = [&*a, &*b, &*c];
            prop_assert_eq!(pieces(&list, 7), any_pieces(list.into_iter(), 7));
        }
    }

    #[test]
    fn where_one_piece_ends_and_the_next_begins_matters() {
        assert_ne!(pieces(&["ab", "c"], 7), pieces(&["a", "bc"], 7));
        assert_ne!(pieces(&["a", "b"], 7), pieces(&["b", "a"], 7));
        assert_ne!(pieces(&["", "a"], 7), pieces(&["a", ""], 7));
    }
}
