//! What the status of a call says about those who took part in it.

use barograph_model::grpc::Code;
use http::{HeaderMap, StatusCode};

/// The status in trailers, or in a head that nothing follows. None where none is told.
pub(super) fn of(headers: &HeaderMap) -> Option<Code> {
    let value = headers.get("grpc-status")?;
    Some(Code::parse(value.as_bytes()))
}

/// What a status of HTTP means where something between client and server has answered.
///
/// Source: gRPC, "HTTP to gRPC Status Code Mapping".
pub(super) fn of_http(status: StatusCode) -> Code {
    match status.as_u16() {
        400 => Code::Internal,
        401 => Code::Unauthenticated,
        403 => Code::PermissionDenied,
        404 => Code::Unimplemented,
        429 | 502 | 503 | 504 => Code::Unavailable,
        _ => Code::Unknown,
    }
}

/// Whether something is wrong with the server: what it says of the request is none of its own.
///
/// Source: OpenTelemetry semantic conventions 1.44, "gRPC".
pub(super) fn is_servers_fault(code: Code) -> bool {
    matches!(
        code,
        Code::Unknown
            | Code::DeadlineExceeded
            | Code::Unimplemented
            | Code::Internal
            | Code::Unavailable
            | Code::DataLoss
    )
}

/// Whether only the code of a method says so.
///
/// Who does not know the method, does not know the caller or has no time says something else.
pub(super) fn is_of_a_method(code: Code) -> bool {
    matches!(
        code,
        Code::Ok
            | Code::Unknown
            | Code::InvalidArgument
            | Code::NotFound
            | Code::AlreadyExists
            | Code::FailedPrecondition
            | Code::Aborted
            | Code::OutOfRange
            | Code::Internal
            | Code::DataLoss
    )
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn a_status_is_read_where_there_is_one() {
        let name = http::HeaderName::from_static("grpc-status");
        let headers = HeaderMap::from_iter([(name, HeaderValue::from_static("5"))]);
        assert_eq!(of(&headers), Some(Code::NotFound));
        assert_eq!(of(&HeaderMap::new()), None);
    }

    #[test]
    fn answers_of_what_is_in_between_have_a_meaning() {
        let http = |status| of_http(StatusCode::from_u16(status).unwrap());
        assert_eq!(
            [404, 503, 401, 500].map(http),
            [
                Code::Unimplemented,
                Code::Unavailable,
                Code::Unauthenticated,
                Code::Unknown
            ]
        );
    }
}
