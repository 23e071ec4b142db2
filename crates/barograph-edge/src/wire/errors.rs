//! Errors as values of `error.type`: few different ones, and nothing of what they say.

use std::any::{Any, type_name};
use std::error::Error;
use std::io::{self, ErrorKind};

type BoxError = Box<dyn Error + Send + Sync>;

/// What kind of error this is: the name of its type, or, where errors of any type are in a box, what
/// the system says of it, else `_OTHER`.
pub(crate) fn error_type<E: 'static>(error: &E) -> &'static str {
    let name = type_name::<E>();
    match (error as &dyn Any).downcast_ref::<BoxError>() {
        Some(boxed) => of_system(&**boxed).unwrap_or("_OTHER"),
        None if name.contains("dyn ") => "_OTHER",
        None => name,
    }
}

/// What the system says of an error, if that is what is behind it.
pub(crate) fn of_system(error: &(dyn Error + 'static)) -> Option<&'static str> {
    let mut causes = std::iter::successors(Some(error), |cause| (*cause).source());
    let error = causes.find_map(|cause| cause.downcast_ref::<io::Error>())?;
    Some(match error.kind() {
        ErrorKind::ConnectionRefused => "connection_refused",
        ErrorKind::ConnectionReset => "connection_reset",
        ErrorKind::ConnectionAborted => "connection_aborted",
        ErrorKind::BrokenPipe => "broken_pipe",
        ErrorKind::TimedOut => "timeout",
        ErrorKind::UnexpectedEof => "unexpected_eof",
        ErrorKind::HostUnreachable => "host_unreachable",
        ErrorKind::NetworkUnreachable => "network_unreachable",
        _ => "std::io::Error",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_told_by_type_or_by_what_the_system_says() {
        let boxed: BoxError = io::Error::from(ErrorKind::ConnectionRefused).into();
        assert_eq!(error_type(&boxed), "connection_refused");
        let boxed: BoxError = "secret".into();
        assert_eq!(error_type(&boxed), "_OTHER");
        let anything: Box<dyn Error> = "secret".into();
        assert_eq!(error_type(&anything), "_OTHER");
        assert_eq!(error_type(&std::fmt::Error), "core::fmt::Error");
    }
}
