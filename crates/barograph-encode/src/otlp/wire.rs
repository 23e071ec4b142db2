//! The part of protobuf's wire format that OTLP needs.
//!
//! Short messages are written into a `Vec` at once. The long ones around them are opened with space
//! for a length of four bytes, which is filled in when they are closed; it is longer than the
//! shortest form, but every decoder accepts it.
//!
//! Source: Protocol Buffers, "Encoding".

use bytes::{Bytes, BytesMut};

use crate::block_copy::{CHUNK, ChunkBuf, new_chunk};

/// Returns the key of a length-delimited field: a string, bytes or a message.
pub(super) const fn len_key(field: u8) -> u8 {
    field << 3 | 2
}

/// Returns the key of a field of eight bytes (fixed64, double).
pub(super) const fn i64_key(field: u8) -> u8 {
    field << 3 | 1
}

/// Returns the key of a field of four bytes (fixed32).
pub(super) const fn i32_key(field: u8) -> u8 {
    field << 3 | 5
}

/// Returns the key of a varint field.
pub(super) const fn varint_key(field: u8) -> u8 {
    field << 3
}

/// Writes a varint.
pub(super) fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Returns the number of bytes that [`varint`] takes.
pub(super) fn varint_len(value: usize) -> usize {
    (value | 1).ilog2() as usize / 7 + 1
}

/// Writes a string field, or nothing if the string is empty: both mean the same.
pub(super) fn text(out: &mut Vec<u8>, key: u8, text: &str) {
    if !text.is_empty() {
        bytes(out, key, text.as_bytes());
    }
}

/// Writes a field that holds bytes, or a message that is already encoded.
pub(super) fn bytes(out: &mut Vec<u8>, key: u8, bytes: &[u8]) {
    out.push(key);
    varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// Writes a field of eight bytes.
pub(super) fn fixed64(out: &mut Vec<u8>, key: u8, value: [u8; 8]) {
    out.push(key);
    out.extend_from_slice(&value);
}

/// Writes a field of four bytes.
pub(super) fn fixed32(out: &mut Vec<u8>, key: u8, value: [u8; 4]) {
    out.push(key);
    out.extend_from_slice(&value);
}

/// Writes a varint field, or nothing if the number is 0: both mean the same.
pub(super) fn number(out: &mut Vec<u8>, key: u8, number: u64) {
    if number > 0 {
        out.push(key);
        varint(out, number);
    }
}

/// Writes a field that holds the message that `write` writes.
///
/// Most messages are short, so one byte is reserved for the length; a longer message is moved.
pub(super) fn message(out: &mut Vec<u8>, key: u8, write: impl FnOnce(&mut Vec<u8>)) {
    out.push(key);
    let at = out.len();
    out.push(0);
    write(out);
    let end = out.len();
    let mut len = end - at - 1;
    let more = varint_len(len) - 1;
    if more > 0 {
        out.resize(end + more, 0);
        out.copy_within(at + 1..end, at + 1 + more);
    }
    for byte in &mut out[at..at + more] {
        *byte = len as u8 | 0x80;
        len >>= 7;
    }
    out[at + more] = len as u8;
}

/// Writes an attribute (`KeyValue`) with a string value.
pub(super) fn attribute(out: &mut Vec<u8>, key: u8, name: &str, value: &str) {
    let any = 1 + varint_len(value.len()) + value.len();
    let pair = 1 + varint_len(name.len()) + name.len() + 1 + varint_len(any) + any;
    out.push(key);
    varint(out, pair as u64);
    bytes(out, len_key(1), name.as_bytes());
    out.push(len_key(2));
    varint(out, any as u64);
    // An empty string is a value too, so it is written.
    bytes(out, len_key(1), value.as_bytes());
}

/// Writes an attribute whose value is `true`.
pub(super) fn flag(out: &mut Vec<u8>, key: u8, name: &str) {
    let mut pair = Vec::new();
    bytes(&mut pair, len_key(1), name.as_bytes());
    bytes(&mut pair, len_key(2), &[varint_key(2), 1]);
    bytes(out, key, &pair);
}

/// The body of a request being written: full chunks are appended to the finished part.
pub(super) struct Body {
    chunk: Box<ChunkBuf>,
    at: u16,
    done: BytesMut,
}

/// A message that is open.
#[derive(Clone, Copy)]
pub(super) struct OpenMessage {
    from: usize,
}

/// The number of bytes reserved for the length of an open message.
const LENGTH_SIZE: usize = 4;

impl Body {
    pub(super) fn new() -> Self {
        Body {
            chunk: new_chunk(),
            at: 0,
            done: BytesMut::new(),
        }
    }

    /// Returns the number of bytes written so far.
    #[inline(always)]
    pub(super) fn len(&self) -> usize {
        self.done.len() + usize::from(self.at)
    }

    /// Returns a chunk with space for `need` bytes, and the offset at which to write them; see
    /// [`steps`](crate::block_copy). Returns `None` if `need` exceeds the size of a chunk.
    #[inline(always)]
    pub(super) fn reserve(&mut self, need: usize) -> Option<(&mut ChunkBuf, u16)> {
        if usize::from(self.at) + need >= CHUNK {
            if need >= CHUNK {
                return None;
            }
            self.flush();
        }
        Some((&mut self.chunk, self.at))
    }

    /// Marks the bytes in front of `at` as written.
    #[inline(always)]
    pub(super) fn advance(&mut self, at: u16) {
        self.at = at;
    }

    /// Writes bytes of any length.
    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        if let Some((chunk, at)) = self.reserve(bytes.len()) {
            let from = usize::from(at);
            chunk[from..from + bytes.len()].copy_from_slice(bytes);
            self.at = at + bytes.len() as u16;
        } else {
            self.flush();
            self.done.extend_from_slice(bytes);
        }
    }

    /// Writes a field that holds a message that is already encoded.
    pub(super) fn field(&mut self, key: u8, message: &[u8]) {
        let mut head = [key, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        let (mut len, mut at) = (message.len(), 1);
        while len >= 0x80 {
            head[at] = len as u8 | 0x80;
            len >>= 7;
            at += 1;
        }
        head[at] = len as u8;
        self.bytes(&head[..=at]);
        self.bytes(message);
    }

    /// Opens a message.
    pub(super) fn open(&mut self, key: u8) -> OpenMessage {
        self.bytes(&[key, 0, 0, 0, 0]);
        OpenMessage { from: self.len() }
    }

    /// Closes the innermost open message.
    pub(super) fn close(&mut self, open: OpenMessage) {
        self.flush();
        let mut len = self.done.len() - open.from;
        let length = &mut self.done[open.from - LENGTH_SIZE..open.from];
        for (i, byte) in length.iter_mut().enumerate() {
            *byte = (len & 0x7f) as u8 | if i + 1 < LENGTH_SIZE { 0x80 } else { 0 };
            len >>= 7;
        }
    }

    /// Returns everything written. The next request reuses the memory of `used`, if nothing else
    /// refers to it.
    pub(super) fn take(&mut self, used: Option<Bytes>) -> Bytes {
        self.flush();
        let mut next = used
            .and_then(|used| used.try_into_mut().ok())
            .unwrap_or_default();
        next.clear();
        std::mem::replace(&mut self.done, next).freeze()
    }

    /// Discards unfinished output, and frees its memory.
    pub(super) fn discard(&mut self) {
        self.at = 0;
        self.done = BytesMut::new();
    }

    #[cold]
    #[inline(never)]
    fn flush(&mut self) {
        self.done
            .extend_from_slice(&self.chunk[..usize::from(self.at)]);
        self.at = 0;
    }
}
