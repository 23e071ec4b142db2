//! The format of requests in a segment, and the search for them in a damaged one.
//!
//! ```text
//! segment  MAGIC 8 | version 2 | 0 2 | CRC of these 4 | record ...
//! record   MARK 4 | body's length 4 | items 8 | signal 1 | encoding 1 | 0 2 | CRC of the body 4 |
//!          CRC of all this, of the segment's salt and of the place in the segment 4 | body
//! ```
//!
//! Numbers are little-endian, checksums are CRC-32C. The header has its own checksum, so a damaged
//! body is skipped by a length that can be trusted, and the number of lost items is known. If the
//! header is damaged, the next record is searched for byte by byte. Bytes inside a body that look like
//! a record, by chance or because someone put them into a label, are not accepted as one: they would
//! have to contain the salt, which is a random number, and their own position.

use std::error::Error;
use std::fmt;
use std::ops::Range;

use bytes::Bytes;
use crc32c::{crc32c, crc32c_append};

use barograph_encode::otlp::{Encoding, Request, Signal};

/// An element of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// A whole record.
    Record(Record),
    /// Bytes that are not a record, or no longer are.
    Damage(Damage),
}

/// A whole record: its position and its properties.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record {
    /// The position of its first byte in the segment.
    pub at: usize,
    /// The position after its last byte.
    pub end: usize,
    /// The number of data points, spans or log records in it.
    pub items: u64,
    /// The signal of the request.
    pub signal: Signal,
    /// The encoding of its body.
    pub encoding: Encoding,
}

impl Record {
    /// Returns the range of its body in the segment.
    pub fn body(&self) -> Range<usize> {
        self.at + HEADER..self.end
    }
}

/// Bytes that are not a record, or no longer are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Damage {
    /// The position of the first of them in the segment.
    pub at: usize,
    /// The position after the last of them.
    pub end: usize,
    /// The number of items of the record that was here, if its header is whole.
    pub items: Option<u64>,
    /// True if this is the end of the segment, as an unfinished write leaves it.
    pub is_tail: bool,
}

/// The error for a segment that a newer version wrote, which only that version can read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NewerVersion {
    /// The version of its format.
    pub version: u16,
}

impl fmt::Display for NewerVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let version = self.version;
        write!(f, "a segment of version {version}, expected {VERSION}")
    }
}

impl Error for NewerVersion {}

/// Finds the records of a segment, whatever its bytes are. The salt is part of the segment's name.
///
/// # Errors
/// [`NewerVersion`] if the segment is sound and a newer version wrote it.
pub fn scan(salt: u64, segment: &[u8]) -> Result<Vec<Found>, NewerVersion> {
    if let Some(version) = version(segment)
        && version > VERSION
    {
        return Err(NewerVersion { version });
    }
    let mut found = Vec::new();
    let mut at = SEGMENT_HEADER;
    while at < segment.len() {
        let Some(header) = Header::read(salt, at as u64, &segment[at..]) else {
            let end = next_header(salt, at + 1, segment);
            found.push(Found::Damage(Damage {
                at,
                end: end.unwrap_or(segment.len()),
                items: None,
                is_tail: end.is_none(),
            }));
            at = end.unwrap_or(segment.len());
            continue;
        };
        // The record may be longer than the segment, if the segment was cut off here.
        let end = at.saturating_add(header.record_length());
        found.push(match header.record(&segment[at..]) {
            Some((signal, encoding)) => Found::Record(Record {
                at,
                end,
                items: header.items,
                signal,
                encoding,
            }),
            None => Found::Damage(Damage {
                at,
                end: end.min(segment.len()),
                items: Some(header.items),
                is_tail: end >= segment.len(),
            }),
        });
        at = end;
    }
    Ok(found)
}

