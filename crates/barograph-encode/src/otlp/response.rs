//! Decoding of the protobuf messages that receivers return: export responses, and the status of a
//! failed call.
//!
//! The bytes come from the network. Decoding allocates no more than the strings in them, does not
//! recurse, and returns [`Malformed`] for any other input.
#![cfg_attr(not(test), warn(clippy::arithmetic_side_effects))]

use std::time::Duration;

use super::fields::{Fields, Malformed, Value};

/// The contents of an `ExportMetricsServiceResponse`, or of the corresponding message for traces or
/// logs, which has the same layout.
///
/// Source: OTLP 1.11, "Partial Success".
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExportResponse {
    /// The number of data points, spans or log records that the receiver rejected; only a receiver
    /// that violates the protocol sends a negative number.
    pub rejected: i64,
    /// The reason, or a warning if nothing was rejected.
    pub message: String,
}

/// The contents of a `google.rpc.Status`: the body of a failed HTTP response, or the details of a
/// gRPC status.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RpcStatus {
    /// The gRPC status code.
    pub code: i64,
    /// The error message, intended for developers.
    pub message: String,
    /// The delay of a `google.rpc.RetryInfo` among the details, by which the receiver signals that
    /// it expects to recover. Zero if the `RetryInfo` has no delay.
    pub retry: Option<Duration>,
}

impl ExportResponse {
    /// Decodes an export response.
    ///
    /// # Errors
    ///
    /// Returns [`Malformed`] if the bytes are not one.
    pub fn from_protobuf(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut response = ExportResponse::default();
        for field in Fields(bytes) {
            if let (1, Value::Bytes(partial)) = field? {
                for field in Fields(partial) {
                    match field? {
                        (1, Value::Number(rejected)) => response.rejected = rejected.cast_signed(),
                        (2, Value::Bytes(message)) => response.message = text(message),
                        _ => {}
                    }
                }
            }
        }
        Ok(response)
    }
}

impl RpcStatus {
    /// Decodes a status and its details.
    ///
    /// # Errors
    ///
    /// Returns [`Malformed`] if the bytes are not one. Details of other types are not decoded.
    pub fn from_protobuf(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut status = RpcStatus::default();
        for field in Fields(bytes) {
            match field? {
                (1, Value::Number(code)) => status.code = code.cast_signed(),
                (2, Value::Bytes(message)) => status.message = text(message),
                (3, Value::Bytes(detail)) => status.retry = retry_of(detail)?.or(status.retry),
                _ => {}
            }
        }
        Ok(status)
    }
}

/// Returns the delay if a `google.protobuf.Any` holds a `google.rpc.RetryInfo`.
fn retry_of(any: &[u8]) -> Result<Option<Duration>, Malformed> {
    let (mut url, mut value) = (&[][..], &[][..]);
    for field in Fields(any) {
        match field? {
            (1, Value::Bytes(bytes)) => url = bytes,
            (2, Value::Bytes(bytes)) => value = bytes,
            _ => {}
        }
    }
    // The part in front of the last slash is the authority of the type URL, and may be anything.
    if url.rsplit(|byte| *byte == b'/').next() != Some(b"google.rpc.RetryInfo") {
        return Ok(None);
    }
    let (mut seconds, mut nanos) = (0, 0);
    for field in Fields(value) {
        if let (1, Value::Bytes(delay)) = field? {
            for field in Fields(delay) {
                match field? {
                    (1, Value::Number(number)) => seconds = number.cast_signed(),
                    (2, Value::Number(number)) => nanos = number.cast_signed(),
                    _ => {}
                }
            }
        }
    }
    let seconds = Duration::from_secs(u64::try_from(seconds).unwrap_or(0));
    let nanos = u32::try_from(nanos)
        .ok()
        .filter(|nanos| *nanos < 1_000_000_000);
    Ok(Some(seconds.saturating_add(Duration::from_nanos(
        nanos.unwrap_or(0).into(),
    ))))
}

