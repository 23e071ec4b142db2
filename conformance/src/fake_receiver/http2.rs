//! OTLP over gRPC, and the ways to misbehave there and in HTTP/2 below it.

use std::{collections::BTreeMap, io, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};

use super::{
    behavior::Behavior,
    http1::{bomb, message, partial_successes, varint},
    peer::Peer,
};
use crate::frames::{
    ACK, CONTINUATION, DATA, END_HEADERS, END_STREAM, Frame, GOAWAY, HEADERS, PADDED, PING,
    PREFACE, PRIORITY, PUSH_PROMISE, RST_STREAM, SETTINGS, block, frame, go_away, headers, reset,
    settings, window_update,
};

const HEADER_TABLE_SIZE: u16 = 1;
const MAX_CONCURRENT_STREAMS: u16 = 3;
const INITIAL_WINDOW_SIZE: u16 = 4;
const MAX_FRAME_SIZE: u16 = 5;

/// The HTTP/2 error code of a stream that was not processed.
const REFUSED_STREAM: u32 = 7;
const DRIP: Duration = Duration::from_millis(50);

const GRPC: [(&str, &str); 2] = [(":status", "200"), ("content-type", "application/grpc")];
/// An empty gRPC message.
const EMPTY: &[u8] = &[0; 5];

pub(super) fn serve(peer: &mut Peer) -> io::Result<()> {
    peer.fill_to(PREFACE.len())?;
    peer.consume(PREFACE.len());
    peer.greet(|behavior| &behavior.on_preface)?;
    peer.write(&settings(&[]))?;
    let mut bodies: BTreeMap<u32, Vec<u8>> = BTreeMap::new();
    loop {
        let frame = next(peer)?;
        let stream = frame.stream;
        match frame.kind {
            SETTINGS if !frame.has(ACK) => peer.write(&self::frame(SETTINGS, ACK, 0, b""))?,
            PING if !frame.has(ACK) => peer.write(&self::frame(PING, ACK, 0, &frame.payload))?,
            GOAWAY => return Err(Peer::done()),
            DATA => {
                if let Ok(length @ 1..) = u32::try_from(frame.payload.len()) {
                    peer.write(&window_update(0, length))?;
                    if !frame.has(END_STREAM) {
                        peer.write(&window_update(stream, length))?;
                    }
                }
                bodies.entry(stream).or_default().extend(&frame.payload);
                if frame.has(END_STREAM) {
                    let body = bodies.remove(&stream).unwrap_or_default();
                    peer.request = stream;
                    answer(peer, &body)?;
                }
            }
            RST_STREAM => {
                bodies.remove(&stream);
            }
            _ => {}
        }
    }
}

fn next(peer: &mut Peer) -> io::Result<Frame> {
    loop {
        if let Some((frame, length)) = Frame::parse(peer.buffer()) {
            peer.consume(length);
            return Ok(frame);
        }
        peer.fill()?;
    }
}

fn answer(peer: &mut Peer, body: &[u8]) -> io::Result<()> {
    if let Some(hook) = peer.on_request()? {
        return peer.run(&hook);
    }
    peer.take(body);
    reply(peer, EMPTY, &[("grpc-status", "0")])
}

/// Sends a gRPC response: a message and its trailers.
fn reply(peer: &mut Peer, message: &[u8], trailers: &[(&str, &str)]) -> io::Result<()> {
    let stream = peer.request();
    peer.write(&headers(0, stream, &GRPC))?;
    // A frame carries at most 16 KiB.
    for piece in message.chunks(16 << 10) {
        peer.write(&frame(DATA, 0, stream, piece))?;
    }
    peer.write(&headers(END_STREAM, stream, trailers))
}

/// Returns the ways to misbehave over HTTP/2.
pub fn behaviors() -> Vec<Behavior> {
    [
        connections(),
        frames(),
        floods(),
        streams(),
        statuses(),
        messages(),
    ]
    .concat()
}

