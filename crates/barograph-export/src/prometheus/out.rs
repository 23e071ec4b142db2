//! The chunks that a page is written into.
//!
//! A line is made of many short pieces, and a call to `memcpy` for each costs more than the bytes.
//! So short pieces are copied in steps of a fixed size, which the compiler turns into plain loads
//! and stores; what a step writes too much is overwritten by the next piece. The buffer therefore
//! has to have room for a step more than the text: whoever writes asks for it first.

/// The size of a chunk, in bytes. A chunk is bigger only where a single piece is.
pub(super) const CHUNK: usize = 64 * 1024;

/// Text on its way into chunks.
pub(super) struct Out {
    buf: Vec<u8>,
    at: usize,
    full: Vec<Vec<u8>>,
    spare: Vec<Vec<u8>>,
}

impl Out {
    pub(super) fn new() -> Self {
        Out {
            buf: Vec::new(),
            at: 0,
            full: Vec::new(),
            spare: Vec::new(),
        }
    }

    /// A buffer with room for `need` bytes from the place on that is given too.
    ///
    /// Nothing counts as written until [`Out::advance`] says so.
    #[inline]
    pub(super) fn reserve(&mut self, need: usize) -> (&mut [u8], usize) {
        if self.buf.len() - self.at < need {
            self.turn(need);
        }
        (&mut self.buf, self.at)
    }

    /// Takes what stands in front of `at` as written.
    #[inline]
    pub(super) fn advance(&mut self, at: usize) {
        self.at = at;
    }

    /// Writes a text of any length.
    pub(super) fn text(&mut self, text: &[u8]) {
        let (buf, at) = self.reserve(text.len());
        let end = at + text.len();
        buf[at..end].copy_from_slice(text);
        self.advance(end);
    }

    /// Ends the chunk that is being written.
    pub(super) fn finish_chunk(&mut self) {
        let mut chunk = std::mem::take(&mut self.buf);
        chunk.truncate(self.at);
        self.at = 0;
        if !chunk.is_empty() {
            self.full.push(chunk);
        }
    }

    /// The chunks that are full, first come first.
    pub(super) fn take_full(&mut self) -> std::vec::Drain<'_, Vec<u8>> {
        self.full.drain(..)
    }

    /// Gives a chunk's memory back for the next.
    pub(super) fn reuse(&mut self, mut chunk: Vec<u8>) {
        const SPARE: usize = 2;
        if self.spare.len() < SPARE && chunk.capacity() == CHUNK {
            chunk.resize(CHUNK, 0);
            self.spare.push(chunk);
        }
    }

    #[cold]
    #[inline(never)]
    fn turn(&mut self, need: usize) {
        self.finish_chunk();
        self.buf = match self.spare.pop() {
            Some(chunk) if chunk.len() >= need => chunk,
            _ => vec![0; need.max(CHUNK)],
        };
    }
}

/// A constant piece of text, ready to be copied in steps.
#[derive(Clone, Debug)]
pub(super) struct Fragment {
    first: [u8; STEP],
    more: Box<[[u8; STEP]]>,
    len: usize,
}

impl Fragment {
    pub(super) fn new(text: &[u8]) -> Self {
        let mut steps = text.chunks(STEP).map(|chunk| {
            let mut step = [0; STEP];
            step[..chunk.len()].copy_from_slice(chunk);
            step
        });
        Fragment {
            first: steps.next().unwrap_or([0; STEP]),
            more: steps.collect(),
            len: text.len(),
        }
    }

    /// The room it needs: whole steps.
    pub(super) fn room(&self) -> usize {
        (1 + self.more.len()) * STEP
    }

    /// Writes it at `at`, and gives the place behind it.
    #[inline(always)]
    pub(super) fn put(&self, buf: &mut [u8], at: usize) -> usize {
        buf[at..at + STEP].copy_from_slice(&self.first);
        let mut next = at + STEP;
        for step in &self.more {
            buf[next..next + STEP].copy_from_slice(step);
            next += STEP;
        }
        at + self.len
    }
}

/// Fills `text` up to whole steps, and says how long it was.
pub(super) fn pad(text: &mut Vec<u8>) -> usize {
    let len = text.len();
    text.resize(len.next_multiple_of(STEP), 0);
    len
}

/// Writes the first `len` bytes of a text that [`pad`] has filled up.
#[inline(always)]
pub(super) fn put_padded(buf: &mut [u8], at: usize, padded: &[u8], len: usize) -> usize {
    let mut next = at;
    for step in padded.chunks_exact(STEP) {
        buf[next..next + STEP].copy_from_slice(step);
        next += STEP;
    }
    at + len
}

