//! How a call of gRPC has ended.

/// A status code of gRPC.
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
    /// It went well.
    Ok,
    /// The caller did not want it any more.
    Cancelled,
    /// It failed, and nobody says how.
    Unknown,
    /// What was asked for makes no sense, whatever the state of the server is.
    InvalidArgument,
    /// It took longer than the caller would wait.
    DeadlineExceeded,
    /// What was asked for is not there.
    NotFound,
    /// What was to be made is there.
    AlreadyExists,
    /// The caller is known, and may not do that.
    PermissionDenied,
    /// There is no more of something: of a quota, of room.
    ResourceExhausted,
    /// The server is in no state to do it; trying again does not help.
    FailedPrecondition,
    /// Others were in the way; the whole may be tried again.
    Aborted,
    /// It was tried beyond the end of something.
    OutOfRange,
    /// The server does not know the method.
    Unimplemented,
    /// Something that must hold does not.
    Internal,
    /// The server is not there at this moment.
    Unavailable,
    /// Something is lost or broken for good.
    DataLoss,
    /// Nobody knows who the caller is.
    Unauthenticated,
}

/// By number, with their names.
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
    /// The code in the value of a `grpc-status`. What is none is [`Unknown`](Code::Unknown).
    pub fn parse(value: &[u8]) -> Self {
        let text = std::str::from_utf8(value).ok();
        let number = text.and_then(|text| text.trim().parse::<usize>().ok());
        let found = number.and_then(|number| ALL.get(number));
        found.map_or(Code::Unknown, |(code, _)| *code)
    }

    /// The code of a name as the libraries of gRPC for Rust show it: `NotFound`. What is none is
    /// [`Unknown`](Code::Unknown).
    pub fn parse_name(name: &str) -> Self {
        let letters = |name: &'static str| name.bytes().filter(|byte| *byte != b'_');
        let found = ALL.iter().find(|(_, known)| {
            let known = letters(known).map(|byte| byte.to_ascii_lowercase());
            known.eq(name.bytes().map(|byte| byte.to_ascii_lowercase()))
        });
        found.map_or(Code::Unknown, |(code, _)| *code)
    }

    /// Its name: `NOT_FOUND`.
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
