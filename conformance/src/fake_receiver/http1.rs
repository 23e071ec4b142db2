//! OTLP over HTTP/1.1, and the ways to misbehave there.

use std::{
    io::{self, Write as _},
    thread,
    time::Duration,
};

use flate2::{Compression, write::GzEncoder};

use super::{behavior::Behavior, peer::Peer};

/// The pause between the bytes of a slow response.
const DRIP: Duration = Duration::from_millis(50);
/// More than any client should read.
const GIGABYTE: usize = 1 << 30;

pub(super) fn serve(peer: &mut Peer) -> io::Result<()> {
    loop {
        let request = read_request(peer)?;
        match peer.on_request()? {
            Some(hook) => peer.run(&hook)?,
            None => {
                let (kind, body) = match request.is_json {
                    true => ("application/json", "{}"),
                    false => ("application/x-protobuf", ""),
                };
                let length = body.len();
                let answer = format!(
                    "HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\n\r\n{body}"
                );
                peer.take(&request.body);
                peer.write(answer.as_bytes())?;
            }
        }
    }
}

struct Request {
    is_json: bool,
    body: Vec<u8>,
}

fn read_request(peer: &mut Peer) -> io::Result<Request> {
    const END: &[u8] = b"\r\n\r\n";
    let head = loop {
        let found = peer.buffer().windows(END.len()).position(|at| at == END);
        match found {
            Some(length) => break peer.consume(length + END.len()),
            None => peer.fill()?,
        }
    };
    let head = String::from_utf8_lossy(&head).to_ascii_lowercase();
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok())
        .unwrap_or(0);
    peer.fill_to(length)?;
    Ok(Request {
        is_json: head.contains("application/json"),
        body: peer.consume(length),
    })
}

