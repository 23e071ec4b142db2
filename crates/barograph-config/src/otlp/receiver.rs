//! The receiver of one signal, and the transport settings of its requests.

use std::path::PathBuf;
use std::time::Duration;

use barograph_encode::otlp::Signal;
use barograph_export::client::{
    ClientConfig, Compression, Endpoint, Headers, InvalidUrl, Protocol, ProxyConfig, TlsConfig,
};

use crate::environment::{Environment, percent_decode};

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
        let names = match signal {
            Signal::Metrics => METRICS,
            Signal::Traces => TRACES,
            Signal::Logs => LOGS,
        };
        // The signal's own variable first; the general one only if that is unset or invalid.
        let both = |of: fn(&Names) -> &'static str| [of(&names), of(&GENERAL)];
        let mut protocols = both(|names| names.protocol).into_iter();
        let protocol = protocols.find_map(|name| environment.choice(name, PROTOCOLS, &PROTOCOL));
        let mut timeouts = both(|names| names.timeout).into_iter();
        let mut compressions = both(|names| names.compression).into_iter();
        let compression = compressions.find_map(|name| compression(environment, name));
        Receiver {
            endpoint: endpoint(environment, protocol, &names),
            protocol,
            headers: headers(environment, &names),
            timeout: timeouts.find_map(|name| environment.timeout(name)),
            compression: compression.unwrap_or_default(),
            tls: tls(environment, both),
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

/// The names of the variables of one signal, or of those for all signals.
#[derive(Clone, Copy)]
struct Names {
    endpoint: &'static str,
    protocol: &'static str,
    headers: &'static str,
    timeout: &'static str,
    compression: &'static str,
    insecure: &'static str,
    certificate: &'static str,
    client_certificate: &'static str,
    client_key: &'static str,
}

macro_rules! names {
    ($signal:literal) => {
        Names {
            endpoint: concat!("OTEL_EXPORTER_OTLP_", $signal, "ENDPOINT"),
            protocol: concat!("OTEL_EXPORTER_OTLP_", $signal, "PROTOCOL"),
            headers: concat!("OTEL_EXPORTER_OTLP_", $signal, "HEADERS"),
            timeout: concat!("OTEL_EXPORTER_OTLP_", $signal, "TIMEOUT"),
            compression: concat!("OTEL_EXPORTER_OTLP_", $signal, "COMPRESSION"),
            insecure: concat!("OTEL_EXPORTER_OTLP_", $signal, "INSECURE"),
            certificate: concat!("OTEL_EXPORTER_OTLP_", $signal, "CERTIFICATE"),
            client_certificate: concat!("OTEL_EXPORTER_OTLP_", $signal, "CLIENT_CERTIFICATE"),
            client_key: concat!("OTEL_EXPORTER_OTLP_", $signal, "CLIENT_KEY"),
        }
    };
}

const GENERAL: Names = names!("");
const METRICS: Names = names!("METRICS_");
const TRACES: Names = names!("TRACES_");
const LOGS: Names = names!("LOGS_");

const PROTOCOLS: &str = "grpc, http/protobuf or http/json";
const PROTOCOL: [(&str, Protocol); 3] = [
    ("grpc", Protocol::Grpc),
    ("http/protobuf", Protocol::HttpProtobuf),
    ("http/json", Protocol::HttpJson),
];
const COMPRESSIONS: &str = match Compression::Zstd.is_available() {
    true => "gzip, zstd or none",
    false => "gzip or none; zstd needs the feature `zstd` of barograph",
};
const COMPRESSION: [(&str, Compression); 3] = [
    ("gzip", Compression::Gzip),
    ("zstd", Compression::Zstd),
    ("none", Compression::None),
];

fn compression(environment: &mut Environment<'_>, variable: &'static str) -> Option<Compression> {
    environment.parsed(variable, COMPRESSIONS, |value| {
        let mut choices = COMPRESSION.into_iter();
        let (_, chosen) = choices.find(|(word, _)| value.eq_ignore_ascii_case(word))?;
        chosen.is_available().then_some(chosen)
    })
}

fn endpoint(
    environment: &mut Environment<'_>,
    protocol: Option<Protocol>,
    names: &Names,
) -> Option<Endpoint> {
    let insecure = environment.flag(names.insecure);
    let insecure = insecure.or_else(|| environment.flag(GENERAL.insecure));
    for variable in [names.endpoint, GENERAL.endpoint] {
        let parse = |text: &str| Endpoint::parse(protocol.unwrap_or_default(), text);
        let Some(mut endpoint) = environment.url(variable, parse) else {
            continue;
        };
        if variable == names.endpoint {
            endpoint = endpoint.with_exact_path();
        }
        if insecure == Some(true) {
            endpoint = endpoint.with_plaintext();
        }
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
        GENERAL.protocol
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
fn headers(environment: &mut Environment<'_>, names: &Names) -> Headers {
    for variable in [names.headers, GENERAL.headers] {
        let Some(text) = environment.text(variable) else {
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
            environment.notice(format!("{variable}: {ignored} ignored, expected {HEADERS}"));
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

const HEADERS: &str = "name=value, percent-encoded, and no name that the transport sets itself";

/// Reads the paths of certificates. A client certificate without its key, or the reverse, is ignored.
fn tls(
    environment: &mut Environment<'_>,
    both: impl Fn(fn(&Names) -> &'static str) -> [&'static str; 2],
) -> TlsConfig {
    let mut path = |of| {
        let mut names = both(of).into_iter();
        names.find_map(|name| Some((name, PathBuf::from(environment.text(name)?))))
    };
    let mut tls = TlsConfig::default();
    if let Some((_, roots)) = path(|names| names.certificate) {
        tls = tls.with_root_file(roots);
    }
    let certificate = path(|names| names.client_certificate);
    let key = path(|names| names.client_key);
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