/// Behaviors of the connection.
fn connections() -> Vec<Behavior> {
    vec![
        Behavior::on_accept("close after accept", |_| Err(Peer::done())),
        Behavior::on_accept("accept and never read", Peer::ignore),
        Behavior::on_accept("a TLS alert on a plain port", |peer| {
            peer.write(b"\x15\x03\x03\x00\x02\x02\x28")?;
            peer.hold()
        }),
        Behavior::on_accept("an answer of HTTP/1", |peer| {
            peer.write(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n")?;
            peer.hold()
        }),
        Behavior::on_preface("no settings ever", Peer::hold),
        Behavior::on_preface("half a frame of settings", |peer| {
            peer.write(&settings(&[(1, 1)])[..7])?;
            peer.hold()
        }),
        Behavior::on_preface("a drip of settings", |peer| {
            peer.drip(&settings(&[(1, 1)]), DRIP)
        }),
        Behavior::on_preface("GOAWAY at once", |peer| {
            peer.write(&[settings(&[]), go_away(0, 0, b"")].concat())?;
            peer.hold()
        }),
        Behavior::on_preface("GOAWAY with a text of a megabyte", |peer| {
            peer.write(&[settings(&[]), go_away(0, 0, &[b'!'; 1 << 20])].concat())?;
            peer.hold()
        }),
        Behavior::on_preface("a window of nothing for ever", |peer| {
            peer.write(&settings(&[(INITIAL_WINDOW_SIZE, 0)]))?;
            peer.hold()
        }),
        Behavior::on_preface("no stream is allowed", |peer| {
            peer.write(&settings(&[(MAX_CONCURRENT_STREAMS, 0)]))?;
            peer.hold()
        }),
    ]
}

/// Frames that break the protocol.
fn frames() -> Vec<Behavior> {
    let broken: [(&str, Vec<u8>); 13] = [
        (
            "a window of 2^31",
            settings(&[(INITIAL_WINDOW_SIZE, 1 << 31)]),
        ),
        ("frames of one byte", settings(&[(MAX_FRAME_SIZE, 1)])),
        (
            "a header table of 4 GiB",
            settings(&[(HEADER_TABLE_SIZE, u32::MAX)]),
        ),
        ("settings of five bytes", frame(SETTINGS, 0, 0, &[0; 5])),
        (
            "a frame of 16 MiB",
            [&b"\xff\xff\xff\x00\x00\x00\x00\x00\x01"[..], &[0; 1 << 20]].concat(),
        ),
        ("a window update of nothing", window_update(0, 0)),
        (
            "a window that overflows",
            window_update(0, u32::MAX >> 1).repeat(2),
        ),
        ("data on stream 0", frame(DATA, 0, 0, b"data")),
        (
            "data on a stream that is not open",
            frame(DATA, END_STREAM, 77, b"data"),
        ),
        (
            "an answer on a stream that is not open",
            headers(END_STREAM, 77, &GRPC),
        ),
        (
            "a pushed request",
            frame(PUSH_PROMISE, END_HEADERS, 1, &[0, 0, 0, 2, 0x82]),
        ),
        ("more padding than frame", frame(DATA, PADDED, 1, &[255, 0])),
        ("a ping of seven bytes", frame(PING, 0, 0, &[0; 7])),
    ];
    let broken = broken.map(|(name, bytes)| {
        Behavior::on_preface(name, move |peer| {
            peer.write(&settings(&[]))?;
            peer.write(&bytes)?;
            peer.hold()
        })
    });
    broken.into()
}

/// Floods of frames.
fn floods() -> Vec<Behavior> {
    let bytes: [(&str, Vec<u8>); 6] = [
        (
            "settings for ever",
            settings(&[(INITIAL_WINDOW_SIZE, 65_535)]),
        ),
        ("pings for ever", frame(PING, 0, 0, &[0; 8])),
        ("window updates for ever", window_update(0, 1)),
        ("frames of no type for ever", frame(0xfe, 0, 0, &[0; 16])),
        ("priorities for ever", frame(PRIORITY, 0, 3, &[0; 5])),
        ("GOAWAY for ever", go_away(u32::MAX >> 1, 0, b"")),
    ];
    let floods = bytes.map(|(name, bytes)| {
        Behavior::on_preface(name, move |peer| {
            peer.write(&settings(&[]))?;
            peer.flood(&bytes)
        })
    });
    let mut behaviors: Vec<Behavior> = floods.into();
    behaviors.extend([
        Behavior::on_request("continuations for ever", |peer| {
            let stream = peer.request();
            peer.write(&frame(HEADERS, 0, stream, &block(&GRPC)))?;
            peer.flood(&frame(
                CONTINUATION,
                0,
                stream,
                &block(&[("x-more", "and more")]),
            ))
        }),
        Behavior::on_request("empty continuations for ever", |peer| {
            let stream = peer.request();
            peer.write(&frame(HEADERS, 0, stream, &block(&GRPC)))?;
            peer.flood(&frame(CONTINUATION, 0, stream, b""))
        }),
        Behavior::on_request("status 100 for ever", |peer| {
            peer.flood(&headers(0, peer.request(), &[(":status", "100")]))
        }),
        Behavior::on_request("data for ever", |peer| {
            peer.write(&headers(0, peer.request(), &GRPC))?;
            peer.flood(&frame(DATA, 0, peer.request(), &[0; 16 << 10]))
        }),
        Behavior::on_request("empty data for ever", |peer| {
            peer.write(&headers(0, peer.request(), &GRPC))?;
            peer.flood(&frame(DATA, 0, peer.request(), b""))
        }),
        Behavior::on_request("pings between the parts of an answer", |peer| {
            peer.write(&headers(0, peer.request(), &GRPC))?;
            peer.flood(&frame(PING, 0, 0, &[0; 8]))
        }),
    ]);
    behaviors
}

/// Behaviors of the stream of a request.
fn streams() -> Vec<Behavior> {
    let mut behaviors = vec![
        Behavior::on_request("no answer", Peer::hold),
        Behavior::on_request("close instead of an answer", |_| Err(Peer::done())),
        Behavior::on_request("GOAWAY instead of an answer", |peer| {
            peer.write(&go_away(0, 0, b""))?;
            peer.hold()
        }),
        Behavior::on_request("GOAWAY: enhance your calm", |peer| {
            peer.write(&go_away(0, 11, b"too_many_pings"))?;
            Err(Peer::done())
        }),
        Behavior::on_request("a header block that is none", |peer| {
            peer.write(&frame(
                HEADERS,
                END_HEADERS | END_STREAM,
                peer.request(),
                &[0xff; 40],
            ))?;
            peer.hold()
        }),
        Behavior::on_request("an index past the header table", |peer| {
            peer.write(&frame(
                HEADERS,
                END_HEADERS | END_STREAM,
                peer.request(),
                &[0xfe],
            ))?;
            peer.hold()
        }),
        Behavior::on_request("a bomb of indexed headers", |peer| {
            // A name and a value of 2,000 bytes go into the table, and are then referenced 10,000
            // times.
            let mut fields = block(&[("x-large", &"x".repeat(2_000))]);
            fields[0] = 0x40;
            let bomb = [block(&GRPC), fields, vec![0xbe; 10_000]].concat();
            peer.write(&frame(
                HEADERS,
                END_HEADERS | END_STREAM,
                peer.request(),
                &bomb,
            ))?;
            peer.hold()
        }),
        Behavior::on_request("headers and no end", |peer| {
            peer.write(&headers(0, peer.request(), &GRPC))?;
            peer.hold()
        }),
        Behavior::on_request("trailers and then data", |peer| {
            peer.write(&headers(END_STREAM, peer.request(), &GRPC))?;
            peer.write(&frame(DATA, END_STREAM, peer.request(), EMPTY))
        }),
        Behavior::on_request("two answers to one request", |peer| {
            reply(peer, EMPTY, &[("grpc-status", "0")])?;
            reply(peer, EMPTY, &[("grpc-status", "0")])
        }),
    ];
    for (name, code) in [
        ("RST_STREAM each: no error", 0),
        ("RST_STREAM each: refused", REFUSED_STREAM),
        ("RST_STREAM each: enhance your calm", 11),
        ("RST_STREAM each: a code of nobody", u32::MAX),
    ] {
        behaviors.push(Behavior::on_request(name, move |peer| {
            peer.write(&reset(peer.request(), code))
        }));
    }
    behaviors
}

/// Behaviors of the gRPC status of a call.
fn statuses() -> Vec<Behavior> {
    let long = "%F0%9F%92%A3".repeat(1_000);
    let trailers: [(&str, Vec<(&str, &str)>); 10] = [
        ("no grpc-status", vec![("x", "y")]),
        ("a grpc-status of no number", vec![("grpc-status", "fine")]),
        ("an empty grpc-status", vec![("grpc-status", "")]),
        (
            "a grpc-status of twenty digits",
            vec![("grpc-status", "20000000000000000000")],
        ),
        ("a negative grpc-status", vec![("grpc-status", "-1")]),
        (
            "two of grpc-status",
            vec![("grpc-status", "14"), ("grpc-status", "0")],
        ),
        (
            "a long grpc-message",
            vec![("grpc-status", "14"), ("grpc-message", &long)],
        ),
        (
            "a grpc-message with broken escapes",
            vec![("grpc-status", "3"), ("grpc-message", "%%F%zz%")],
        ),
        (
            "details that are no base64",
            vec![("grpc-status", "14"), ("grpc-status-details-bin", "&&&")],
        ),
        (
            "details that are no status",
            vec![
                ("grpc-status", "14"),
                ("grpc-status-details-bin", "////////"),
            ],
        ),
    ];
    let mut behaviors: Vec<Behavior> = Vec::new();
    for (name, trailers) in trailers {
        let block = block(&trailers);
        behaviors.push(Behavior::on_request(name, move |peer| {
            let stream = peer.request();
            peer.write(&headers(0, stream, &GRPC))?;
            peer.write(&frame(DATA, 0, stream, EMPTY))?;
            peer.write(&frame(HEADERS, END_HEADERS | END_STREAM, stream, &block))
        }));
    }
    behaviors.push(Behavior::on_request("trailers only: a success", |peer| {
        let fields = [&GRPC[..], &[("grpc-status", "0")]].concat();
        peer.write(&headers(END_STREAM, peer.request(), &fields))
    }));
    for status in ["204", "302", "404", "429", "502", "503", "504"] {
        behaviors.push(Behavior::on_request(
            format!("HTTP status {status}"),
            move |peer| {
                let after = ("retry-after", "18446744073709551615");
                peer.write(&headers(
                    END_STREAM,
                    peer.request(),
                    &[(":status", status), after],
                ))
            },
        ));
    }
    behaviors
}

/// Behaviors of the message of a call.
fn messages() -> Vec<Behavior> {
    let bomb = bomb();
    let mut compressed = vec![1];
    compressed.extend((bomb.len() as u32).to_be_bytes());
    compressed.extend(bomb);
    let mut parts = vec![
        (
            "a message that says it has 4 GiB",
            b"\0\xff\xff\xff\xff".to_vec(),
        ),
        ("a message of four bytes", vec![0; 4]),
        ("two messages", vec![0; 10]),
        (
            "a message compressed by nobody",
            b"\x01\0\0\0\x01x".to_vec(),
        ),
        ("a bomb of gzip", compressed),
    ];
    for (name, body) in partial_successes() {
        let head = [&[0][..], &(body.len() as u32).to_be_bytes()].concat();
        parts.push((name, [head, body].concat()));
    }
    let behaviors = parts.into_iter().map(|(name, body)| {
        Behavior::on_request(name, move |peer| {
            let stream = peer.request();
            let fields = [&GRPC[..], &[("grpc-encoding", "gzip")]].concat();
            peer.write(&headers(0, stream, &fields))?;
            for piece in body.chunks(16 << 10) {
                peer.write(&frame(DATA, 0, stream, piece))?;
            }
            peer.write(&headers(END_STREAM, stream, &[("grpc-status", "0")]))
        })
    });
    let mut behaviors: Vec<Behavior> = behaviors.collect();
    behaviors.push(Behavior::on_request("a drip of a message", |peer| {
        peer.write(&headers(0, peer.request(), &GRPC))?;
        let byte = frame(DATA, 0, peer.request(), &[0]);
        peer.drip(&byte.repeat(100), DRIP)
    }));
    behaviors
}

/// Returns gRPC responses that ask for a pause. All are sent without delay.
pub fn pauses() -> Vec<Behavior> {
    let mut behaviors = Vec::new();
    for code in [8_u8, 10, 14] {
        for (name, seconds, nanos) in [
            ("the longest there is", i64::MAX, i64::from(i32::MAX)),
            ("315,576,000,000 s", 315_576_000_000, 999_999_999),
            ("a negative one", -1, -1),
            ("the least there is", i64::MIN, i64::from(i32::MIN)),
            ("more nanoseconds than a second has", 0, i64::from(i32::MAX)),
        ] {
            let details = STANDARD.encode(status_with_pause(code, seconds, nanos));
            behaviors.push(Behavior::on_request(
                format!("status {code} with a RetryInfo of {name}"),
                move |peer| {
                    let status = code.to_string();
                    let fields = [
                        &GRPC[..],
                        &[
                            ("grpc-status", &status),
                            ("grpc-status-details-bin", &details),
                        ],
                    ];
                    peer.write(&headers(END_STREAM, peer.request(), &fields.concat()))
                },
            ));
        }
    }
    behaviors
}

/// Encodes a `google.rpc.Status` with a `RetryInfo`.
fn status_with_pause(code: u8, seconds: i64, nanos: i64) -> Vec<u8> {
    let mut duration = vec![1 << 3];
    varint(&mut duration, seconds as u64);
    duration.push(2 << 3);
    varint(&mut duration, nanos as u64);
    let url = message(1, b"type.googleapis.com/google.rpc.RetryInfo");
    let any = [url, message(2, &message(1, &duration))].concat();
    [vec![1 << 3, code], message(3, &any)].concat()
}
