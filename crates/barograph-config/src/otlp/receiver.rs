//! The receiver of one signal, and the transport settings of its requests.

use std::path::PathBuf;
use std::time::Duration;

use barograph_encode::otlp::Signal;
use barograph_export::client::{
    ClientConfig, Compression, Endpoint, Headers, InvalidUrl, Protocol, ProxyConfig, TlsConfig,
};

use crate::environment::{Environment, percent_decode};
use crate::variables::{
    CERTIFICATE, CLIENT_CERTIFICATE, CLIENT_KEY, COMPRESSION, ENDPOINT, HEADERS, INSECURE,
    PROTOCOL, REQUEST_TIMEOUT, Variable,
};

/// The receiver of one signal. Settings that are unset are left to the program.
///
/// Each value comes from the variable of the signal, else from the one for all signals. This includes
/// headers as a whole: the keys of one receiver are not sent to another.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Receiver {
    /// The endpoint; a receiver on this machine if unset.
    pub endpoint: Option<Endpoint>,
    /// `http/protobuf` if unset.
    pub protocol: Option<Protocol>,
    /// The headers of requests.
    pub headers: Headers,
    /// The time limit of one export with all its retries; 10 s if unset.
    pub timeout: Option<Duration>,
    /// The compression of requests.
    pub compression: Compression,
    /// The trusted certificates, and the certificate of this client.
    pub tls: TlsConfig,
}

impl Receiver {
    /// Reads the variables of one signal, else those for all signals.
    pub(crate) fn read(environment: &mut Environment<'_>, signal: Signal) -> Self {
        let both = |variable: Variable| variable.in_precedence(signal).into_iter();
        let compressions = COMPRESSIONS.into_iter();
        let compressions: Vec<_> = compressions.filter(|(_, c)| c.is_available()).collect();
        let protocol = both(PROTOCOL).find_map(|v| environment.choice(&v, &PROTOCOLS));
        let compression = both(COMPRESSION).find_map(|v| environment.choice(&v, &compressions));
        Receiver {
            endpoint: endpoint(environment, signal, protocol),
            protocol,
            headers: headers(environment, signal),
            timeout: both(REQUEST_TIMEOUT).find_map(|v| environment.timeout(&v)),
            compression: compression.unwrap_or_default(),
            tls: tls(environment, signal),
        }
    }

    /// Returns the configuration of a client that sends to this receiver.
    pub fn client(&self, proxy: &ProxyConfig) -> ClientConfig {
        let local = || Endpoint::local(self.protocol.unwrap_or_default());
        ClientConfig::new(self.endpoint.clone().unwrap_or_else(local))
            .with_headers(self.headers.clone())
            .with_compression(self.compression)
            .with_tls(self.tls.clone())
            .with_proxy(proxy.clone())
    }

    /// Sets the endpoint to `text`, unless the environment sets one.
    ///
    /// # Errors
    /// Returns [`InvalidUrl`] if the text is not an endpoint of the protocol.
    pub fn set_default_endpoint(&mut self, text: &str) -> Result<(), InvalidUrl> {
        let parsed = Endpoint::parse(self.protocol.unwrap_or_default(), text)?;
        self.endpoint.get_or_insert(parsed);
        Ok(())
    }
}

const PROTOCOLS: [(&str, Protocol); 3] = [
    ("grpc", Protocol::Grpc),
    ("http/protobuf", Protocol::HttpProtobuf),
    ("http/json", Protocol::HttpJson),
];
const COMPRESSIONS: [(&str, Compression); 3] = [
    ("gzip", Compression::Gzip),
    ("zstd", Compression::Zstd),
    ("none", Compression::None),
];

fn endpoint(
    environment: &mut Environment<'_>,
    signal: Signal,
    protocol: Option<Protocol>,
) -> Option<Endpoint> {
    let mut flags = INSECURE.in_precedence(signal).into_iter();
    let is_insecure = flags.find_map(|variable| environment.flag(&variable));
    for variable in ENDPOINT.in_precedence(signal) {
        let parse = |text: &str| Endpoint::parse(protocol.unwrap_or_default(), text);
        let Some(mut endpoint) = environment.url(&variable, parse) else {
            continue;
        };
        if variable != ENDPOINT {
            endpoint = endpoint.with_exact_path();
        }
        if is_insecure == Some(true) {
            endpoint = endpoint.with_plaintext();
        }
        let variable = variable.name;
        if endpoint.has_unused_path() {
            let origin = endpoint.origin();
            environment.notice(format!(
                "{variable}: only {origin} counts of it, gRPC has its own paths"
            ));
        }
        hint_at_protocol(environment, variable, &endpoint, protocol);
        return Some(endpoint);
    }
    None
}

