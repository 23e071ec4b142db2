//! Errors of starting and serving.

use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::net::SocketAddr;

use barograph_config::variables::{HOST, PORT};
use barograph_core::spec::RegisterError;
use barograph_core::stats::LabelsRefused;
#[cfg(feature = "otlp")]
use barograph_export::persistent_queue::PersistentQueueError;
use barograph_model::name::InvalidLabel;

/// The return type of `main`: nothing, or an [`Error`] that prints as a sentence.
pub type Result<T = (), E = Error> = std::result::Result<T, E>;

/// An error that ended a service. Its `Debug` is its `Display` with all causes, since `main` prints
/// `Debug`.
///
/// ```
/// let taken = std::net::TcpListener::bind("127.0.0.1:0")?;
/// let address = taken.local_addr()?;
/// let error = barograph::Telemetry::builder("shop").with_address(address).start().unwrap_err();
/// assert_eq!(
///     format!("{:?}", barograph::Error::from(error)),
///     format!("cannot serve metrics on {address}: the port is taken; \
///              OTEL_EXPORTER_PROMETHEUS_PORT chooses another, 0 a free one")
/// );
/// # Ok::<(), std::io::Error>(())
/// ```
#[non_exhaustive]
pub enum Error {
    /// The telemetry could not be started.
    Start(StartError),
    /// The service's own address could not be bound.
    Listen {
        /// The address, as it was given.
        address: String,
        /// The cause.
        source: io::Error,
    },
    /// A family could not be registered.
    Register(RegisterError),
    /// Any other error from the service's own code.
    Other(Box<dyn StdError + Send + Sync>),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Start(error) => error.fmt(f),
            Error::Listen { address, .. } => write!(f, "cannot serve on {address}"),
            Error::Register(error) => error.fmt(f),
            Error::Other(error) => error.fmt(f),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        with_causes(self, f)
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            Error::Start(error) => error.source(),
            Error::Listen { source, .. } => Some(source),
            Error::Register(error) => error.source(),
            Error::Other(error) => error.source(),
        }
    }
}

impl From<StartError> for Error {
    fn from(error: StartError) -> Self {
        Error::Start(error)
    }
}

impl From<RegisterError> for Error {
    fn from(error: RegisterError) -> Self {
        Error::Register(error)
    }
}

impl From<LabelsRefused> for Error {
    fn from(error: LabelsRefused) -> Self {
        Error::Other(error.into())
    }
}

impl From<InvalidLabel> for Error {
    fn from(error: InvalidLabel) -> Self {
        Error::Other(error.into())
    }
}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        Error::Other(error.into())
    }
}

impl From<Box<dyn StdError + Send + Sync>> for Error {
    fn from(error: Box<dyn StdError + Send + Sync>) -> Self {
        Error::Other(error)
    }
}

/// An error of starting telemetry. Its `Debug` is its `Display` with all causes.
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
        let error = Error::from(StartError::Listen {
            address: "0.0.0.0:80".into(),
            source: refused(),
        });
        assert_eq!(
            format!("{error:?}"),
            "cannot serve metrics on 0.0.0.0:80, which OTEL_EXPORTER_PROMETHEUS_HOST and \
             OTEL_EXPORTER_PROMETHEUS_PORT choose: permission denied"
        );
        let error = Error::Listen {
            address: "127.0.0.1:80".into(),
            source: refused(),
        };
        assert_eq!(
            format!("{error:?}"),
            "cannot serve on 127.0.0.1:80: permission denied"
        );
        assert_eq!(format!("{:?}", Error::from(refused())), "permission denied");
    }
}
