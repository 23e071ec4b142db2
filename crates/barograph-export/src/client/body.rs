//! The bodies of requests and responses: compressed, decompressed, and limited in size.

use std::borrow::Cow;
use std::convert::Infallible;
use std::future::poll_fn;
use std::io::{self, Read, Write};
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};

use super::config::Compression;

/// The maximum size of a request, before and after compression; larger ones are not sent.
///
/// Source: OTLP 1.11, "Request size limits".
pub(super) const MAX_REQUEST: usize = 64 << 20;

/// The maximum size of a response that is read, before and after decompression.
///
/// Source: OTLP 1.11, "Response size limits".
pub(super) const MAX_RESPONSE: usize = 4 << 20;

/// A body that is completely in memory: a head, for gRPC, and the message.
#[derive(Clone, Debug)]
pub(super) struct RequestBody {
    parts: [Bytes; 2],
}

impl RequestBody {
    pub(super) fn new(head: Bytes, message: Bytes) -> Self {
        RequestBody {
            parts: [head, message],
        }
    }

    pub(super) fn len(&self) -> u64 {
        self.parts.iter().map(|part| part.len() as u64).sum()
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let part = self.parts.iter_mut().find(|part| !part.is_empty());
        Poll::Ready(part.map(|part| Ok(Frame::data(std::mem::take(part)))))
    }

    fn is_end_stream(&self) -> bool {
        self.len() == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.len())
    }
}

/// Compresses a message, at the fastest level: the others take several times as long and save a
/// tenth.
pub(super) fn compress(message: &Bytes, compression: Compression) -> io::Result<Bytes> {
    match compression {
        Compression::None => Ok(message.clone()),
        Compression::Gzip => {
            let room = Vec::with_capacity(message.len() / 4);
            let mut encoder = GzEncoder::new(room, flate2::Compression::fast());
            encoder.write_all(message)?;
            Ok(encoder.finish()?.into())
        }
        #[cfg(feature = "zstd")]
        Compression::Zstd => Ok(zstd::bulk::compress(message, 1)?.into()),
        #[cfg(not(feature = "zstd"))]
        Compression::Zstd => Err(io::ErrorKind::Unsupported.into()),
    }
}

/// Returns the name of a compression in headers.
pub(super) fn name_of(compression: Compression) -> Option<&'static str> {
    match compression {
        Compression::None => None,
        Compression::Gzip => Some("gzip"),
        Compression::Zstd => Some("zstd"),
    }
}

/// The result of reading a response.
#[derive(Debug)]
pub(super) enum Received<E> {
    /// The complete body as it was sent, and the trailers.
    Complete(Bytes, HeaderMap),
    /// The body is longer than [`MAX_RESPONSE`].
    TooLarge,
    /// The connection failed before the end of the body.
    Broken(E),
}

/// Reads a response of at most [`MAX_RESPONSE`] bytes.
pub(super) async fn receive<B>(mut body: B) -> Received<B::Error>
where
    B: Body<Data = Bytes> + Unpin,
{
    let mut bytes = BytesMut::new();
    let mut trailers = HeaderMap::new();
    if body.size_hint().lower() > MAX_RESPONSE as u64 {
        return Received::TooLarge;
    }
    while let Some(frame) = poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await {
        match frame.map(Frame::into_data) {
            Ok(Ok(data)) if data.len() > MAX_RESPONSE.saturating_sub(bytes.len()) => {
                return Received::TooLarge;
            }
            Ok(Ok(data)) => bytes.extend_from_slice(&data),
            Ok(Err(other)) => trailers.extend(other.into_trailers().ok().into_iter().flatten()),
            Err(error) => return Received::Broken(error),
        }
    }
    Received::Complete(bytes.freeze(), trailers)
}

/// The reason why a response could not be decompressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Undecodable {
    /// The decompressed response would exceed [`MAX_RESPONSE`].
    TooLarge,
    /// The bytes are not valid in the encoding that the header names.
    Garbage,
}

/// Decompresses a response by the encoding that a header names, up to [`MAX_RESPONSE`].
pub(super) fn decompress<'a>(bytes: &'a [u8], named: &str) -> Result<Cow<'a, [u8]>, Undecodable> {
    match named.trim() {
        "" | "identity" => Ok(bytes.into()),
        "gzip" | "x-gzip" => bounded(MultiGzDecoder::new(bytes)),
        // Some servers respond in the encoding of the request, whether or not the client accepts
        // it.
        #[cfg(feature = "zstd")]
        "zstd" => {
            let mut decoder = zstd::Decoder::new(bytes).map_err(|_| Undecodable::Garbage)?;
            // The size of the window. RFC 8878, 3.1.1.1.2 recommends supporting 8 MiB, and an
            // untrusted peer gets no more.
            let window = decoder.window_log_max(23);
            window.map_err(|_| Undecodable::Garbage)?;
            bounded(decoder)
        }
        // The client accepts nothing else.
        _ => Err(Undecodable::Garbage),
    }
}

fn bounded(decoder: impl Read) -> Result<Cow<'static, [u8]>, Undecodable> {
    let mut plain = Vec::new();
    const LIMIT: u64 = MAX_RESPONSE as u64 + 1;
    match decoder.take(LIMIT).read_to_end(&mut plain) {
        Ok(length) if length > MAX_RESPONSE => Err(Undecodable::TooLarge),
        Ok(_) => Ok(plain.into()),
        Err(_) => Err(Undecodable::Garbage),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(compression: Compression) {
        let compress = |length| compress(&vec![0; length].into(), compression).unwrap();
        let (whole, name) = (compress(MAX_RESPONSE), name_of(compression).unwrap());
        assert_eq!(decompress(&whole, name).unwrap().len(), MAX_RESPONSE);
        assert!(whole.len() < MAX_RESPONSE / 100);
        let bomb = compress(MAX_RESPONSE + 1);
        assert_eq!(decompress(&bomb, name), Err(Undecodable::TooLarge));
        let torn = &whole[..whole.len() - 9];
        assert_eq!(decompress(torn, name), Err(Undecodable::Garbage));
        assert_eq!(decompress(b"abc", name), Err(Undecodable::Garbage));
    }

    #[test]
    fn compressed_bytes_are_decompressed_up_to_the_limit() {
        check(Compression::Gzip);
        #[cfg(feature = "zstd")]
        check(Compression::Zstd);
        assert_eq!(decompress(b"abc", "br"), Err(Undecodable::Garbage));
        assert_eq!(&*decompress(b"abc", "identity").unwrap(), b"abc");
    }
}
