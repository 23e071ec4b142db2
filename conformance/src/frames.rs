//! HTTP/2 frames written by hand, including those that no library would send.
//!
//! Source: RFC 9113, "Frame Format", and RFC 7541 for header blocks.

/// The first bytes of a client's connection.
pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// The DATA frame: the body of a message.
pub const DATA: u8 = 0;
/// The HEADERS frame: begins a header block.
pub const HEADERS: u8 = 1;
/// The PRIORITY frame: the priority of a stream.
pub const PRIORITY: u8 = 2;
/// The RST_STREAM frame: ends a stream at once.
pub const RST_STREAM: u8 = 3;
/// The SETTINGS frame: the limits of one side.
pub const SETTINGS: u8 = 4;
/// The PUSH_PROMISE frame: announces a server push.
pub const PUSH_PROMISE: u8 = 5;
/// The PING frame: asks for an acknowledgement.
pub const PING: u8 = 6;
/// The GOAWAY frame: ends the connection.
pub const GOAWAY: u8 = 7;
/// The WINDOW_UPDATE frame: lets the peer send more.
pub const WINDOW_UPDATE: u8 = 8;
/// The CONTINUATION frame: continues a header block.
pub const CONTINUATION: u8 = 9;

/// The flag of the last frame of a message.
pub const END_STREAM: u8 = 1;
/// The flag of SETTINGS and PING frames that acknowledge others.
pub const ACK: u8 = 1;
/// The flag of the last frame of a header block.
pub const END_HEADERS: u8 = 4;
/// The flag of a frame with padding.
pub const PADDED: u8 = 8;

/// The length of a frame header.
pub const HEAD: usize = 9;

/// A frame that was read.
#[derive(Clone, Debug)]
pub struct Frame {
    /// The frame type.
    pub kind: u8,
    /// The frame flags.
    pub flags: u8,
    /// The id of the stream; 0 is the connection.
    pub stream: u32,
    /// The payload.
    pub payload: Vec<u8>,
}

impl Frame {
    /// Parses the first frame in these bytes, and returns it with its length if it is complete.
    pub fn parse(bytes: &[u8]) -> Option<(Self, usize)> {
        let (head, rest) = bytes.split_at_checked(HEAD)?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
        let frame = Self {
            kind: head[3],
            flags: head[4],
            stream: u32::from_be_bytes([head[5], head[6], head[7], head[8]]) & (u32::MAX >> 1),
            payload: rest.get(..length)?.to_vec(),
        };
        Some((frame, HEAD + length))
    }

    /// Returns true if the flag is set.
    pub fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }
}

/// Encodes a frame.
///
/// # Panics
///
/// Panics if the payload is longer than a frame can be.
pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("a payload of less than 16 MiB");
    let mut bytes = length.to_be_bytes()[1..].to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// Encodes a SETTINGS frame with these pairs of an identifier and a value.
pub fn settings(pairs: &[(u16, u32)]) -> Vec<u8> {
    let mut payload = Vec::new();
    for (identifier, value) in pairs {
        payload.extend(identifier.to_be_bytes());
        payload.extend(value.to_be_bytes());
    }
    frame(SETTINGS, 0, 0, &payload)
}

/// Encodes a WINDOW_UPDATE frame that lets the peer send this number of bytes more.
pub fn window_update(stream: u32, more: u32) -> Vec<u8> {
    frame(WINDOW_UPDATE, 0, stream, &more.to_be_bytes())
}

/// Encodes a RST_STREAM frame with an error code.
pub fn reset(stream: u32, code: u32) -> Vec<u8> {
    frame(RST_STREAM, 0, stream, &code.to_be_bytes())
}

/// Encodes a GOAWAY frame; streams after `last` were not processed.
pub fn go_away(last: u32, code: u32, text: &[u8]) -> Vec<u8> {
    let mut payload = last.to_be_bytes().to_vec();
    payload.extend(code.to_be_bytes());
    payload.extend(text);
    frame(GOAWAY, 0, 0, &payload)
}

/// Encodes a HEADERS frame with all headers as literals.
pub fn headers(flags: u8, stream: u32, fields: &[(&str, &str)]) -> Vec<u8> {
    frame(HEADERS, flags | END_HEADERS, stream, &block(fields))
}

/// Encodes a header block that does not use any table.
pub fn block(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (name, value) in fields {
        // A literal without indexing, with a literal name.
        bytes.push(0);
        for text in [name, value] {
            integer(&mut bytes, text.len());
            bytes.extend(text.as_bytes());
        }
    }
    bytes
}

/// Encodes an integer with a prefix of seven bits; the eighth bit is zero.
fn integer(bytes: &mut Vec<u8>, value: usize) {
    const PREFIX: usize = 127;
    if value < PREFIX {
        bytes.push(value as u8);
        return;
    }
    bytes.push(PREFIX as u8);
    let mut rest = value - PREFIX;
    while rest >= 128 {
        bytes.push((rest % 128) as u8 | 128);
        rest /= 128;
    }
    bytes.push(rest as u8);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_read_as_it_was_written() {
        let bytes = frame(PING, ACK, 3, b"12345678");
        let (parsed, length) = Frame::parse(&bytes).expect("a whole frame");
        assert_eq!(length, bytes.len());
        assert_eq!((parsed.kind, parsed.stream), (PING, 3));
        assert!(parsed.has(ACK) && !parsed.has(PADDED));
        assert_eq!(parsed.payload, b"12345678");
        assert!(Frame::parse(&bytes[..bytes.len() - 1]).is_none());
    }

    #[test]
    fn long_values_have_a_length_of_several_bytes() {
        // Source: RFC 7541, C.1.2, with a prefix of seven bits.
        let mut bytes = Vec::new();
        integer(&mut bytes, 1337);
        assert_eq!(bytes, [127, 0b1011_1010, 9]);
    }
}
