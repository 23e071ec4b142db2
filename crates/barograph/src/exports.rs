//! What the environment wants pushed, made ready.

use std::time::Duration;

use barograph_export::otlp::{Encoding, Signal, Temporalities};
use barograph_export::push::Schedule;
use barograph_export::push::client::{self, Client, ClientConfig, ProxyConfig, TlsConfig};
use barograph_export::push::journal::JournalConfig;

use crate::console::Console;
use crate::error::StartError;
use crate::otlp_env::endpoint::Endpoint;
use crate::otlp_env::proxy::Proxies;
use crate::otlp_env::receiver::{Compression, Receiver};
use crate::otlp_env::{NoEndpoint, Otlp, Protocol, Temporality};
use crate::push::{Push, Pushes};

/// Adds all that is to be pushed.
pub(crate) fn add(pushes: &mut Pushes, otlp: &Otlp) -> Result<(), StartError> {
    let metrics = &otlp.metrics;
    if metrics.is_pushed() {
        pushes.add(push(otlp)?);
    }
    for (export, what) in [(&otlp.traces, "spans"), (&otlp.logs, "log records")] {
        let is_chosen = export.exporters.is_some() && (export.is_pushed() || export.is_printed());
        if is_chosen {
            tracing::warn!(target: "barograph", "{what} are not exported yet, only metrics are");
        }
    }
    if metrics.is_printed() {
        let console = Push::metrics("console", Console::new()).with_encoding(Encoding::Json);
        pushes.add(with_times(console, otlp, None));
    }
    Ok(())
}

/// Pushes metrics to an endpoint that the program gave, unless the environment has chosen.
pub(crate) fn push_to(otlp: &mut Otlp, endpoint: &str) -> Result<(), StartError> {
    let given = otlp.metrics.push_by_default(Signal::Metrics, endpoint);
    given.map_err(|NoEndpoint { text, expected }| StartError::Endpoint {
        endpoint: text,
        expected,
    })
}

fn push(otlp: &Otlp) -> Result<Push, StartError> {
    let receiver = &otlp.metrics.receiver;
    let protocol = receiver.protocol.unwrap_or_default();
    let local;
    let endpoint = match &receiver.endpoint {
        Some(endpoint) => endpoint,
        None => {
            local = Endpoint::of_this_machine(Signal::Metrics, protocol);
            &local
        }
    };
    let config = config(receiver, endpoint, &otlp.proxies);
    let client = Client::new(config, Signal::Metrics).map_err(|source| StartError::Receiver {
        url: endpoint.to_string(),
        source,
    })?;
    let push = Push::metrics("otlp", client).with_encoding(by(protocol).encoding());
    let push = with_times(push, otlp, receiver.timeout);
    let Some(directory) = &otlp.journal.directory else {
        return Ok(push);
    };
    let mut config = JournalConfig::new();
    if let Some(bytes) = otlp.journal.max_bytes {
        config = config.with_max_bytes(bytes);
    }
    Ok(push.with_journal(directory.join(Signal::Metrics.as_str()), config))
}

fn by(protocol: Protocol) -> client::Protocol {
    match protocol {
        Protocol::Grpc => client::Protocol::Grpc,
        Protocol::HttpProtobuf => client::Protocol::HttpProtobuf,
        Protocol::HttpJson => client::Protocol::HttpJson,
    }
}

fn config(receiver: &Receiver, endpoint: &Endpoint, proxies: &Proxies) -> ClientConfig {
    let protocol = by(receiver.protocol.unwrap_or_default());
    // The rules of the variables have made the path already.
    let mut config = ClientConfig::new(protocol, endpoint.url()).with_exact_path();
    for (name, value) in receiver.headers.iter().flatten() {
        let value = String::from_utf8_lossy(value.as_bytes());
        config = config.with_header(name.as_str(), value);
    }
    match receiver.compression {
        Some(Compression::Gzip) => config = config.with_compression(client::Compression::Gzip),
        Some(Compression::Zstd) => config = config.with_compression(client::Compression::Zstd),
        Some(Compression::None) | None => {}
    }
    let mut tls = TlsConfig::default();
    if let Some(roots) = &receiver.certificate {
        tls = tls.with_root_file(roots);
    }
    if let Some(identity) = &receiver.identity {
        tls = tls.with_identity_files(&identity.certificate, &identity.key);
    }
    let mut proxy = ProxyConfig::default();
    if let Some(https) = &proxies.https {
        proxy = proxy.with_https(https.url());
    }
    if let Some(http) = &proxies.http {
        proxy = proxy.with_http(http.url());
    }
    if let Some(hosts) = &proxies.none_for {
        proxy = proxy.with_no_proxy(hosts);
    }
    config.with_tls(tls).with_proxy(proxy)
}

fn with_times(push: Push, otlp: &Otlp, request: Option<Duration>) -> Push {
    let mut schedule = Schedule::new();
    if let Some(interval) = otlp.interval {
        schedule = schedule.with_interval(interval);
    }
    if let Some(timeout) = otlp.timeout {
        schedule = schedule.with_timeout(timeout);
    }
    if let Some(timeout) = request {
        schedule = schedule.with_request_timeout(timeout);
    }
    let temporalities = match otlp.temporality {
        Some(Temporality::Delta) => Temporalities::DELTA,
        Some(Temporality::LowMemory) => Temporalities::LOW_MEMORY,
        Some(Temporality::Cumulative) | None => Temporalities::CUMULATIVE,
    };
    push.with_schedule(schedule)
        .with_temporalities(temporalities)
}
