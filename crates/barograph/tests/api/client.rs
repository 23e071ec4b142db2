//! A client that sends and reads exactly what a test specifies.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// A response as received.
#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Response {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// Returns the value of a header.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let is_it = |line: &&str| {
            let (key, _) = line.split_once(':').unwrap_or_default();
            key.eq_ignore_ascii_case(name)
        };
        let line = self.head.lines().find(is_it)?;
        Some(line.split_once(':')?.1.trim())
    }
}

/// Connects, with a time limit for every read.
#[track_caller]
pub(crate) fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).expect("somebody listens");
    stream
        .set_read_timeout(Some(Duration::from_secs(20)))
        .expect("a timeout can be set");
    stream
}

pub(crate) fn get(address: SocketAddr, path: &str) -> Response {
    ask(address, "GET", path, "")
}

/// Sends a request with these additional header lines, and reads until the connection is closed.
pub(crate) fn ask(address: SocketAddr, method: &str, path: &str, headers: &str) -> Response {
    let mut stream = connect(address);
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{headers}\r\n"
    );
    stream
        .write_all(request.as_bytes())
        .expect("a request is small");
    read(stream)
}

/// Reads a response until the connection is closed.
pub(crate) fn read(mut stream: TcpStream) -> Response {
    let mut all = Vec::new();
    stream.read_to_end(&mut all).expect("a whole response");
    let end = find(&all, b"\r\n\r\n").expect("a head that ends");
    let head = String::from_utf8_lossy(&all[..end]).into_owned();
    let status = head
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok())
        .expect("a status");
    let rest = &all[end + 4..];
    let is_chunked = head
        .to_ascii_lowercase()
        .contains("transfer-encoding: chunked");
    let body = if is_chunked {
        unchunk(rest)
    } else {
        rest.to_vec()
    };
    Response { status, head, body }
}

fn unchunk(mut rest: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    while let Some(end) = find(rest, b"\r\n") {
        let size = std::str::from_utf8(&rest[..end]).expect("a size in text");
        let size = usize::from_str_radix(size, 16).expect("a hexadecimal size");
        body.extend_from_slice(&rest[end + 2..end + 2 + size]);
        rest = &rest[end + 2 + size + 2..];
    }
    body
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|part| part == wanted)
}

/// Returns true if the address does not accept connections.
pub(crate) fn is_closed(address: SocketAddr) -> bool {
    TcpStream::connect(address).is_err()
}
