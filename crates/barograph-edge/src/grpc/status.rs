//! What the status of a call says about those who took part in it.

use std::error::Error;

use barograph_model::grpc::Code;
use http::{HeaderMap, StatusCode};

use crate::wire::{DebugStart, causes};

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

/// The status that a client makes of an error, where the server has told none: what tonic gives the
/// caller, by the same rules, and `DEADLINE_EXCEEDED` where a layer of tower ran out of time.
///
/// Source: gRPC, "Status codes and their use in gRPC"; tonic, `Status::from_error`.
pub(super) fn of_error(error: &(dyn Error + 'static)) -> Code {
    causes(error).find_map(of_cause).unwrap_or(Code::Unknown)
}

fn of_cause(error: &(dyn Error + 'static)) -> Option<Code> {
    if let Some(error) = error.downcast_ref::<hyper::Error>() {
        // A connection that does not answer pings, and one that was closed before it took the call.
        return match error.is_timeout() {
            true => Some(Code::Unavailable),
            false => error.is_canceled().then_some(Code::Cancelled),
        };
    }
    let looks = DebugStart::of(error);
    if let Some(status) = looks.as_str().strip_prefix("Status { code: ") {
        let name = status.split(|c: char| !c.is_alphanumeric()).next()?;
        return Some(Code::parse_name(name));
    }
    if looks.is_of_any(&["ConnectError"]) {
        Some(Code::Unavailable)
    } else if looks.is_of_any(&["TimeoutExpired"]) {
        Some(Code::Cancelled)
    } else {
        let elapsed = looks.is_of_any(&["Elapsed", "TimedOut"]);
        elapsed.then_some(Code::DeadlineExceeded)
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

/// Whether only the code of a method tells such a status.
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