/// Returns the header of a segment.
pub(super) fn segment_header() -> [u8; SEGMENT_HEADER] {
    let mut header = [0; SEGMENT_HEADER];
    header[..8].copy_from_slice(&MAGIC);
    header[8..10].copy_from_slice(&VERSION.to_le_bytes());
    let crc = crc32c(&header[..12]);
    header[12..].copy_from_slice(&crc.to_le_bytes());
    header
}

/// Returns the header of the record for a request that is written at this position.
pub(super) fn header(salt: u64, at: u64, request: &Request) -> [u8; HEADER] {
    let length = u32::try_from(request.body.len()).expect("no longer than MAX_BODY");
    let mut header = [0; HEADER];
    header[..4].copy_from_slice(&MARK);
    header[4..8].copy_from_slice(&length.to_le_bytes());
    header[8..16].copy_from_slice(&request.items.to_le_bytes());
    header[16] = match request.signal {
        Signal::Metrics => 0,
        Signal::Traces => 1,
        Signal::Logs => 2,
    };
    header[17] = match request.encoding {
        Encoding::Protobuf => 0,
        Encoding::Json => 1,
    };
    header[20..24].copy_from_slice(&crc32c(&request.body).to_le_bytes());
    let crc = header_crc(salt, at, &header);
    header[24..].copy_from_slice(&crc.to_le_bytes());
    header
}

/// Parses the record that was at this position in the segment when it was scanned, from its own bytes.
pub(super) fn reread(salt: u64, at: u64, bytes: Bytes) -> Option<Request> {
    let header = Header::read(salt, at, &bytes)?;
    let (signal, encoding) = header.record(&bytes)?;
    Some(Request {
        signal,
        encoding,
        body: bytes.slice(HEADER..header.record_length()),
        items: header.items,
    })
}

/// The header of a record, as it was written.
struct Header {
    body_length: usize,
    items: u64,
    signal: u8,
    encoding: u8,
    body_crc: u32,
}

impl Header {
    /// Parses the header at the start of `bytes`, which are at the position `at` in the segment.
    fn read(salt: u64, at: u64, bytes: &[u8]) -> Option<Self> {
        let header: &[u8; HEADER] = bytes.first_chunk()?;
        let items = u64::from_le_bytes(part(header, 8));
        let is_sound = header.starts_with(&MARK)
            && items <= MAX_ITEMS
            && header_crc(salt, at, header) == u32::from_le_bytes(part(header, 24));
        is_sound.then(|| Header {
            body_length: u32::from_le_bytes(part(header, 4)) as usize,
            items,
            signal: header[16],
            encoding: header[17],
            body_crc: u32::from_le_bytes(part(header, 20)),
        })
    }

    fn record_length(&self) -> usize {
        HEADER.saturating_add(self.body_length)
    }

    /// Returns the signal and the encoding of the request, if the record is whole.
    fn record(&self, bytes: &[u8]) -> Option<(Signal, Encoding)> {
        let body = bytes.get(HEADER..self.record_length())?;
        let signal = match self.signal {
            0 => Signal::Metrics,
            1 => Signal::Traces,
            2 => Signal::Logs,
            _ => return None,
        };
        let encoding = match self.encoding {
            0 => Encoding::Protobuf,
            1 => Encoding::Json,
            _ => return None,
        };
        (crc32c(body) == self.body_crc).then_some((signal, encoding))
    }
}

/// Returns the version of a segment, if its header is sound. A segment with a damaged header is
/// assumed to have the current version, because each record has its own checksums.
fn version(segment: &[u8]) -> Option<u16> {
    let header: &[u8; SEGMENT_HEADER] = segment.first_chunk()?;
    let is_sound =
        header.starts_with(&MAGIC) && crc32c(&header[..12]) == u32::from_le_bytes(part(header, 12));
    is_sound.then(|| u16::from_le_bytes(part(header, 8)))
}