/// Decodes a string for display; invalid UTF-8 is replaced.
fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Encodes a field of bytes.
    fn bytes(number: u8, value: &[u8]) -> Vec<u8> {
        let length = u8::try_from(value.len()).unwrap();
        assert!(length < 0x80);
        [&[number << 3 | 2, length], value].concat()
    }

    #[test]
    fn an_export_response_is_decoded() {
        assert_eq!(
            ExportResponse::from_protobuf(&[]),
            Ok(ExportResponse::default())
        );
        // An unknown field, a fixed one, then partial_success { 300, "no" }.
        let partial = [&[8, 0xac, 2][..], &bytes(2, b"no")].concat();
        let message = [&[24, 1][..], &[0x25, 1, 2, 3, 4], &bytes(1, &partial)].concat();
        let response = ExportResponse::from_protobuf(&message).unwrap();
        assert_eq!((response.rejected, &*response.message), (300, "no"));
    }

    #[test]
    fn truncated_and_invalid_messages_are_malformed() {
        for torn in [
            &[10][..],         // No length.
            &[10, 5, 1],       // Shorter than its length.
            &[8],              // No number.
            &[0, 1],           // Field 0.
            &[11],             // A group.
            &[9, 1, 2, 3],     // Half a fixed64.
            &[10, 2, 8, 0x80], // Torn inside.
            &[0xff; 11],       // A varint without an end.
            b"<html>not found</html>",
        ] {
            assert_eq!(
                ExportResponse::from_protobuf(torn),
                Err(Malformed),
                "{torn:?}"
            );
        }
    }

    #[test]
    fn the_delay_of_retry_info_is_found_among_details() {
        let other = bytes(3, &bytes(1, b"type.googleapis.com/google.rpc.Help"));
        let delay = bytes(1, &[8, 3, 16, 0x80, 0xca, 0xb5, 0xee, 0x01]); // 3 s and 500,000,000 ns.
        let url = bytes(1, b"type.googleapis.com/google.rpc.RetryInfo");
        let info = bytes(3, &[url.clone(), bytes(2, &delay)].concat());
        let status = [&[8, 8][..], &bytes(2, b"slow down"), &other, &info].concat();
        let status = RpcStatus::from_protobuf(&status).unwrap();
        assert_eq!((status.code, &*status.message), (8, "slow down"));
        assert_eq!(status.retry, Some(Duration::from_millis(3_500)));
        // First `RetryInfo` without a delay, then no `RetryInfo`.
        let status = RpcStatus::from_protobuf(&bytes(3, &url)).unwrap();
        assert_eq!(status.retry, Some(Duration::ZERO));
        assert_eq!(RpcStatus::from_protobuf(&other).unwrap().retry, None);
    }

    #[test]
    fn a_negative_or_out_of_range_delay_counts_as_zero() {
        let varint = |mut value: u64| {
            let mut bytes = Vec::new();
            while value >= 0x80 {
                bytes.push(value as u8 | 0x80);
                value >>= 7;
            }
            bytes.push(value as u8);
            bytes
        };
        for (seconds, nanos, delay) in [
            (-1, 0, Duration::ZERO),
            (i64::MIN, i64::MIN, Duration::ZERO),
            (i64::MAX, 0, Duration::from_secs(i64::MAX as u64)),
            (
                i64::MAX,
                999_999_999,
                Duration::new(i64::MAX as u64, 999_999_999),
            ),
            (3, -1, Duration::from_secs(3)),
            (3, 1_000_000_000, Duration::from_secs(3)),
            (3, i64::MAX, Duration::from_secs(3)),
        ] {
            let url = bytes(1, b"google.rpc.RetryInfo");
            let seconds = varint(seconds.cast_unsigned());
            let nanos = varint(nanos.cast_unsigned());
            let both = [&[8][..], &seconds, &[16], &nanos].concat();
            let info = bytes(3, &[url, bytes(2, &bytes(1, &both))].concat());
            let status = RpcStatus::from_protobuf(&info).unwrap();
            assert_eq!(status.retry, Some(delay), "{both:?}");
        }
    }
}
