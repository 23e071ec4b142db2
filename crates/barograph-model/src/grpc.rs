//! The status codes of gRPC calls.

/// A gRPC status code.
///
/// ```
/// use barograph_model::grpc::Code;
/// assert_eq!(Code::parse(b"5"), Code::NotFound);
/// assert_eq!(Code::NotFound.as_str(), "NOT_FOUND");
/// // What nobody knows is one of the codes, too.
/// assert_eq!(Code::parse(b"17"), Code::Unknown);
/// ```
///
/// Source: gRPC, "Status codes and their use in gRPC".
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Code {
    /// The call succeeded.
    Ok,
    /// The call was cancelled, typically by the caller.
    Cancelled,
    /// The call failed with an unknown error.
    Unknown,
    /// An argument is invalid, whatever the state of the server is.
    InvalidArgument,
    /// The deadline of the caller passed before the call completed.
    DeadlineExceeded,
    /// The requested entity was not found.
    NotFound,
    /// The entity to be created already exists.
    AlreadyExists,
    /// The caller is identified, but not permitted to make the call.
    PermissionDenied,
    /// A resource is exhausted, such as a quota or storage.
    ResourceExhausted,
    /// The server is not in the required state; a retry does not help.
    FailedPrecondition,
    /// The call conflicted with others; the whole operation may be retried.
    Aborted,
    /// The call went past the valid range.
    OutOfRange,
    /// The server does not implement the method.
    Unimplemented,
    /// An invariant of the server is broken.
    Internal,
    /// The server is unavailable at this moment.
    Unavailable,
    /// Data is lost or corrupted for good.
    DataLoss,
    /// The caller is not authenticated.
    Unauthenticated,
}

/// All codes in the order of their numbers, with their names.
const ALL: [(Code, &str); 17] = [
    (Code::Ok, "OK"),
    (Code::Cancelled, "CANCELLED"),
    (Code::Unknown, "UNKNOWN"),
    (Code::InvalidArgument, "INVALID_ARGUMENT"),
    (Code::DeadlineExceeded, "DEADLINE_EXCEEDED"),
    (Code::NotFound, "NOT_FOUND"),
    (Code::AlreadyExists, "ALREADY_EXISTS"),
    (Code::PermissionDenied, "PERMISSION_DENIED"),
    (Code::ResourceExhausted, "RESOURCE_EXHAUSTED"),
    (Code::FailedPrecondition, "FAILED_PRECONDITION"),
    (Code::Aborted, "ABORTED"),
    (Code::OutOfRange, "OUT_OF_RANGE"),
    (Code::Unimplemented, "UNIMPLEMENTED"),
    (Code::Internal, "INTERNAL"),
    (Code::Unavailable, "UNAVAILABLE"),
    (Code::DataLoss, "DATA_LOSS"),
    (Code::Unauthenticated, "UNAUTHENTICATED"),
];

impl Code {
    /// Parses the value of a `grpc-status`. Any other value is [`Unknown`](Code::Unknown).
    pub fn parse(value: &[u8]) -> Self {
        let text = std::str::from_utf8(value).ok();
        let number = text.and_then(|text| text.trim().parse::<usize>().ok());
        let found = number.and_then(|number| ALL.get(number));
        found.map_or(Code::Unknown, |(code, _)| *code)
    }

    /// Parses a name as the gRPC libraries for Rust show it: `NotFound`. Any other name is
    /// [`Unknown`](Code::Unknown).
    pub fn parse_name(name: &str) -> Self {
        let letters = |name: &'static str| name.bytes().filter(|byte| *byte != b'_');
        let found = ALL.iter().find(|(_, known)| {
            let known = letters(known).map(|byte| byte.to_ascii_lowercase());
            known.eq(name.bytes().map(|byte| byte.to_ascii_lowercase()))
        });
        found.map_or(Code::Unknown, |(code, _)| *code)
    }

    /// Returns its name: `NOT_FOUND`.
    pub fn as_str(self) -> &'static str {
        ALL[self as usize].1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_read_by_number_and_what_is_none_is_unknown() {
        for (number, (code, name)) in ALL.into_iter().enumerate() {
            assert_eq!(Code::parse(number.to_string().as_bytes()), code);
            assert_eq!(code.as_str(), name);
            assert_eq!(Code::parse_name(&format!("{code:?}")), code);
        }
        assert_eq!(Code::parse_name("NOT_FOUND"), Code::Unknown);
        for value in ["17", "-1", "", "300", "\u{ff11}", "0x1", "1 1"] {
            assert_eq!(Code::parse(value.as_bytes()), Code::Unknown, "{value}");
        }
        assert_eq!(Code::parse(b"\xff"), Code::Unknown);
        assert_eq!(Code::parse(b" 14 "), Code::Unavailable);
    }
}
