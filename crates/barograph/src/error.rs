//! Errors of starting and serving.

use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::net::SocketAddr;

use barograph_config::variables::{HOST, PORT};
#[cfg(feature = "otlp")]
use barograph_export::persistent_queue::PersistentQueueError;

/// An error of serving an app. Its `Debug` is its `Display` with all causes, since `main` prints
/// `Debug`.
#[cfg(feature = "axum")]
#[non_exhaustive]
pub enum ServeError {
    /// The address of the app could not be bound.
    Listen {
        /// The address, as it was given.
        address: String,
        /// The cause.
        source: io::Error,
    },
    /// The signals that end the service cannot be handled, or the thread that ends it in order could
    /// not be created.
    Signals {
        /// The cause.
        source: io::Error,
    },
}

#[cfg(feature = "axum")]
impl fmt::Display for ServeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ServeError::Listen { address, .. } => write!(f, "cannot serve on {address}"),
            ServeError::Signals { .. } => {
                f.write_str("cannot start the thread that ends the service in order")
            }
        }
    }
}

#[cfg(feature = "axum")]
impl fmt::Debug for ServeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        with_causes(self, f)
    }
}

#[cfg(feature = "axum")]
impl StdError for ServeError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            ServeError::Listen { source, .. } | ServeError::Signals { source } => Some(source),
        }
    }
}

/// An error of starting telemetry. Its `Debug` is its `Display` with all causes, since `main` prints
/// `Debug`.
///
/// ```
/// let taken = std::net::TcpListener::bind("127.0.0.1:0")?;
/// let address = taken.local_addr()?;
/// let error = barograph::Telemetry::builder("shop").with_address(address).start().unwrap_err();
/// assert_eq!(
///     format!("{error:?}"),
///     format!("cannot serve metrics on {address}: the port is taken; \
///              OTEL_EXPORTER_PROMETHEUS_PORT chooses another, 0 a free one")
/// );
/// # Ok::<(), std::io::Error>(())
/// ```
#[non_exhaustive]
pub enum StartError {
    /// Another program listens on the address of the pages.
    PortTaken {
        /// The address that is taken.
        address: SocketAddr,
    },
    /// The address of the pages could not be bound.
    Listen {
        /// Host and port, as they were given.
        address: String,
        /// The cause.
        source: io::Error,
    },
    /// The program allowed an invalid host.
    AllowedHost {
        /// The host as given.
        host: String,
    },
    /// The thread that serves the pages could not be created.
    Thread {
        /// The cause.
        source: io::Error,
    },
    /// The program set an invalid OTLP endpoint.
    #[cfg(feature = "otlp")]
    Endpoint {
        /// The endpoint as given, without secrets.
        endpoint: String,
        /// A description of a valid one.
        expected: &'static str,
    },
    /// The persistent queue of undelivered telemetry cannot be used.
    #[cfg(feature = "otlp")]
    PersistentQueue {
        /// The cause.
        source: PersistentQueueError,
    },
    /// The thread that exports could not be created.
    Push {
        /// The cause.
        source: io::Error,
    },
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StartError::PortTaken { address } => write!(
                f,
                "cannot serve metrics on {address}: the port is taken; {} chooses another, 0 a \
                 free one",
                PORT.name
            ),
            StartError::Listen { address, .. } => write!(
                f,
                "cannot serve metrics on {address}, which {} and {} choose",
                HOST.name, PORT.name
            ),
            StartError::AllowedHost { host } => write!(
                f,
                "cannot allow the host {host:?}, expected a host name or an address without a port, \
                 or *"
            ),
            StartError::Thread { .. } => f.write_str("cannot start the thread that serves metrics"),
            #[cfg(feature = "otlp")]
            StartError::Endpoint { endpoint, expected } => {
                write!(f, "cannot push to {endpoint:?}, expected {expected}")
            }
            #[cfg(feature = "otlp")]
            StartError::PersistentQueue { .. } => f.write_str("cannot open the persistent queue"),
            StartError::Push { .. } => f.write_str("cannot start the export thread"),
        }
    }
}

impl fmt::Debug for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        with_causes(self, f)
    }
}

impl StdError for StartError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            StartError::PortTaken { .. } | StartError::AllowedHost { .. } => None,
            #[cfg(feature = "otlp")]
            StartError::Endpoint { .. } => None,
            #[cfg(feature = "otlp")]
            StartError::PersistentQueue { source } => Some(source),
            StartError::Listen { source, .. }
            | StartError::Thread { source }
            | StartError::Push { source } => Some(source),
        }
    }
}

fn with_causes(error: &dyn StdError, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    write!(f, "{error}")?;
    let mut cause = error.source();
    while let Some(error) = cause {
        write!(f, ": {error}")?;
        cause = error.source();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_is_a_sentence_with_its_causes() {
        let refused = || io::Error::new(io::ErrorKind::PermissionDenied, "permission denied");
        let error = StartError::Listen {
            address: "0.0.0.0:80".into(),
            source: refused(),
        };
        assert_eq!(
            format!("{error:?}"),
            "cannot serve metrics on 0.0.0.0:80, which OTEL_EXPORTER_PROMETHEUS_HOST and \
             OTEL_EXPORTER_PROMETHEUS_PORT choose: permission denied"
        );
        #[cfg(feature = "axum")]
        assert_eq!(
            format!(
                "{:?}",
                ServeError::Listen {
                    address: "127.0.0.1:80".into(),
                    source: refused(),
                }
            ),
            "cannot serve on 127.0.0.1:80: permission denied"
        );
    }
}
