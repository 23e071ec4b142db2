//! HTTP/2 frames written by hand: those that no library would send, too.
//!
//! Source: RFC 9113, "Frame Format", and RFC 7541 of header blocks.

/// The first bytes of a client's connection.
pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// The type of a frame with the body of a message.
pub const DATA: u8 = 0;
/// Of one that begins a header block.
pub const HEADERS: u8 = 1;
/// Of one that says how important a stream is.
pub const PRIORITY: u8 = 2;
/// Of one that ends a stream at once.
pub const RST_STREAM: u8 = 3;
/// Of one that sets what a side can take.
pub const SETTINGS: u8 = 4;
/// Of one that announces a request which was not made.
pub const PUSH_PROMISE: u8 = 5;
/// Of one that asks for an answer.
pub const PING: u8 = 6;
/// Of one that ends the connection.
pub const GOAWAY: u8 = 7;
/// Of one that lets the peer send more.
pub const WINDOW_UPDATE: u8 = 8;
/// Of one that continues a header block.
pub const CONTINUATION: u8 = 9;

/// The flag of the last frame of a message.
pub const END_STREAM: u8 = 1;
/// The flag of settings and pings that answer others.
pub const ACK: u8 = 1;
/// The flag of the last frame of a header block.
pub const END_HEADERS: u8 = 4;
/// The flag of a frame with padding.
pub const PADDED: u8 = 8;

/// The length of what stands before the payload.
pub const HEAD: usize = 9;

/// A frame that was read.
#[derive(Clone, Debug)]
pub struct Frame {
    /// Its type.
    pub kind: u8,
    /// Its flags.
    pub flags: u8,
    /// The stream that it belongs to; 0 is the connection.
    pub stream: u32,
    /// What is in it.
    pub payload: Vec<u8>,
}

impl Frame {
    /// The first frame in these bytes and its length there, if all of it is there.
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

    /// Whether it has a flag.
    pub fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }
}

/// The bytes of a frame.
///
/// # Panics
///
/// When the payload is longer than any can be.
pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("a payload of less than 16 MiB");
    let mut bytes = length.to_be_bytes()[1..].to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// Settings: pairs of an identifier and a value.
pub fn settings(pairs: &[(u16, u32)]) -> Vec<u8> {
    let mut payload = Vec::new();
    for (identifier, value) in pairs {
        payload.extend(identifier.to_be_bytes());
        payload.extend(value.to_be_bytes());
    }
    frame(SETTINGS, 0, 0, &payload)
}

/// Lets the peer send so much more.
pub fn window_update(stream: u32, more: u32) -> Vec<u8> {
    frame(WINDOW_UPDATE, 0, stream, &more.to_be_bytes())
}

/// Ends a stream with an error code.
pub fn reset(stream: u32, code: u32) -> Vec<u8> {
    frame(RST_STREAM, 0, stream, &code.to_be_bytes())
}

/// Ends the connection; streams after the last one were not looked at.
pub fn go_away(last: u32, code: u32, text: &[u8]) -> Vec<u8> {
    let mut payload = last.to_be_bytes().to_vec();
    payload.extend(code.to_be_bytes());
    payload.extend(text);
    frame(GOAWAY, 0, 0, &payload)
}

/// Headers in one frame, each written out.
pub fn headers(flags: u8, stream: u32, fields: &[(&str, &str)]) -> Vec<u8> {
    frame(HEADERS, flags | END_HEADERS, stream, &block(fields))
}

/// A header block, without any table.
pub fn block(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (name, value) in fields {
        // A literal that is not indexed, with a name that is written out.
        bytes.push(0);
        for text in [name, value] {
            integer(&mut bytes, text.len());
            bytes.extend(text.as_bytes());
        }
    }
    bytes
}

/// A number with a prefix of seven bits, the eighth being zero.
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
