//! A text in which secrets are looked for, and where one is.

use std::ops::Range;

/// Where a secret is in a view, and what takes its place.
#[derive(Debug)]
pub(super) struct Secret {
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) with: &'static str,
    /// A quote of the text, with its backslashes, that is written around it. It may be empty.
    pub(super) quote: Range<usize>,
}

/// A text as it is, or with percent-encoding undone.
#[derive(Clone, Copy)]
pub(super) struct View<'a> {
    pub(super) bytes: &'a [u8],
    /// Where each byte is in the text, and where the text ends; empty where that is the same.
    pub(super) sources: &'a [usize],
    /// Whether there is `--`.
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

    /// A byte as it may end or quote the value behind the sign.
    #[inline]
    pub(super) fn mark(&self, at: usize, sign: usize) -> Option<u8> {
        let byte = *self.bytes.get(at)?;
        // A backslash that is encoded escapes nothing in the text as it stands.
        let is_data = self.is_encoded(at) && (byte == b'\\' || !self.is_encoded(sign));
        Some(if is_data { b'x' } else { byte })
    }

    /// How many of these marks there are from here on.
    pub(super) fn run(&self, from: usize, sign: usize, is_part: impl Fn(u8) -> bool) -> usize {
        let marks = (from..).map_while(|at| self.mark(at, sign));
        marks.take_while(|mark| is_part(*mark)).count()
    }
}
