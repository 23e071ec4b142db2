//! Label lookups with masked 32-byte loads, on processors that have them.
//!
//! Labels are short texts of varying length. Without masks a reader has to branch on the length, and if
//! label sets come in random order the processor cannot predict the branch. A masked load takes any
//! text up to 32 bytes in one step, and reads nothing outside of it: bytes that the mask leaves out are
//! not touched, wherever they are.
//!
//! The hash is a round of AES on each text under a key for its position, and one on all of them
//! together. It differs from the portable hash, so a process chooses once, by [`is_there`], for all of
//! its families; a registry can ask for the portable one.

#![expect(
    unsafe_code,
    reason = "loads by pointer and mask, and code for wider processors"
)]

use std::arch::x86_64::*;

use crate::series::{Series, packed_ends};
use crate::sync::hash;
use crate::sync::table::Table;

/// Returns true if this processor has the instructions that this module needs.
pub(crate) fn is_there() -> bool {
    is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512vl")
        && is_x86_feature_detected!("vaes")
        && is_x86_feature_detected!("bmi2")
}

/// The bytes in one load.
const STEP: usize = 32;

/// Returns the series with exactly these pieces of text.
///
/// # Safety
/// [`is_there`] returned true, and the table holds addresses of series with N pieces that live for
/// `'t`.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,vaes,aes,bmi2")]
#[inline]
pub(crate) unsafe fn find<'t, const N: usize>(
    table: &'t Table,
    pieces: &[&str; N],
    seed: u64,
) -> Option<&'t Series> {
    let (ends, _) = packed_ends(pieces);
    // If each piece is shorter than a step, all together are far shorter than a key can be.
    if pieces.iter().fold(0, |or, piece| or | piece.len()) >= STEP || N > 64 {
        // SAFETY: the caller's promise.
        return unsafe { find_long(table, pieces, seed) };
    }
    let mut texts = [_mm256_setzero_si256(); N];
    let mut sum = _mm256_setzero_si256();
    for i in 0..N {
        texts[i] = load(pieces[i].as_bytes());
        sum = _mm256_xor_si256(sum, mix(texts[i], i, seed));
    }
    for address in table.walk(finish(sum, ends, seed)) {
        // SAFETY: the caller's promise.
        let series = unsafe { series_at(address) };
        let Some(mut theirs) = series.text_if_ends_are(pieces, ends) else {
            continue;
        };
        let mut differ = _mm256_setzero_si256();
        for i in 0..N {
            let len = pieces[i].len();
            // SAFETY: the lengths are equal, so as much text follows.
            let mine = unsafe { std::slice::from_raw_parts(theirs, len) };
            differ = _mm256_or_si256(differ, _mm256_xor_si256(texts[i], load(mine)));
            // SAFETY: as above.
            theirs = unsafe { theirs.add(len) };
        }
        if _mm256_testz_si256(differ, differ) == 1 {
            return Some(series);
        }
    }
    None
}

/// Returns the series if a piece does not fit into one load.
///
/// # Safety
/// As for [`find`].
#[cold]
#[inline(never)]
unsafe fn find_long<'t, const N: usize>(
    table: &'t Table,
    pieces: &[&str; N],
    seed: u64,
) -> Option<&'t Series> {
    for address in table.walk(hash(pieces.iter().copied(), seed)) {
        // SAFETY: the caller's promise.
        let series = unsafe { series_at(address) };
        if series.is(pieces) {
            return Some(series);
        }
    }
    None
}

/// # Safety
/// The address is that of a series that lives for `'t`.
#[inline(always)]
unsafe fn series_at<'t>(address: u64) -> &'t Series {
    let series = std::ptr::with_exposed_provenance::<Series>(address as usize);
    // SAFETY: the caller's promise.
    unsafe { &*series }
}