/// Returns the position of the next sound header, starting at `from`.
fn next_header(salt: u64, from: usize, segment: &[u8]) -> Option<usize> {
    let mut from = from;
    while from < segment.len() {
        let end = segment.len().min(from + 4096);
        let is_header = |at: &usize| Header::read(salt, *at as u64, &segment[*at..]).is_some();
        // Skips many bytes at once: a file may be long and contain only zeros.
        if segment[from..end].contains(&MARK[0])
            && let Some(at) = (from..end).find(is_header)
        {
            return Some(at);
        }
        from = end;
    }
    None
}

fn header_crc(salt: u64, at: u64, header: &[u8; HEADER]) -> u32 {
    let crc = crc32c(&salt.to_le_bytes());
    let crc = crc32c_append(crc, &at.to_le_bytes());
    crc32c_append(crc, &header[..24])
}

/// Returns the `N` bytes at a constant position.
fn part<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    bytes[at..at + N].try_into().expect("N bytes are N bytes")
}

/// The length of a record's header.
pub(super) const HEADER: usize = 28;
/// The length of a segment's header.
pub(super) const SEGMENT_HEADER: usize = 16;
/// The longest body, which is the maximum size that a client may send.
///
/// Source: OTLP 1.11, "Request size limits".
pub(super) const MAX_BODY: usize = 64 << 20;
/// More items than any body holds. A header that claims more is not accepted, so that the sums of all
/// items do not overflow.
pub(super) const MAX_ITEMS: u64 = u32::MAX as u64;
/// The version of the format.
const VERSION: u16 = 1;
/// The first bytes of a segment. UTF-8 text never contains the first one.
const MAGIC: [u8; 8] = *b"\xF5barojnl";
/// The first bytes of a record. Only positions with these bytes are checked further.
const MARK: [u8; 4] = [0xF5, 0x9A, 0xC3, 0x1D];

#[cfg(test)]
mod tests {
    use super::*;

    const SALT: u64 = 0x5EED_0123_4567_89AB;

    fn request(items: u64, body: &[u8]) -> Request {
        Request {
            signal: Signal::Logs,
            encoding: Encoding::Json,
            body: body.to_vec().into(),
            items,
        }
    }

    fn put(segment: &mut Vec<u8>, request: &Request) {
        segment.extend(header(SALT, segment.len() as u64, request));
        segment.extend(&request.body);
    }

    fn segment(requests: &[Request]) -> Vec<u8> {
        let mut segment = segment_header().to_vec();
        for request in requests {
            put(&mut segment, request);
        }
        segment
    }

    /// Returns the bodies of whole records, and the damage.
    fn found(segment: &[u8]) -> (Vec<Vec<u8>>, Vec<Damage>) {
        let (mut bodies, mut damages) = (Vec::new(), Vec::new());
        for found in scan(SALT, segment).unwrap() {
            match found {
                Found::Record(record) => bodies.push(segment[record.body()].to_vec()),
                Found::Damage(damage) => damages.push(damage),
            }
        }
        (bodies, damages)
    }

    const BODIES: [&[u8]; 4] = [b"first", b"", b"the third, which is longer", b"last"];

    fn four() -> Vec<u8> {
        let mut number = 0;
        let requests = BODIES.map(|body| {
            number += 1;
            request(number, body)
        });
        segment(&requests)
    }

    #[test]
    fn written_requests_are_found_at_the_next_start() {
        let segment = four();
        let (bodies, damages) = found(&segment);
        assert_eq!(bodies, BODIES);
        assert_eq!(damages, []);
        for found in scan(SALT, &segment).unwrap() {
            let Found::Record(record) = found else {
                panic!("{found:?}")
            };
            assert_eq!(record.signal, Signal::Logs);
            assert_eq!(record.encoding, Encoding::Json);
            let bytes = Bytes::copy_from_slice(&segment[record.at..record.end]);
            let read = reread(SALT, record.at as u64, bytes.clone()).unwrap();
            assert_eq!(read.items, record.items);
            assert_eq!(read.body, segment[record.body()]);
            assert_eq!(reread(SALT, record.at as u64 + 1, bytes.clone()), None);
            assert_eq!(reread(SALT + 1, record.at as u64, bytes), None);
        }
        for empty in [&segment_header()[..], &[]] {
            assert_eq!(scan(SALT, empty), Ok(vec![]));
        }
        let read = scan(SALT + 1, &segment).unwrap();
        assert_eq!(read.len(), 1, "another salt knows nothing: {read:?}");
    }

