//! Where requests go: the text of a variable, read by the rules of the client.

use std::fmt;

use barograph_export::otlp::Signal;
use barograph_export::push::client::{self, ClientConfig, InvalidUrl, Protocol};

/// Where the requests of one signal go. Its `Debug` and `Display` hide userinfo and query, which may
/// hold secrets.
#[derive(Clone)]
pub(crate) struct Endpoint {
    config: ClientConfig,
    read: client::Endpoint,
}

/// Which variable an endpoint stood in, which decides about its path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stands {
    /// In the one for all signals: the signal's path is appended.
    ForAll,
    /// In the signal's own: taken as it is.
    ForOne,
}

/// What decides how text is read as an endpoint.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reading {
    pub(crate) signal: Signal,
    pub(crate) protocol: Protocol,
    pub(crate) stands: Stands,
    /// What gRPC does where the text has no scheme.
    pub(crate) bare: Bare,
}

/// What an endpoint without a scheme is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bare {
    /// TLS, as long as nobody said otherwise.
    Secure,
    /// Plain text: `INSECURE` is true.
    Insecure,
}

impl Endpoint {
    /// Reads an endpoint.
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

    /// Where requests go when nobody said: the collector of this machine.
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

    /// What a client is told to send to it.
    pub(crate) fn config(&self) -> ClientConfig {
        self.config.clone()
    }

    /// What the client makes of it.
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

/// Where collectors take gRPC.
pub(crate) const GRPC_PORT: u16 = 4317;
/// Where collectors take HTTP.
pub(crate) const HTTP_PORT: u16 = 4318;
