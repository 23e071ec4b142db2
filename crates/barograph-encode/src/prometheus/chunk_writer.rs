//! A writer of a page in chunks.

use crate::block_copy::{CHUNK, ChunkBuf, new_chunk};

/// A writer that splits a text into chunks.
pub(super) struct ChunkWriter {
    buf: Box<ChunkBuf>,
    at: u16,
    full: Vec<Vec<u8>>,
    spare: Vec<Box<ChunkBuf>>,
}

impl ChunkWriter {
    pub(super) fn new() -> Self {
        ChunkWriter {
            buf: new_chunk(),
            at: 0,
            full: Vec::new(),
            spare: Vec::new(),
        }
    }

    /// Returns a buffer with space for `need` bytes, and the offset at which to write them.
    ///
    /// The bytes count as written only after [`ChunkWriter::advance`]. Returns `None` if `need` exceeds
    /// the size of a chunk.
    #[inline(always)]
    pub(super) fn reserve(&mut self, need: usize) -> Option<(&mut ChunkBuf, u16)> {
        if usize::from(self.at) + need >= CHUNK {
            if need >= CHUNK {
                return None;
            }
            self.begin_chunk();
        }
        Some((&mut self.buf, self.at))
    }

    /// Marks the bytes in front of `at` as written.
    #[inline(always)]
    pub(super) fn advance(&mut self, at: u16) {
        self.at = at;
    }

    /// Writes a text of any length.
    pub(super) fn text(&mut self, mut text: &[u8]) {
        while !text.is_empty() {
            let room = usize::from(u16::MAX - self.at);
            let (now, later) = text.split_at(room.min(text.len()));
            let at = usize::from(self.at);
            self.buf[at..at + now.len()].copy_from_slice(now);
            self.at += now.len() as u16;
            text = later;
            if !text.is_empty() {
                self.begin_chunk();
            }
        }
    }

    /// Ends the current chunk, the last of the page.
    pub(super) fn finish(&mut self) {
        if self.at > 0 {
            self.full.push(self.buf[..usize::from(self.at)].to_vec());
            self.at = 0;
        }
    }

    /// Removes and returns the full chunks, oldest first.
    pub(super) fn take_full(&mut self) -> Vec<Vec<u8>> {
        std::mem::take(&mut self.full)
    }

    /// Takes the memory of a chunk, to reuse it for a later one.
    pub(super) fn reuse(&mut self, mut chunk: Vec<u8>) {
        const SPARE: usize = 2;
        if self.spare.len() < SPARE && chunk.capacity() == size_of::<ChunkBuf>() {
            chunk.resize(size_of::<ChunkBuf>(), 0);
            self.spare.extend(chunk.into_boxed_slice().try_into().ok());
        }
    }

    #[cold]
    #[inline(never)]
    fn begin_chunk(&mut self) {
        let next = self.spare.pop().unwrap_or_else(new_chunk);
        let full = std::mem::replace(&mut self.buf, next);
        let mut full = (full as Box<[u8]>).into_vec();
        full.truncate(usize::from(self.at));
        self.full.push(full);
        self.at = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::block_copy::Literal;

    #[test]
    fn chunks_contain_everything_in_the_order_in_which_it_was_written() {
        let mut out = ChunkWriter::new();
        let mut expected = Vec::new();
        for i in 0..5000_usize {
            let text = vec![b'a' + (i % 26) as u8; i % 97];
            let literal = Literal::new(&text).unwrap();
            assert_eq!(literal.to_vec(), text);
            let (buf, at) = out.reserve(literal.len()).unwrap();
            let end = literal.put(buf, at);
            out.advance(end);
            expected.extend_from_slice(&text);
        }
        out.text(&vec![b'!'; 3 * CHUNK]);
        expected.extend_from_slice(&vec![b'!'; 3 * CHUNK]);
        assert!(out.reserve(CHUNK).is_none());
        out.finish();
        let chunks = out.take_full();
        assert!(chunks.len() > 6 && chunks.iter().all(|chunk| chunk.len() < CHUNK));
        assert_eq!(chunks.concat(), expected);
    }
}
