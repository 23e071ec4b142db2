//! Reads the status of a call, and derives from it whether the server failed and the method exists.

use std::error::Error;

use barograph_model::grpc::Code;
use http::{HeaderMap, StatusCode};

use barograph_tracing::instrument::{DebugStart, causes};

/// Returns the status in trailers, or in a response head that nothing follows, if there is one.
pub(super) fn of(headers: &HeaderMap) -> Option<Code> {
    let value = headers.get("grpc-status")?;
    Some(Code::parse(value.as_bytes()))
}

/// Maps an HTTP status to a gRPC one, if something between client and server answered.
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

/// Returns the status that a client derives from an error when the server sent none: the one that tonic
/// gives the caller, by the same rules, and `DEADLINE_EXCEEDED` for the timeout of a tower layer.
///
/// Source: gRPC, "Status codes and their use in gRPC"; tonic, `Status::from_error`.
pub(super) fn of_error(error: &(dyn Error + 'static)) -> Code {
    causes(error).find_map(of_cause).unwrap_or(Code::Unknown)
}

fn of_cause(error: &(dyn Error + 'static)) -> Option<Code> {
    if let Some(error) = error.downcast_ref::<hyper::Error>() {
        // A connection that does not answer pings, or one that was closed before it took the call.
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

/// Returns true if the server failed; a status about the request is not the server's fault.
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

/// Returns true if only the method's own code returns such a status.
///
/// Code that does not know the method, rejects the caller or runs out of time returns another status.
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
    fn answers_of_proxies_are_mapped_to_codes() {
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