/// The label values of a series, ready to be copied in steps.
pub(super) struct Values<'a>(&'a [u8]);

/// The fewest bytes that values can be copied from.
pub(super) const WINDOW: usize = 16;

impl<'a> Values<'a> {
    /// `short` holds the text when it is shorter than a step.
    #[inline(always)]
    pub(super) fn new(text: &'a [u8], short: &'a mut [u8; WINDOW]) -> Self {
        if text.len() >= WINDOW {
            return Values(text);
        }
        short[..text.len()].copy_from_slice(text);
        Values(short)
    }

    /// Whether all of it can stand on a page as it is: printable ASCII without `"` and `\`.
    ///
    /// This is as quick as asking whether somebody has looked before, and needs no trust.
    #[inline(always)]
    pub(super) fn are_plain(text: &[u8]) -> bool {
        let (windows, rest) = text.as_chunks::<WINDOW>();
        let mut bad = 0;
        for window in windows {
            bad |= bad_bytes(window);
        }
        if !rest.is_empty() {
            match text.last_chunk::<WINDOW>() {
                Some(window) => bad |= bad_bytes(window),
                None => rest.iter().for_each(|byte| bad |= bad_byte(*byte)),
            }
        }
        bad == 0
    }

    /// Writes the value between two places of the text, and gives the place behind it.
    #[inline(always)]
    pub(super) fn put(&self, buf: &mut [u8], at: usize, from: usize, end: usize) -> usize {
        let last = self.0.len() - WINDOW;
        let (mut read, mut next) = (from, at);
        loop {
            let start = read.min(last);
            let window: [u8; WINDOW] = *self.0[start..]
                .first_chunk()
                .expect("a window fits from `last` on, and `start` is not past it");
            // Near the end of the text the window starts before the value, which is moved down.
            let shift = 8 * (read - start) as u32;
            let word = u128::from_le_bytes(window).wrapping_shr(shift);
            buf[next..next + WINDOW].copy_from_slice(&word.to_le_bytes());
            read += WINDOW;
            next += WINDOW;
            if read >= end {
                return at + (end - from);
            }
        }
    }
}

#[inline(always)]
fn bad_bytes(window: &[u8; WINDOW]) -> u8 {
    window.iter().fold(0, |bad, byte| bad | bad_byte(*byte))
}

#[inline(always)]
fn bad_byte(byte: u8) -> u8 {
    // As a signed number all but ASCII is below the space too.
    u8::from((byte as i8) < 0x20) | u8::from(byte == b'"') | u8::from(byte == b'\\')
}

const STEP: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_every_length_come_out_whole() {
        let text: Vec<u8> = (0..100).map(|i| b'0' + i % 75).collect();
        for len in [0, 1, 15, 16, 17, 31, 32, 33, 99] {
            let mut short = [0; WINDOW];
            let values = Values::new(&text[..len], &mut short);
            for from in 0..=len {
                for end in from..=len {
                    let mut buf = [b'?'; 256];
                    let at = values.put(&mut buf, 7, from, end);
                    assert_eq!(buf[7..at], text[from..end], "{from}..{end} of {len}");
                }
            }
        }
    }

    #[test]
    fn plain_text_is_told_from_what_needs_a_look() {
        for len in 0..70 {
            let plain = vec![b'~'; len];
            assert!(Values::are_plain(&plain), "{len}");
            for at in 0..len {
                for bad in [b'"', b'\\', b'\n', 0, 0x1f, 0x80, 0xff] {
                    let mut text = plain.clone();
                    text[at] = bad;
                    assert!(!Values::are_plain(&text), "{bad} at {at} of {len}");
                }
            }
        }
    }

    #[test]
    fn chunks_hold_what_was_written_in_order() {
        let mut out = Out::new();
        let mut expected = Vec::new();
        for i in 0..5000_usize {
            let text = vec![b'a' + (i % 26) as u8; i % 97];
            let (buf, at) = out.reserve(97 + 64);
            let end = Fragment::new(&text).put(buf, at);
            out.advance(end);
            expected.extend_from_slice(&text);
        }
        out.text(&vec![b'!'; 3 * CHUNK]);
        expected.extend_from_slice(&vec![b'!'; 3 * CHUNK]);
        out.finish_chunk();
        let chunks: Vec<Vec<u8>> = out.take_full().collect();
        assert!(chunks.len() > 4);
        assert_eq!(chunks.concat(), expected);
    }
}
