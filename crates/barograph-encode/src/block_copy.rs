//! Copies of short texts in blocks of a fixed size.
//!
//! The output consists of many short texts, and a call to `memcpy` for each costs more than the
//! bytes. So texts are copied in blocks of a fixed size, which the compiler turns into plain loads
//! and stores; the excess bytes of a block are overwritten by the next text.
//!
//! A block does not check bounds either: a chunk is an array with spare bytes behind every 16-bit
//! offset, so the compiler removes the check. The caller reserves space first; if an offset did
//! wrap around, it would corrupt the text, not memory.

/// The text of one chunk, followed by space for the excess bytes of the last block.
pub(crate) type ChunkBuf = [u8; CHUNK + BLOCK];

/// The size of a chunk, in bytes.
pub(crate) const CHUNK: usize = 1 << u16::BITS;

/// The maximum number of bytes that are copied at once.
pub(crate) const BLOCK: usize = 32;

/// Allocates a zeroed chunk.
pub(crate) fn new_chunk() -> Box<ChunkBuf> {
    let zeros = vec![0; size_of::<ChunkBuf>()].into_boxed_slice();
    zeros.try_into().expect("the length is that of the array")
}

/// Writes a text of fixed size at `at`.
#[inline(always)]
pub(crate) fn put<const N: usize>(buf: &mut ChunkBuf, at: u16, text: &[u8; N]) {
    const { assert!(N <= BLOCK) };
    let at = usize::from(at);
    buf[at..at + N].copy_from_slice(text);
}

/// A text that is written many times, prepared for copying in blocks.
#[derive(Clone, Debug, Default)]
pub(crate) struct Literal {
    first: [u8; BLOCK],
    len: u16,
    rest: Vec<[u8; BLOCK]>,
}

impl Literal {
    /// Prepares a text. Returns `None` if it does not fit in a chunk.
    pub(crate) fn new(text: &[u8]) -> Option<Self> {
        let mut literal = Literal::default();
        literal.set(text)?;
        Some(literal)
    }

    /// Replaces the text. Returns `None` if it does not fit in a chunk.
    pub(crate) fn set(&mut self, text: &[u8]) -> Option<()> {
        self.len = u16::try_from(text.len()).ok()?;
        let (blocks, end) = text.as_chunks();
        let mut last = [0; BLOCK];
        last[..end.len()].copy_from_slice(end);
        self.rest.clear();
        match blocks {
            [] => self.first = last,
            [first, rest @ ..] => {
                self.first = *first;
                self.rest.extend_from_slice(rest);
                self.rest.push(last);
            }
        }
        Some(())
    }

    pub(crate) fn len(&self) -> usize {
        usize::from(self.len)
    }

    pub(crate) fn to_vec(&self) -> Vec<u8> {
        let mut text = [&self.first[..], self.rest.as_flattened()].concat();
        text.truncate(self.len());
        text
    }

    /// Writes the text at `at`, and returns the offset behind it.
    #[inline(always)]
    pub(crate) fn put(&self, buf: &mut ChunkBuf, at: u16) -> u16 {
        put(buf, at, &self.first);
        if usize::from(self.len) > BLOCK {
            let mut next = at;
            for block in &self.rest {
                next = next.wrapping_add(BLOCK as u16);
                put(buf, next, block);
            }
        }
        at.wrapping_add(self.len)
    }
}

/// A buffer that holds the label values of a series, so that they can be copied in blocks.
///
/// The values arrive as one text of arbitrary length, and a block would read past its end.
pub(crate) struct Values {
    text: [u8; MAX_VALUES + BLOCK],
}

/// The maximum length of the label values that the buffer holds.
pub(crate) const MAX_VALUES: usize = 1024;

impl Values {
    pub(crate) fn new() -> Self {
        Values {
            text: [0; MAX_VALUES + BLOCK],
        }
    }

    /// Loads a text that needs no escaping. Returns `None` if the text is too long, or contains bytes
    /// other than printable ASCII without `"` and `\`.
    ///
    /// The check costs next to nothing here, so no earlier check has to be trusted.
    #[inline(always)]
    pub(crate) fn load_plain(&mut self, text: &[u8]) -> Option<()> {
        if text.len() > MAX_VALUES {
            return None;
        }
        let (windows, rest) = text.as_chunks::<WINDOW>();
        let (loaded, _) = self.text.as_chunks_mut::<WINDOW>();
        for (window, loaded) in windows.iter().zip(loaded) {
            // Returning from inside the loop also keeps the compiler from splitting it in two.
            if !is_plain_window(window) {
                return None;
            }
            *loaded = *window;
        }
        if rest.is_empty() {
            return Some(());
        }
        let (last, at) = match text.last_chunk::<WINDOW>() {
            Some(window) => (*window, text.len() - WINDOW),
            None => {
                let mut last = [b' '; WINDOW];
                for (last, byte) in last.iter_mut().zip(rest) {
                    *last = *byte;
                }
                (last, 0)
            }
        };
        let at = at & (MAX_VALUES - 1);
        self.text[at..at + WINDOW].copy_from_slice(&last);
        is_plain_window(&last).then_some(())
    }