/// Returns the hash that [`find`] looks for.
pub(crate) fn hash<'a>(pieces: impl Iterator<Item = &'a str>, seed: u64) -> u64 {
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,vaes,aes,bmi2")]
    fn all<'a>(pieces: impl Iterator<Item = &'a str>, seed: u64) -> u64 {
        let (mut sum, mut ends, mut end) = (_mm256_setzero_si256(), 0, 0);
        for (i, piece) in pieces.enumerate() {
            let (first, rest) = piece.as_bytes().split_at(piece.len().min(STEP));
            let mut state = mix(load(first), i, seed);
            for step in rest.chunks(STEP) {
                // Twice, since a step must not undo the one before.
                state = _mm256_xor_si256(mix(state, i, seed), load(step));
                state = mix(state, i, seed);
            }
            sum = _mm256_xor_si256(sum, state);
            end += piece.len();
            ends ^= (end as u64).rotate_left(16 * (i as u32 % 4));
        }
        finish(sum, ends, seed)
    }
    assert!(is_there());
    // SAFETY: see the line above.
    unsafe { all(pieces, seed) }
}

/// Loads a text of at most 32 bytes, with zeros after its end.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,bmi2")]
#[inline]
fn load(text: &[u8]) -> __m256i {
    debug_assert!(text.len() <= STEP);
    // A length of 32 sets all bits.
    let mask = _bzhi_u32(u32::MAX, text.len() as u32);
    // SAFETY: the mask leaves out what lies behind the end, and a masked load does not touch it.
    unsafe { _mm256_maskz_loadu_epi8(mask, text.as_ptr().cast()) }
}

/// Applies one round to a text under the seed and its position.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,vaes,aes")]
#[inline]
fn mix(text: __m256i, place: usize, seed: u64) -> __m256i {
    // A constant for each position and lane.
    let lane =
        |i: u64| (hash::seed_of(place, 0) ^ i.wrapping_mul(0xd6e8_feb8_6659_fd93)).cast_signed();
    let place = _mm256_set_epi64x(lane(1), lane(2), lane(3), lane(4));
    let seed = _mm256_set1_epi64x(seed.cast_signed());
    _mm256_aesenc_epi128(_mm256_xor_si256(_mm256_xor_si256(text, seed), place), seed)
}

/// Applies one more round to both halves together, and to the ends of the texts: now each bit of the
/// hash depends on each byte of the text.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,vaes,aes")]
#[inline]
fn finish(sum: __m256i, ends: u64, seed: u64) -> u64 {
    let (low, high) = (
        _mm256_castsi256_si128(sum),
        _mm256_extracti128_si256::<1>(sum),
    );
    let ends = _mm_set1_epi64x(ends.cast_signed());
    let both = _mm_xor_si128(_mm_xor_si128(low, ends), high);
    let key = _mm_set1_epi64x(seed.rotate_left(32).cast_signed());
    _mm_cvtsi128_si64(_mm_aesenc_si128(both, key)).cast_unsigned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nearby_texts_have_distant_hashes() {
        if !is_there() {
            return;
        }
        let mut seen = std::collections::HashSet::new();
        let (mut low, mut high) = (0, u64::MAX);
        for i in 0..100_000 {
            let (a, b) = (format!("/api/v1/{}", i / 10), format!("{}", i % 10));
            let hash = hash([&*a, &*b].into_iter(), 7);
            assert!(seen.insert(hash));
            (low, high) = (low | hash, high & hash);
        }
        assert_eq!((low, high), (u64::MAX, 0), "no bit stands still");
        let hash = |pieces: &[&str]| hash(pieces.iter().copied(), 7);
        assert_ne!(hash(&["ab", "c"]), hash(&["a", "bc"]));
        assert_ne!(hash(&["a", "b"]), hash(&["b", "a"]));
        assert_ne!(hash(&["", "a"]), hash(&["a", ""]));
        let long = "x".repeat(100);
        assert_ne!(hash(&[&long]), hash(&[&long[1..]]));
        assert_ne!(hash(&[&long, ""]), hash(&["", &long]));
    }
}