/// Returns the ways to misbehave over HTTP/1.1.
pub fn behaviors() -> Vec<Behavior> {
    [connections(), heads(), bodies(), meanings()].concat()
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
        Behavior::on_accept("an answer to no request", |peer| {
            peer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")?;
            peer.hold()
        }),
        Behavior::on_accept("answers to a thousand requests not made", |peer| {
            peer.write(&b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n".repeat(1000))?;
            peer.hold()
        }),
        Behavior::on_accept("random bytes for ever", |peer| {
            peer.flood(b"\x80\xff\x00\x13\x37\x0d")
        }),
        Behavior::on_request("no answer", Peer::hold),
        Behavior::on_request("close instead of an answer", |_| Err(Peer::done())),
        Behavior::on_request("two answers to one request", |peer| {
            peer.write(&b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n".repeat(2))
        }),
        Behavior::on_request("HTTP/2 settings for an answer", |peer| {
            peer.write(&crate::frames::settings(&[]))?;
            peer.hold()
        }),
    ]
}

/// Behaviors of the head of the response.
fn heads() -> Vec<Behavior> {
    let ok = "HTTP/1.1 200 OK\r\n";
    let mut behaviors = vec![
        Behavior::on_request("half a status line", |peer| {
            peer.write(b"HTTP/1.1 20")?;
            peer.hold()
        }),
        Behavior::answer("half a status line, then closed", "HTTP/1.1 20"),
        Behavior::on_request("a drip of a head", |peer| {
            peer.drip(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", DRIP)
        }),
        Behavior::on_request("headers without end", move |peer| {
            peer.write(ok.as_bytes())?;
            peer.flood(b"x-more: and more\r\n")
        }),
        Behavior::on_request("one header without end", move |peer| {
            peer.write(ok.as_bytes())?;
            peer.write(b"x-more: ")?;
            peer.flood(b"and more")
        }),
        Behavior::on_request("100 Continue for ever", |peer| {
            interim(peer, b"HTTP/1.1 100 Continue\r\n\r\n")
        }),
        Behavior::on_request("103 Early Hints for ever", |peer| {
            interim(peer, b"HTTP/1.1 103 Early Hints\r\nlink: <x>\r\n\r\n")
        }),
    ];
    let answers = [
        (
            "101 Switching Protocols",
            "HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\n\r\n",
        ),
        ("status 000", "HTTP/1.1 000 No\r\n\r\n"),
        ("status 999", "HTTP/1.1 999 No\r\ncontent-length: 0\r\n\r\n"),
        (
            "a status of twenty digits",
            "HTTP/1.1 20000000000000000000 OK\r\n\r\n",
        ),
        ("HTTP/0.9", "taken"),
        ("HTTP/9.9", "HTTP/9.9 200 OK\r\ncontent-length: 0\r\n\r\n"),
        (
            "a negative length",
            "HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n",
        ),
        (
            "a length of 2^64",
            "HTTP/1.1 200 OK\r\ncontent-length: 18446744073709551616\r\n\r\n",
        ),
        (
            "two lengths",
            "HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab",
        ),
        (
            "a length and chunks",
            "HTTP/1.1 200 OK\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        ),
        (
            "a header with a null byte",
            "HTTP/1.1 200 OK\r\nx: \0\r\ncontent-length: 0\r\n\r\n",
        ),
        (
            "a redirect to itself",
            "HTTP/1.1 307 Temporary Redirect\r\nlocation: /v1/metrics\r\ncontent-length: 0\r\n\r\n",
        ),
        (
            "a redirect to a file",
            "HTTP/1.1 308 Permanent Redirect\r\nlocation: file:///etc/passwd\r\ncontent-length: 0\r\n\r\n",
        ),
    ];
    behaviors.extend(answers.map(|(name, answer)| Behavior::answer(name, answer)));
    behaviors
}

/// Sends a few thousand interim responses per second. More of them would keep the thread of a
/// service that is built without optimization fully busy with reading.
fn interim(peer: &mut Peer, answer: &[u8]) -> io::Result<()> {
    while peer.goes_on() {
        peer.write(&answer.repeat(16))?;
        thread::sleep(Duration::from_millis(5));
    }
    Ok(())
}

/// Behaviors of the body of the response.
fn bodies() -> Vec<Behavior> {
    let chunked = "HTTP/1.1 200 OK\r\ncontent-type: application/x-protobuf\r\ntransfer-encoding: chunked\r\n\r\n";
    let bomb = bomb();
    vec![
        Behavior::on_request("a body of a gigabyte", |peer| {
            peer.write(
                format!("HTTP/1.1 200 OK\r\ncontent-length: {GIGABYTE}\r\n\r\n").as_bytes(),
            )?;
            peer.flood(&[0; 1024])
        }),
        Behavior::on_request("a failure of a gigabyte", |peer| {
            peer.write(
                format!("HTTP/1.1 503 No\r\ncontent-length: {GIGABYTE}\r\n\r\n").as_bytes(),
            )?;
            peer.flood(&[b'x'; 1024])
        }),
        Behavior::on_request("a failure that never ends", |peer| {
            peer.write(b"HTTP/1.1 503 No\r\nretry-after: 1\r\ncontent-length: 1000\r\n\r\n")?;
            peer.hold()
        }),
        Behavior::on_request("a body until it closes, which it does not", |peer| {
            peer.write(b"HTTP/1.1 200 OK\r\n\r\n")?;
            peer.hold()
        }),
        Behavior::on_request("a drip of a body", |peer| {
            peer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n")?;
            peer.drip(&[0; 1000], DRIP)
        }),
        Behavior::on_request("chunks without end", move |peer| {
            peer.write(chunked.as_bytes())?;
            peer.flood(b"1\r\n\0\r\n")
        }),
        Behavior::on_request("chunk extensions without end", move |peer| {
            peer.write(chunked.as_bytes())?;
            peer.write(b"1;")?;
            peer.flood(b"and=more;")
        }),
        Behavior::on_request("trailers without end", move |peer| {
            peer.write(chunked.as_bytes())?;
            peer.write(b"0\r\n")?;
            peer.flood(b"x-more: and more\r\n")
        }),
        Behavior::answer("a chunk of 2^68", format!("{chunked}fffffffffffffffff\r\n")),
        Behavior::answer("a chunk of negative size", format!("{chunked}-1\r\n\r\n")),
        Behavior::answer(
            "a body that is shorter than it says",
            "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nx",
        ),
        Behavior::on_request("a body that is longer than it says", |peer| {
            peer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n\0more than that")
        }),
        Behavior::on_request("a bomb of gzip", move |peer| {
            let head =
                "HTTP/1.1 200 OK\r\ncontent-type: application/x-protobuf\r\ncontent-encoding: gzip";
            peer.write(format!("{head}\r\ncontent-length: {}\r\n\r\n", bomb.len()).as_bytes())?;
            peer.write(&bomb)
        }),
        Behavior::answer(
            "gzip that is none",
            "HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 4\r\n\r\nnone",
        ),
        Behavior::answer(
            "an encoding of nobody",
            "HTTP/1.1 200 OK\r\ncontent-encoding: gzip, br, x\r\ncontent-length: 1\r\n\r\nx",
        ),
    ]
}

/// Behaviors of the OTLP response, in protobuf and in JSON.
fn meanings() -> Vec<Behavior> {
    let mut behaviors = Vec::new();
    for (name, body) in partial_successes() {
        behaviors.push(Behavior::on_request(name, move |peer| {
            peer.write(&full("200 OK", "application/x-protobuf", &body))
        }));
    }
    let deep = "[".repeat(100_000);
    let texts = [
        (
            "JSON: a negative rejection",
            r#"{"partialSuccess":{"rejectedSpans":"-5","rejectedDataPoints":-5,"rejectedLogRecords":-5}}"#,
        ),
        (
            "JSON: a rejection of 1e999",
            r#"{"partialSuccess":{"rejectedDataPoints":1e999,"rejectedSpans":1e999,"rejectedLogRecords":1e999}}"#,
        ),
        (
            "JSON: a rejection that is a list",
            r#"{"partialSuccess":{"rejectedDataPoints":[],"rejectedSpans":{},"rejectedLogRecords":null}}"#,
        ),
        ("JSON: a list 100,000 deep", &deep),
        (
            "JSON: half of it",
            r#"{"partialSuccess":{"errorMessage":"\u"#,
        ),
    ];
    for (name, text) in texts {
        let answer = full("200 OK", "application/json", text.as_bytes());
        behaviors.push(Behavior::on_request(name, move |peer| peer.write(&answer)));
    }
    let status = message(2, &[b'!'; 1 << 20]);
    for code in [
        "400 Bad Request",
        "413 Content Too Large",
        "500 Internal Server Error",
    ] {
        let answer = full(code, "application/x-protobuf", &status);
        behaviors.push(Behavior::on_request(
            format!("{code} with a text of a megabyte"),
            move |peer| peer.write(&answer),
        ));
    }
    behaviors
}

/// Returns HTTP/1.1 responses that ask for a pause. All are sent without delay.
pub fn pauses() -> Vec<Behavior> {
    let mut behaviors = Vec::new();
    for status in [
        "429 Too Many Requests",
        "502 Bad Gateway",
        "503 Service Unavailable",
        "504 Gateway Timeout",
    ] {
        for after in [
            "18446744073709551615",
            "18446744073709551616",
            "9223372036854775807",
            "-1",
            "1e300",
            "Fri, 31 Dec 9999 23:59:59 GMT",
            "Thu, 01 Jan 1970 00:00:00 GMT",
        ] {
            let answer =
                format!("HTTP/1.1 {status}\r\nretry-after: {after}\r\ncontent-length: 0\r\n\r\n");
            behaviors.push(Behavior::on_request(
                format!("{} with Retry-After: {after}", &status[..3]),
                move |peer| peer.write(answer.as_bytes()),
            ));
        }
    }
    behaviors
}

fn full(status: &str, kind: &str, body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let head =
        format!("HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\n\r\n");
    [head.as_bytes(), body].concat()
}

/// Returns OTLP responses in protobuf that report a partial success, or seem to.
pub(super) fn partial_successes() -> Vec<(&'static str, Vec<u8>)> {
    let rejected = |count: i64| {
        let mut body = vec![1 << 3];
        varint(&mut body, count as u64);
        message(1, &body)
    };
    let deep = (0..500).fold(Vec::new(), |inner, _| message(1, &inner));
    vec![
        ("a negative rejection", rejected(-1)),
        ("the least rejection there is", rejected(i64::MIN)),
        ("a rejection of more than was sent", rejected(i64::MAX)),
        ("a rejection of one", rejected(1)),
        (
            "a warning of three megabytes",
            message(1, &message(2, &[0x1b; 3 << 20])),
        ),
        ("half a partial success", vec![0x0a, 0x7f, 0x08]),
        (
            "a number without end",
            [&[0x0a, 0x7f, 0x08][..], &[0xff; 300]].concat(),
        ),
        ("a field of no type", vec![0x0f, 0x0f, 0x0f]),
        ("a message 500 deep", deep),
    ]
}

/// Encodes a length-delimited protobuf field.
pub(super) fn message(field: u8, content: &[u8]) -> Vec<u8> {
    let mut bytes = vec![field << 3 | 2];
    varint(&mut bytes, content.len() as u64);
    bytes.extend(content);
    bytes
}

pub(super) fn varint(bytes: &mut Vec<u8>, mut value: u64) {
    while value >= 128 {
        bytes.push(value as u8 | 128);
        value >>= 7;
    }
    bytes.push(value as u8);
}

/// Returns a compressed body of about a megabyte that expands to a gigabyte: the same gzip member
/// repeated.
pub(super) fn bomb() -> Vec<u8> {
    const MEMBER: usize = 1 << 20;
    let written = "a vector takes all";
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(&vec![0; MEMBER]).expect(written);
    let member = encoder.finish().expect(written);
    member.repeat(GIGABYTE / MEMBER)
}