    #[test]
    fn cut_anywhere_all_before_the_cut_is_found() {
        let segment = four();
        for length in 0..segment.len() {
            let (bodies, damages) = found(&segment[..length]);
            assert_eq!(bodies, BODIES[..bodies.len()], "{length}");
            let whole = SEGMENT_HEADER + bodies.iter().map(|b| HEADER + b.len()).sum::<usize>();
            match length > whole {
                true => {
                    let [damage] = damages[..] else {
                        panic!("{length}: {damages:?}")
                    };
                    assert_eq!((damage.at, damage.end), (whole, length));
                    assert!(damage.is_tail);
                    let items = bodies.len() as u64 + 1;
                    assert_eq!(damage.items, (length >= whole + HEADER).then_some(items));
                }
                false => assert_eq!(damages, [], "{length}"),
            }
        }
    }

    #[test]
    fn a_flipped_bit_costs_one_record() {
        let whole = four();
        let mut starts = vec![SEGMENT_HEADER];
        starts.extend(BODIES.iter().scan(SEGMENT_HEADER, |at, body| {
            *at += HEADER + body.len();
            Some(*at)
        }));
        for bit in 0..whole.len() * 8 {
            let mut segment = whole.clone();
            segment[bit / 8] ^= 1 << (bit % 8);
            let (bodies, damages) = found(&segment);
            let hit = starts.iter().rposition(|start| *start <= bit / 8);
            let Some(hit) = hit else {
                assert_eq!(bodies, BODIES, "the segment's header is not needed");
                continue;
            };
            let mut expected = BODIES.to_vec();
            expected.remove(hit);
            assert_eq!(bodies, expected, "bit {bit}");
            let [damage] = damages[..] else {
                panic!("bit {bit}: {damages:?}")
            };
            assert_eq!((damage.at, damage.end), (starts[hit], starts[hit + 1]));
            assert_eq!(damage.is_tail, hit == 3);
            let in_body = bit / 8 >= starts[hit] + HEADER;
            assert_eq!(damage.items, in_body.then_some(hit as u64 + 1));
        }
    }

    #[test]
    fn a_record_inside_of_a_body_is_not_found() {
        // Someone who controls a label writes records into it, for every salt but the right one or for
        // every position but the right one.
        let mut forged = Vec::new();
        for salt in [0, 1, SALT ^ 1] {
            forged.extend(header(salt, forged.len() as u64, &request(9, b"forged")));
            forged.extend(b"forged");
        }
        forged.extend(header(SALT, 0, &request(9, b"forged")));
        forged.extend(b"forged");
        let mut segment = segment(&[request(1, &forged), request(2, b"real")]);
        assert_eq!(found(&segment).0, [forged, b"real".to_vec()]);
        segment[SEGMENT_HEADER] ^= 1;
        let (bodies, damages) = found(&segment);
        assert_eq!(bodies, [b"real"]);
        assert_eq!(damages.len(), 1);
    }

    #[test]
    fn a_newer_version_is_left_to_those_who_know_it() {
        let mut segment = four();
        segment[8..10].copy_from_slice(&2_u16.to_le_bytes());
        assert_eq!(found(&segment).0, BODIES, "the checksum says otherwise");
        let crc = crc32c(&segment[..12]);
        segment[12..16].copy_from_slice(&crc.to_le_bytes());
        let newer = scan(SALT, &segment).unwrap_err();
        assert_eq!(newer.to_string(), "a segment of version 2, expected 1");
    }
}