    /// Loads a text without checking its contents. Returns `None` if it is too long.
    #[inline(always)]
    pub(crate) fn load(&mut self, text: &[u8]) -> Option<()> {
        if text.len() > MAX_VALUES {
            return None;
        }
        let (windows, rest) = text.as_chunks::<WINDOW>();
        let (loaded, _) = self.text.as_chunks_mut::<WINDOW>();
        for (window, loaded) in windows.iter().zip(loaded) {
            *loaded = *window;
        }
        let at = text.len() - rest.len();
        self.text[at..text.len()].copy_from_slice(rest);
        Some(())
    }

    /// Writes the value of `len` bytes that begins at `from`, and returns the offset behind it.
    #[inline(always)]
    pub(crate) fn put(&self, buf: &mut ChunkBuf, at: u16, from: u16, len: u16) -> u16 {
        put(buf, at, self.window(from));
        if usize::from(len) > WINDOW {
            let mut done = WINDOW as u16;
            while done < len {
                put(
                    buf,
                    at.wrapping_add(done),
                    self.window(from.wrapping_add(done)),
                );
                done += WINDOW as u16;
            }
        }
        at.wrapping_add(len)
    }

    #[inline(always)]
    fn window(&self, from: u16) -> &[u8; WINDOW] {
        let from = usize::from(from) & (MAX_VALUES - 1);
        self.text[from..]
            .first_chunk()
            .expect("a block follows every offset below the maximum")
    }
}

/// Returns true if all bytes of the window are printable ASCII other than `"` and `\`.
#[inline(always)]
pub(crate) fn is_plain_window(window: &[u8; WINDOW]) -> bool {
    let mut bad = [0; WINDOW];
    for (bad, byte) in bad.iter_mut().zip(window) {
        // As signed numbers, non-ASCII bytes are also below the space.
        let is_bad = (*byte as i8) < 0x20 || *byte == b'"' || *byte == b'\\';
        *bad = if is_bad { 0xff } else { 0 };
    }
    u128::from_ne_bytes(bad) == 0
}

/// The number of bytes that are checked at once.
pub(crate) const WINDOW: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_every_length_are_copied_completely() {
        let text: Vec<u8> = (0..100).map(|i| b'0' + i % 40).collect();
        let mut values = Values::new();
        for len in [0, 1, 15, 16, 17, 31, 32, 33, 99] {
            values.load_plain(&text[..len]).unwrap();
            for from in 0..=len {
                for end in from..=len {
                    let mut buf = new_chunk();
                    let at = values.put(&mut buf, 7, from as u16, (end - from) as u16);
                    assert_eq!(
                        buf[7..usize::from(at)],
                        text[from..end],
                        "{from}..{end} of {len}"
                    );
                }
            }
        }
        let long = vec![b'x'; MAX_VALUES];
        values.load_plain(&long).unwrap();
        let mut buf = new_chunk();
        let at = values.put(&mut buf, 0, 0, MAX_VALUES as u16);
        assert_eq!(buf[..usize::from(at)], *long);
        assert_eq!(values.load_plain(&[b'x'; MAX_VALUES + 1]), None);
    }

    #[test]
    fn only_text_that_needs_no_escaping_is_loaded() {
        let mut values = Values::new();
        for len in 0..70 {
            let plain = vec![b'~'; len];
            assert!(values.load_plain(&plain).is_some(), "{len}");
            for at in 0..len {
                for bad in [b'"', b'\\', b'\n', 0, 0x1f, 0x80, 0xff] {
                    let mut text = plain.clone();
                    text[at] = bad;
                    assert!(values.load_plain(&text).is_none(), "{bad} at {at} of {len}");
                }
            }
        }
        let printable: Vec<u8> = (b' '..=b'~').filter(|b| !b"\"\\".contains(b)).collect();
        assert!(values.load_plain(&printable).is_some());
    }
}