/// Adds a notice if the port is that of the other protocol: most often the protocol was not set.
fn hint_at_protocol(
    environment: &mut Environment<'_>,
    variable: &'static str,
    endpoint: &Endpoint,
    protocol: Option<Protocol>,
) {
    let default_port = |protocol| Endpoint::local(protocol).port();
    let (used, expected) = match (protocol, endpoint.port()) {
        (None, port) if port == default_port(Protocol::Grpc) => ("http/protobuf", "gRPC"),
        (Some(Protocol::Grpc), port) if port == default_port(Protocol::HttpProtobuf) => {
            ("gRPC", "HTTP")
        }
        _ => return,
    };
    environment.notice(format!(
        "{variable}: {} gets {used}, and receivers expect {expected} at that port as a rule; {} \
         chooses",
        endpoint.origin(),
        PROTOCOL.name
    ));
}

/// Reads headers: `name=value,name=value`, percent-encoded like W3C baggage; the last value of a name
/// applies. Invalid members are left out, with a notice that has their positions and not their text,
/// which may be a secret.
///
/// Blanks and similar characters are accepted without encoding, too, since `Authorization=Bearer x`
/// is a common spelling. Properties after a `;` are not supported: the `;` is part of the value.
///
/// Source: OTLP exporter, "Specifying headers via environment variables".
fn headers(environment: &mut Environment<'_>, signal: Signal) -> Headers {
    for variable in HEADERS.in_precedence(signal) {
        let Some(text) = environment.text(&variable) else {
            continue;
        };
        let mut headers = Headers::new();
        let mut invalid = Vec::new();
        for (index, member) in text.split(',').enumerate() {
            if !member.trim().is_empty() && insert(&mut headers, member).is_none() {
                invalid.push((index + 1).to_string());
            }
        }
        let ignored = match &*invalid {
            [] => None,
            [member] => Some(format!("member {member} is")),
            members => Some(format!("members {} are", members.join(", "))),
        };
        if let Some(ignored) = ignored {
            let Variable { name, expected, .. } = variable;
            environment.notice(format!("{name}: {ignored} ignored, expected {expected}"));
        }
        if !headers.is_empty() {
            return headers;
        }
    }
    Headers::new()
}

/// Inserts a member of the list; None if it is invalid.
fn insert(headers: &mut Headers, member: &str) -> Option<()> {
    let (name, value) = member.split_once('=')?;
    let (name, value) = (percent_decode(name.trim())?, percent_decode(value.trim())?);
    headers.insert(&name, &value).ok()
}

/// Reads the paths of certificates. A client certificate without its key, or the reverse, is ignored.
fn tls(environment: &mut Environment<'_>, signal: Signal) -> TlsConfig {
    let mut path = |variable: Variable| {
        let mut variables = variable.in_precedence(signal).into_iter();
        variables.find_map(|variable| {
            let path = environment.text(&variable)?;
            Some((variable.name, PathBuf::from(path)))
        })
    };
    let mut tls = TlsConfig::default();
    if let Some((_, roots)) = path(CERTIFICATE) {
        tls = tls.with_root_file(roots);
    }
    let certificate = path(CLIENT_CERTIFICATE);
    let key = path(CLIENT_KEY);
    let (alone, missing) = match (certificate, key) {
        (None, None) => return tls,
        (Some((_, certificate)), Some((_, key))) => {
            return tls.with_identity_files(certificate, key);
        }
        (Some((variable, _)), None) => (variable, "key"),
        (None, Some((variable, _))) => (variable, "certificate"),
    };
    environment.notice(format!(
        "{alone} is ignored, expected a client {missing} beside it"
    ));
    tls
}
