//! Causes of failed connections, as values of `error.type`.

use std::io::ErrorKind;

/// Returns the cause for an error kind of the system, or `None` if the kind is not about a connection.
///
/// ```
/// use barograph_model::cause;
/// use std::io::ErrorKind;
/// assert_eq!(cause::of_io(ErrorKind::ConnectionRefused), Some("connection_refused"));
/// assert_eq!(cause::of_io(ErrorKind::NotFound), None);
/// ```
pub fn of_io(kind: ErrorKind) -> Option<&'static str> {
    Some(match kind {
        ErrorKind::ConnectionRefused => "connection_refused",
        ErrorKind::ConnectionReset => "connection_reset",
        ErrorKind::ConnectionAborted => "connection_aborted",
        ErrorKind::BrokenPipe | ErrorKind::NotConnected | ErrorKind::UnexpectedEof => {
            "connection_closed"
        }
        ErrorKind::TimedOut => TIMEOUT,
        ErrorKind::HostUnreachable => "host_unreachable",
        ErrorKind::NetworkUnreachable | ErrorKind::NetworkDown => "network_unreachable",
        ErrorKind::AddrNotAvailable => "address_not_available",
        _ => return None,
    })
}

/// No connection could be made, for a reason without its own value.
pub const CONNECTION_FAILED: &str = "connection_failed";

/// The name of a host could not be resolved.
pub const NAME_RESOLUTION: &str = "name_resolution";

/// A time limit was exceeded.
pub const TIMEOUT: &str = "timeout";

/// The peer cannot be trusted, or does not speak TLS.
pub const TLS: &str = "tls";
