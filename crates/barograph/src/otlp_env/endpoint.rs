//! Endpoints: the text of a variable, parsed by the rules of the client.

use std::fmt;

use barograph_encode::otlp::Signal;
use barograph_export::client::{self, ClientConfig, InvalidUrl, Protocol};

/// The endpoint for the requests of one signal. Its `Debug` and `Display` hide userinfo and query,
/// which may contain secrets.
#[derive(Clone)]
pub(crate) struct Endpoint {
    config: ClientConfig,
    read: client::Endpoint,
}

/// The scope of the variable of an endpoint, which decides about its path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stands {
    /// All signals: the signal's path is appended.
    ForAll,
    /// One signal: the path is used as it is.
    ForOne,
}

/// The rules by which text is parsed as an endpoint.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reading {
    pub(crate) signal: Signal,
    pub(crate) protocol: Protocol,
    pub(crate) stands: Stands,
    /// The scheme that gRPC uses if the text has none.
    pub(crate) bare: Bare,
}

/// The security of a gRPC endpoint without a scheme.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bare {
    /// TLS, the default.
    Secure,
    /// Plain text: `INSECURE` is true.
    Insecure,
}

impl Endpoint {
    /// Parses an endpoint.
    ///
    /// Source: OTLP exporter, "Endpoint URLs for OTLP/HTTP" and "Configuration options".
    pub(crate) fn parse(text: &str, reading: Reading) -> Result<Self, InvalidUrl> {
        let mut config = ClientConfig::new(reading.protocol, text);
        if reading.stands == Stands::ForOne {
            config = config.with_exact_path();
        }
        if reading.bare == Bare::Insecure {
            config = config.with_plaintext();
        }
        let read = config.endpoint(reading.signal)?;
        Ok(Endpoint { config, read })
    }

    /// Returns the default endpoint: a collector on this machine.
    pub(crate) fn of_this_machine(signal: Signal, protocol: Protocol) -> Self {
        let text = match protocol {
            Protocol::Grpc => "http://localhost:4317",
            _ => "http://localhost:4318",
        };
        let reading = Reading {
            signal,
            protocol,
            stands: Stands::ForAll,
            bare: Bare::Secure,
        };
        Endpoint::parse(text, reading).expect("it has a scheme, a host and a port")
    }

    /// Returns the configuration of a client that sends to it.
    pub(crate) fn config(&self) -> ClientConfig {
        self.config.clone()
    }

    /// Returns the endpoint as the client parses it.
    pub(crate) fn read(&self) -> &client::Endpoint {
        &self.read
    }
}

impl PartialEq for Endpoint {
    fn eq(&self, other: &Self) -> bool {
        self.read == other.read
    }
}

impl Eq for Endpoint {}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.read.fmt(f)
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.read.fmt(f)
    }
}

/// The default port of OTLP over gRPC.
pub(crate) const GRPC_PORT: u16 = 4317;
/// The default port of OTLP over HTTP.
pub(crate) const HTTP_PORT: u16 = 4318;
