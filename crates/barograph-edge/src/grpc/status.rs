//! How a call has ended.

use http::{HeaderMap, StatusCode};

/// A status code of gRPC, or one that is not known.
///
/// Source: gRPC, "Status codes and their use in gRPC".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Status(u8);

impl Status {
    pub(super) const OK: Status = Status(0);
    pub(super) const CANCELLED: Status = Status(1);
    pub(super) const UNKNOWN: Status = Status(2);

    /// The status in trailers, or in a head that nothing follows. None where none is told.
    pub(super) fn of(headers: &HeaderMap) -> Option<Self> {
        let value = headers.get("grpc-status")?;
        let code = value.to_str().ok().and_then(|text| text.parse().ok());
        let known = code.filter(|code| usize::from(*code) < NAMES.len());
        Some(known.map_or(Status::UNKNOWN, Status))
    }

    /// What a status of HTTP means where something between client and server has answered.
    ///
    /// Source: gRPC, "HTTP to gRPC Status Code Mapping".
    pub(super) fn of_http(status: StatusCode) -> Self {
        Status(match status.as_u16() {
            400 => 13,
            401 => 16,
            403 => 7,
            404 => 12,
            429 | 502 | 503 | 504 => 14,
            _ => 2,
        })
    }

    /// Its name: `NOT_FOUND`.
    pub(super) fn as_str(self) -> &'static str {
        NAMES[usize::from(self.0)]
    }

    /// Whether something is wrong with the server: what it says of the request is none of its own.
    pub(super) fn is_servers_fault(self) -> bool {
        matches!(self.0, 2 | 4 | 12 | 13 | 14 | 15)
    }

    /// Whether only the code of a method says so.
    ///
    /// Who does not know the method, does not know the caller or has no time says something else.
    pub(super) fn is_of_a_method(self) -> bool {
        matches!(self.0, 0 | 2 | 3 | 5 | 6 | 9 | 10 | 11 | 13 | 15)
    }
}

const NAMES: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn a_status_is_read_and_what_is_none_is_unknown() {
        let read = |value: &'static str| {
            let name = http::HeaderName::from_static("grpc-status");
            let headers = HeaderMap::from_iter([(name, HeaderValue::from_static(value))]);
            Status::of(&headers).map(Status::as_str)
        };
        assert_eq!(Status::of(&HeaderMap::new()), None);
        for (value, name) in [
            ("0", "OK"),
            ("5", "NOT_FOUND"),
            ("16", "UNAUTHENTICATED"),
            ("17", "UNKNOWN"),
            ("-1", "UNKNOWN"),
            ("", "UNKNOWN"),
            ("300", "UNKNOWN"),
        ] {
            assert_eq!(read(value), Some(name), "{value}");
        }
        let http = |status| Status::of_http(StatusCode::from_u16(status).unwrap()).as_str();
        assert_eq!(
            [404, 503, 401, 500].map(http),
            ["UNIMPLEMENTED", "UNAVAILABLE", "UNAUTHENTICATED", "UNKNOWN"]
        );
    }
}
