//! OTLP over gRPC: the five-byte prefix of a message, and the meaning of a status.
//!
//! Why not tonic? Its own errors about a response are statuses too, and cannot be reported from those
//! that the receiver sent: a response that is too large is `OUT_OF_RANGE`, which OTLP treats as
//! retryable. It would also log, through the same pipeline that it is part of. A unary call is
//! small enough to implement directly.
//!
//! Source: gRPC over HTTP/2, `PROTOCOL-HTTP2.md`.

use std::borrow::Cow;

use barograph_model::grpc::Code;
use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use bytes::{BufMut, Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use percent_encoding::percent_decode;

use super::body::{RequestBody, Undecodable, decompress, name_of};
use super::config::Compression;
use super::response::{Arrival, OutcomeBuilder, Response, UNREADABLE};
use crate::outcome::Outcome;
use barograph_encode::otlp::{ExportResponse, RpcStatus};

/// Frames a message, compressed or not, as the body of a call.
pub(super) fn frame(message: Bytes, compression: Compression) -> RequestBody {
    let mut head = BytesMut::with_capacity(5);
    head.put_u8(u8::from(compression != Compression::None));
    head.put_u32(u32::try_from(message.len()).expect("a request is at most 64 MiB"));
    RequestBody::new(head.freeze(), message)
}

/// Adds the protocol's headers to those of a request.
pub(super) fn set_headers(headers: &mut HeaderMap, compression: Compression) {
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/grpc"),
    );
    headers.insert(header::TE, HeaderValue::from_static("trailers"));
    headers.insert("grpc-accept-encoding", HeaderValue::from_static(ACCEPTED));
    if let Some(name) = name_of(compression) {
        headers.insert("grpc-encoding", HeaderValue::from_static(name));
    }
}

/// The encodings that [`decompress`] supports.
const ACCEPTED: &str = match cfg!(feature = "zstd") {
    true => "identity,gzip,zstd",
    false => "identity,gzip",
};

/// Returns the outcome that a response means.
///
/// Source: OTLP 1.11, "OTLP/gRPC".
pub(super) fn outcome(response: &Response, outcomes: &OutcomeBuilder<'_>) -> Outcome {
    // A failure may have everything in the headers.
    let field = |name| {
        response
            .trailers
            .get(name)
            .or_else(|| response.headers.get(name))
    };
    let is_grpc = response
        .header("content-type")
        .is_some_and(|kind| kind.starts_with("application/grpc"));
    let code = field("grpc-status").map(|code| Code::parse(code.as_bytes()));
    let Some(code) = code.filter(|_| is_grpc || response.status == StatusCode::OK) else {
        return without_status(response, outcomes);
    };
    if code == Code::Ok {
        return match message(response) {
            Ok(message) => match ExportResponse::from_protobuf(&message) {
                Ok(response) => outcomes.delivered(response),
                Err(_) => outcomes.delivered_with(UNREADABLE),
            },
            Err(Undecodable::Garbage) => outcomes.delivered_with(UNREADABLE),
            Err(Undecodable::TooLarge) => outcomes.response_too_large(),
        };
    }
    let details = field("grpc-status-details-bin").and_then(details);
    let said = field("grpc-message")
        .map(|message| percent_decode(message.as_bytes()).decode_utf8_lossy())
        .unwrap_or_default();
    let text = match said.is_empty() {
        true => code.as_str().to_owned(),
        false => format!("{}: {said}", code.as_str()),
    };
    let retry = details.and_then(|details| details.retry);
    match code {
        // An intermediary may have given up on a receiver that did not.
        Code::Cancelled | Code::DeadlineExceeded => {
            outcomes.retryable(code.as_str(), &text, retry, Arrival::Possible)
        }
        Code::Aborted | Code::OutOfRange | Code::Unavailable | Code::DataLoss => {
            outcomes.retryable(code.as_str(), &text, retry, Arrival::Excluded)
        }
        // Retryable only if the receiver says when.
        Code::ResourceExhausted if retry.is_some() => {
            outcomes.retryable(code.as_str(), &text, retry, Arrival::Excluded)
        }
        _ => outcomes.permanent(code.as_str(), &text),
    }
}

/// Returns the outcome for a response that did not come from a gRPC server.
///
/// Source: gRPC, `http-grpc-status-mapping.md`. What it maps to `UNAVAILABLE` is retryable.
fn without_status(response: &Response, outcomes: &OutcomeBuilder<'_>) -> Outcome {
    let status = response.status;
    let error_type = status.as_str().to_owned();
    let message = match status {
        StatusCode::OK => "a response without a gRPC status: not a gRPC server?".to_owned(),
        status => format!("{status}, without a gRPC status"),
    };
    match status.as_u16() {
        429 | 503 => outcomes.retryable(error_type, &message, None, Arrival::Excluded),
        502 | 504 => outcomes.retryable(error_type, &message, None, Arrival::Possible),
        _ => outcomes.permanent(error_type, &message),
    }
}

/// Returns the single message of a response, decompressed.
fn message(response: &Response) -> Result<Cow<'_, [u8]>, Undecodable> {
    let garbage = Undecodable::Garbage;
    let (head, message) = response.body.split_first_chunk::<5>().ok_or(garbage)?;
    let [flag, length @ ..] = *head;
    if u32::from_be_bytes(length) as usize != message.len() {
        return Err(garbage);
    }
    match flag {
        0 => Ok(message.into()),
        1 => decompress(
            message,
            response.header("grpc-encoding").unwrap_or("unnamed"),
        ),
        _ => Err(garbage),
    }
}

/// Decodes the status in `grpc-status-details-bin`.
fn details(value: &HeaderValue) -> Option<RpcStatus> {
    // Padding is optional.
    const CONFIG: GeneralPurposeConfig =
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    let bytes = GeneralPurpose::new(&STANDARD, CONFIG).decode(value.as_bytes().trim_ascii());
    RpcStatus::from_protobuf(&bytes.ok()?).ok()
}
