//! Errors as values of `error.type`: one name for one cause, whatever error type wraps it, and nothing
//! from the error message.

use std::any::{Any, type_name};
use std::error::Error;
use std::fmt::{self, Write};
use std::io::{self, ErrorKind};
use std::iter;

use barograph_model::cause::{CONNECTION_FAILED, NAME_RESOLUTION, TIMEOUT, TLS, of_io};
use hyper_util::client::legacy;

/// A boxed error of any type, as used by tower services.
pub type BoxError = Box<dyn Error + Send + Sync>;

/// The value for an error whose cause is unknown.
pub const OTHER: &str = "_OTHER";

/// Returns the cause of an error, as a value of `error.type`.
///
/// Each cause has one name, the same for clients of hyper-util, reqwest and tonic, for boxed errors of
/// tower, and for [operations](crate::observe) that fail because of one.
///
/// | name | meaning |
/// |---|---|
/// | `connection_refused` | nothing listens there |
/// | `connection_reset` | the other side, or something in between, reset the connection |
/// | `connection_aborted` | this side aborted the connection |
/// | `connection_closed` | the other side closed the connection before the response was complete |
/// | `connection_failed` | no connection could be made, for another reason |
/// | `host_unreachable`, `network_unreachable` | there is no route to the other side |
/// | `address_not_available` | the address does not belong to this machine, or its ports are used up |
/// | `name_resolution` | the host name could not be resolved |
/// | `tls` | the certificate is not trusted, or the other side does not speak TLS |
/// | `timeout` | a timeout expired |
/// | `protocol_error` | the response is not HTTP |
/// | `too_many_redirects` | reqwest's redirect limit was exceeded |
/// | the path of a type | an error of another type, whose sources cannot be read |
/// | `_OTHER` | any other error |
pub fn error_type<E: 'static>(error: &E) -> &'static str {
    match as_error(error) {
        Some(error) => cause(error).unwrap_or(OTHER),
        None => name_of::<E>(),
    }
}

/// Returns the cause of an error whose type is one of those that HTTP clients return, or a box.
pub fn known_cause<E: 'static>(error: &E) -> Option<&'static str> {
    cause(as_error(error)?)
}

/// Returns the error, if its type is one whose sources can be read.
///
/// `E` has no bound, because the boxed errors of tower do not implement `Error`. So the types that
/// HTTP clients return are tried one by one.
fn as_error<E: 'static>(error: &E) -> Option<&(dyn Error + 'static)> {
    let any: &dyn Any = error;
    if let Some(boxed) = any.downcast_ref::<BoxError>() {
        return Some(&**boxed);
    }
    if let Some(boxed) = any.downcast_ref::<Box<dyn Error>>() {
        return Some(&**boxed);
    }
    fn of<T: Error + 'static>(any: &dyn Any) -> Option<&(dyn Error + 'static)> {
        any.downcast_ref::<T>().map(|error| error as _)
    }
    of::<legacy::Error>(any)
        .or_else(|| of::<hyper::Error>(any))
        .or_else(|| of::<io::Error>(any))
}

/// Returns the path of a type without its parameters, which may be types that a reader cannot tell apart.
/// A type that contains `dyn` is `_OTHER`.
fn name_of<E>() -> &'static str {
    let name = type_name::<E>();
    if name.contains("dyn ") {
        return OTHER;
    }
    name.split('<').next().unwrap_or(name)
}

/// Returns an error and its sources, the outermost first.
pub fn causes<'a>(
    error: &'a (dyn Error + 'static),
) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    // An endless chain of sources is a bug of its type, and must not loop here.
    iter::successors(Some(error), |error| behind(*error)).take(DEEPEST)
}

fn behind<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a (dyn Error + 'static)> {
    match error.downcast_ref::<io::Error>() {
        // `source` would skip the error that it was created from.
        Some(error) => error.get_ref().map(|inner| inner as _),
        None => error.source(),
    }
}

