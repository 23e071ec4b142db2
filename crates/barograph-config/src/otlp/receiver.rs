//! The receiver of one signal, and the transport settings of its requests.

use std::path::PathBuf;
use std::time::Duration;

use barograph_encode::otlp::Signal;
use barograph_export::client::{Compression, InvalidUrl, Protocol};
use http::HeaderMap;

use crate::environment::Environment;

use super::endpoint::{
    DefaultScheme, Endpoint, EndpointRules, EndpointScope, GRPC_PORT, HTTP_PORT,
};
use super::headers;

/// The receiver of one signal. What is unset here is left to the program.
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
    pub headers: Option<HeaderMap>,
    /// The time limit of one export with all its retries; 10 s if unset.
    pub timeout: Option<Duration>,
    /// The compression of requests; none if unset.
    pub compression: Option<Compression>,
    /// A file of PEM certificates to trust, instead of the system's.
    pub certificate: Option<PathBuf>,
    /// The certificate of this client, for mutual TLS.
    pub identity: Option<Identity>,
}

/// The PEM files that identify this client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The certificate chain, leaf first.
    pub certificate: PathBuf,
    /// The private key.
    pub key: PathBuf,
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
        let mut path = |of| {
            let mut names = both(of).into_iter();
            names.find_map(|name| Some((name, PathBuf::from(environment.text(name)?))))
        };
        let certificate = path(|names| names.certificate).map(|(_, path)| path);
        let client_certificate = path(|names| names.client_certificate);
        let client_key = path(|names| names.client_key);
        Receiver {
            endpoint: endpoint(environment, signal, protocol, &names),
            protocol,
            headers: all_headers(environment, &names),
            timeout: timeouts.find_map(|name| environment.timeout(name)),
            compression: compressions.find_map(|name| compression(environment, name)),
            certificate,
            identity: identity(environment, client_certificate, client_key),
        }
    }

    /// Sets the endpoint `text` for this signal, unless the environment sets one.
    ///
    /// # Errors
    /// Returns [`InvalidUrl`] if the text is not an endpoint of the protocol.
    pub fn set_default_endpoint(&mut self, signal: Signal, text: &str) -> Result<(), InvalidUrl> {
        let rules = EndpointRules {
            signal,
            protocol: self.protocol.unwrap_or_default(),
            scope: EndpointScope::AllSignals,
            default_scheme: DefaultScheme::Https,
        };
        let parsed = Endpoint::parse(text, rules)?;
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
    signal: Signal,
    protocol: Option<Protocol>,
    names: &Names,
) -> Option<Endpoint> {
    let insecure = environment.flag(names.insecure);
    let insecure = insecure.or_else(|| environment.flag(GENERAL.insecure));
    let default_scheme = match insecure {
        Some(true) => DefaultScheme::Http,
        _ => DefaultScheme::Https,
    };
    let variables = [
        (names.endpoint, EndpointScope::OneSignal),
        (GENERAL.endpoint, EndpointScope::AllSignals),
    ];
    for (variable, scope) in variables {
        let rules = EndpointRules {
            signal,
            protocol: protocol.unwrap_or_default(),
            scope,
            default_scheme,
        };
        let Some(text) = environment.text(variable) else {
            continue;
        };
        let endpoint = match Endpoint::parse(&text, rules) {
            Ok(endpoint) => endpoint,
            Err(InvalidUrl { url, expected }) => {
                environment.ignore(variable, &url, expected);
                continue;
            }
        };
        if endpoint.read().has_unused_path() {
            let origin = endpoint.read().origin();
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
    let general = GENERAL.protocol;
    let origin = endpoint.read().origin();
    let text = match (protocol, endpoint.read().port()) {
        (None, Some(GRPC_PORT)) => format!(
            "{variable}: {origin} gets http/protobuf, and receivers expect gRPC at that port as a \
             rule; {general} chooses"
        ),
        (Some(Protocol::Grpc), Some(HTTP_PORT)) => format!(
            "{variable}: {origin} gets gRPC, and receivers expect HTTP at that port as a rule; \
             {general} chooses"
        ),
        _ => return,
    };
    environment.notice(text);
}

fn all_headers(environment: &mut Environment<'_>, names: &Names) -> Option<HeaderMap> {
    for variable in [names.headers, GENERAL.headers] {
        let Some(text) = environment.text(variable) else {
            continue;
        };
        let (headers, bad) = headers::parse(&text);
        let ignored = match &*bad {
            [] => None,
            [member] => Some(format!("member {member} is")),
            members => Some(format!("members {} are", members.join(", "))),
        };
        if let Some(ignored) = ignored {
            let expected = headers::EXPECTED;
            environment.notice(format!(
                "{variable}: {ignored} ignored, expected {expected}"
            ));
        }
        if !headers.is_empty() {
            return Some(headers);
        }
    }
    None
}

fn identity(
    environment: &mut Environment<'_>,
    certificate: Option<(&'static str, PathBuf)>,
    key: Option<(&'static str, PathBuf)>,
) -> Option<Identity> {
    let (alone, missing) = match (certificate, key) {
        (None, None) => return None,
        (Some((_, certificate)), Some((_, key))) => return Some(Identity { certificate, key }),
        (Some((variable, _)), None) => (variable, "key"),
        (None, Some((variable, _))) => (variable, "certificate"),
    };
    environment.notice(format!(
        "{alone} is ignored, expected a client {missing} beside it"
    ));
    None
}
