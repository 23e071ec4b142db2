//! Endpoints: the text of a variable, parsed by the rules of the client.

use std::fmt;

use barograph_encode::otlp::Signal;
use barograph_export::client::{self, ClientConfig, InvalidUrl, Protocol};

/// The endpoint for the requests of one signal. Its `Debug` and `Display` hide userinfo and query,
/// which may contain secrets.
#[derive(Clone)]
pub struct Endpoint {
    config: ClientConfig,
    read: client::Endpoint,
}

/// The scope of the variable of an endpoint, which decides about its path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndpointScope {
    /// All signals: the signal's path is appended.
    AllSignals,
    /// One signal: the path is used as it is.
    OneSignal,
}

/// The rules by which text is parsed as an endpoint.
#[derive(Clone, Copy, Debug)]
pub struct EndpointRules {
    /// The signal of the requests.
    pub signal: Signal,
    /// The protocol of the requests.
    pub protocol: Protocol,
    /// The scope of the variable.
    pub scope: EndpointScope,
    /// The scheme that gRPC uses if the text has none.
    pub default_scheme: DefaultScheme,
}

/// The security of a gRPC endpoint without a scheme.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DefaultScheme {
    /// TLS, the default.
    Https,
    /// Plaintext: `INSECURE` is true.
    Http,
}

impl Endpoint {
    /// Parses an endpoint.
    ///
    /// Source: OTLP exporter, "Endpoint URLs for OTLP/HTTP" and "Configuration options".
    ///
    /// # Errors
    /// Returns [`InvalidUrl`] if the text is not an endpoint of the protocol.
    pub fn parse(text: &str, rules: EndpointRules) -> Result<Self, InvalidUrl> {
        let mut config = ClientConfig::new(rules.protocol, text);
        if rules.scope == EndpointScope::OneSignal {
            config = config.with_exact_path();
        }
        if rules.default_scheme == DefaultScheme::Http {
            config = config.with_plaintext();
        }
        let read = config.endpoint(rules.signal)?;
        Ok(Endpoint { config, read })
    }

    /// Parses the URL of a Zipkin receiver.
    ///
    /// # Errors
    /// Returns [`InvalidUrl`] if the text is not such a URL.
    pub fn zipkin(text: &str) -> Result<Self, InvalidUrl> {
        let rules = EndpointRules {
            signal: Signal::Traces,
            protocol: Protocol::Zipkin,
            scope: EndpointScope::OneSignal,
            default_scheme: DefaultScheme::Https,
        };
        Endpoint::parse(text, rules)
    }

    /// Returns the default endpoint: a collector on this machine.
    #[expect(clippy::missing_panics_doc, reason = "the text is an endpoint")]
    pub fn of_this_machine(signal: Signal, protocol: Protocol) -> Self {
        let text = match protocol {
            Protocol::Grpc => "http://localhost:4317",
            _ => "http://localhost:4318",
        };
        let rules = EndpointRules {
            signal,
            protocol,
            scope: EndpointScope::AllSignals,
            default_scheme: DefaultScheme::Https,
        };
        Endpoint::parse(text, rules).expect("it has a scheme, a host and a port")
    }

    /// Returns the configuration of a client that sends to it.
    pub fn config(&self) -> ClientConfig {
        self.config.clone()
    }

    /// Returns the endpoint as the client parses it.
    pub fn read(&self) -> &client::Endpoint {
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