/// Returns the cause of an error as a name, or none if it is unknown.
pub fn cause(error: &(dyn Error + 'static)) -> Option<&'static str> {
    // Set if the error is about making a connection; `less` is the result if no source says more.
    let (mut connects, mut less) = (false, None);
    for cause in causes(error) {
        if let Some(error) = cause.downcast_ref::<io::Error>() {
            match error.kind() {
                // TLS libraries report errors like this. Elsewhere it may be anything, such as bad gzip.
                ErrorKind::InvalidData if connects => return Some(TLS),
                kind => match of_io(kind).or_else(|| resolving(error)) {
                    Some(word) => return Some(word),
                    None => continue,
                },
            }
        } else if let Some(error) = cause.downcast_ref::<hyper::Error>() {
            if error.is_timeout() {
                return Some(TIMEOUT);
            }
            less = if error.is_incomplete_message() || error.is_canceled() || error.is_closed() {
                Some("connection_closed")
            } else if error.is_parse() {
                Some("protocol_error")
            } else {
                less
            };
        } else if let Some(error) = cause.downcast_ref::<legacy::Error>() {
            connects |= error.is_connect();
        } else {
            let looks = DebugStart::of(cause);
            if looks.is_of_any(&["Elapsed", "TimedOut", "TimeoutExpired"]) {
                return Some(TIMEOUT);
            }
            if looks.as_str().starts_with("ConnectError(\"dns error\"") {
                return Some(NAME_RESOLUTION);
            }
            connects |= looks.is_of_any(&["ConnectError"]);
        }
    }
    less.or(connects.then_some(CONNECTION_FAILED))
}

/// Returns the cause for a failed name resolution, for which the standard library has no kind.
fn resolving(error: &io::Error) -> Option<&'static str> {
    let mut start = DebugStart::default();
    let _ = write!(start, "{error}");
    let unix = start.as_str().starts_with("failed to lookup address");
    // WSAHOST_NOT_FOUND, WSATRY_AGAIN, WSANO_RECOVERY, WSANO_DATA.
    let windows = cfg!(windows) && matches!(error.raw_os_error(), Some(11001..=11004));
    (unix || windows).then_some(NAME_RESOLUTION)
}

/// The first bytes of an error's `Debug` output, which begins with the name of its type if that is
/// derived.
///
/// It identifies types that cannot be named here: those of tonic, tower and tokio, of which several
/// versions may be in one program, and private ones of reqwest and hyper-util. If the output of a type
/// changes in a later version, its error becomes `_OTHER`.
#[derive(Debug)]
pub struct DebugStart {
    bytes: [u8; Self::LENGTH],
    length: usize,
}

impl DebugStart {
    const LENGTH: usize = 40;

    /// Formats the error as far as there is room.
    pub fn of(error: &dyn Error) -> Self {
        let mut start = DebugStart::default();
        // It fails when the buffer is full.
        let _ = write!(start, "{error:?}");
        start
    }

    /// Returns the text, cut after a complete character.
    pub fn as_str(&self) -> &str {
        let bytes = &self.bytes[..self.length];
        match str::from_utf8(bytes) {
            Ok(text) => text,
            // The last character was cut.
            Err(error) => str::from_utf8(&bytes[..error.valid_up_to()]).unwrap_or_default(),
        }
    }

    /// Returns true if the type name at the beginning is one of these.
    pub fn is_of_any(&self, names: &[&str]) -> bool {
        let text = self.as_str();
        let name = text.find(|c: char| !c.is_alphanumeric() && c != '_');
        names.contains(&&text[..name.unwrap_or(text.len())])
    }
}

impl Default for DebugStart {
    fn default() -> Self {
        DebugStart {
            bytes: [0; Self::LENGTH],
            length: 0,
        }
    }
}

impl Write for DebugStart {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = &mut self.bytes[self.length..];
        let written = text.len().min(room.len());
        room[..written].copy_from_slice(&text.as_bytes()[..written]);
        self.length += written;
        match written == text.len() {
            true => Ok(()),
            false => Err(fmt::Error),
        }
    }
}

/// The maximum number of chained errors that are examined.
const DEEPEST: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_named_by_type_or_by_the_error_of_the_system() {
        let refused = || io::Error::from(ErrorKind::ConnectionRefused);
        assert_eq!(error_type(&refused()), "connection_refused");
        let boxed: BoxError = refused().into();
        assert_eq!(error_type(&boxed), "connection_refused");
        let wrapped: BoxError = io::Error::other(io::Error::other(refused())).into();
        assert_eq!(error_type(&wrapped), "connection_refused");
        let boxed: BoxError = "secret".into();
        assert_eq!(error_type(&boxed), "_OTHER");
        let anything: Box<dyn Error> = "secret".into();
        assert_eq!(error_type(&anything), "_OTHER");
        assert_eq!(error_type(&fmt::Error), "core::fmt::Error");
        assert_eq!(error_type(&Some(1_u8)), "core::option::Option");
    }

    #[test]
    fn types_that_cannot_be_named_are_known_by_how_they_look() {
        #[derive(Debug)]
        #[allow(dead_code, reason = "it is looked at")]
        struct Elapsed(());
        impl fmt::Display for Elapsed {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("secret")
            }
        }
        impl Error for Elapsed {}
        let boxed: BoxError = Elapsed(()).into();
        assert_eq!(error_type(&boxed), "timeout");

        #[derive(Debug)]
        struct ElapsedLonger;
        impl fmt::Display for ElapsedLonger {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("Elapsed")
            }
        }
        impl Error for ElapsedLonger {}
        let boxed: BoxError = ElapsedLonger.into();
        assert_eq!(error_type(&boxed), "_OTHER");
    }

    #[test]
    fn an_unknown_host_is_distinguished_from_other_errors_of_the_system() {
        use std::net::ToSocketAddrs;
        // RFC 6761: no name exists below `invalid`, whether a name server can be reached or not.
        let failed = ("nobody.invalid", 80).to_socket_addrs().unwrap_err();
        assert_eq!(error_type(&failed), "name_resolution");
        let other = io::Error::from(ErrorKind::PermissionDenied);
        assert_eq!(error_type(&other), "_OTHER");
    }

    #[test]
    fn a_chain_without_an_end_is_left() {
        #[derive(Debug)]
        struct Endless;
        impl fmt::Display for Endless {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("again")
            }
        }
        impl Error for Endless {
            fn source(&self) -> Option<&(dyn Error + 'static)> {
                Some(&Endless)
            }
        }
        assert_eq!(cause(&Endless), None);
    }

    #[test]
    fn the_beginning_of_a_text_is_cut_between_characters() {
        for before in DebugStart::LENGTH - 4..=DebugStart::LENGTH {
            let mut start = DebugStart::default();
            let _ = write!(start, "{}ä{}", "a".repeat(before), "b".repeat(9));
            assert!(start.as_str().starts_with(&"a".repeat(before)));
            assert!(start.as_str().len() <= DebugStart::LENGTH);
        }
    }
}
