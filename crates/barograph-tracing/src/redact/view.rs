//! A text that is searched for secrets, and the position of a secret.

use std::ops::Range;

/// The position of a secret in a view, and its replacement.
#[derive(Debug)]
pub(super) struct Secret {
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) with: &'static str,
    /// A quote of the text, with its backslashes, that is written around the replacement. May be empty.
    pub(super) quote: Range<usize>,
}

/// A text as it is, or with percent-encoding decoded.
#[derive(Clone, Copy)]
pub(super) struct View<'a> {
    pub(super) bytes: &'a [u8],
    /// The position of each byte in the original text, and its end; empty if they are the same.
    pub(super) sources: &'a [usize],
    /// True if the text contains `--`.
    pub(super) has_flags: bool,
}

impl View<'_> {
    #[inline]
    pub(super) fn source(&self, at: usize) -> usize {
        self.sources.get(at).copied().unwrap_or(at)
    }

    #[inline]
    fn is_encoded(&self, at: usize) -> bool {
        match self.sources.get(at..at + 2) {
            Some(&[start, end]) => end - start > 1,
            _ => false,
        }
    }

    /// Returns a byte for the parser of a value after the sign; `x` if the byte is only data there.
    #[inline]
    pub(super) fn mark(&self, at: usize, sign: usize) -> Option<u8> {
        #[cfg(test)]
        super::work::count();
        let byte = *self.bytes.get(at)?;
        // An encoded backslash escapes nothing in the original text.
        let is_data = self.is_encoded(at) && (byte == b'\\' || !self.is_encoded(sign));
        Some(if is_data { b'x' } else { byte })
    }

    /// Returns the number of consecutive marks of this class from here on.
    pub(super) fn run(&self, from: usize, sign: usize, is_part: impl Fn(u8) -> bool) -> usize {
        let marks = (from..).map_while(|at| self.mark(at, sign));
        marks.take_while(|mark| is_part(*mark)).count()
    }
}
