//! What the environment wants pushed, made ready.

use std::time::Duration;

use barograph_export::otlp::{Encoding, Signal, Temporalities};
use barograph_export::push::Transport;
use barograph_export::push::client::{self, Client, ClientConfig, ProxyConfig, TlsConfig};
use barograph_export::push::journal::JournalConfig;
use barograph_export::zipkin::DEFAULT_ENDPOINT;

use crate::config::Config;
use crate::console::Console;
use crate::error::StartError;
use crate::otlp_env::endpoint::Endpoint;
use crate::otlp_env::proxy::Proxies;
use crate::otlp_env::receiver::{Compression, Receiver};
use crate::otlp_env::{NoEndpoint, Otlp, Protocol, Temporality};
use crate::push::{Need, Push, Pushes};

/// Adds all that is to be pushed.
pub(crate) fn add(pushes: &mut Pushes, config: &Config) -> Result<(), StartError> {
    let otlp = &config.otlp;
    match otlp.journal.is_required {
        Some(true) => pushes.need_persistent_queues(Need::Required),
        Some(false) => pushes.need_persistent_queues(Need::Optional),
        None => {}
    }
    for (signal, export) in otlp.exports() {
        if export.is_pushed() {
            let (client, encoding) = client(signal, &export.receiver, &otlp.proxies)?;
            let push = push_of(signal, "otlp", client).with_encoding(encoding);
            let push = with_times(push, signal, config, export.receiver.timeout);
            pushes.add(with_journal(push, otlp, signal.as_str()));
        }
        if export.is_for_zipkin() {
            let push = Push::zipkin_spans("zipkin", zipkin(otlp)?);
            let push = with_times(push, signal, config, otlp.zipkin.timeout);
            pushes.add(with_journal(push, otlp, "zipkin"));
        }
        if export.is_printed() {
            let push = push_of(signal, "console", Console::new(signal));
            let push = push.with_encoding(Encoding::Json);
            pushes.add(with_times(push, signal, config, None));
        }
    }
    Ok(())
}

/// Pushes to an endpoint that the program gave, where the environment has not chosen.
pub(crate) fn push_to(otlp: &mut Otlp, endpoint: &str) -> Result<(), StartError> {
    let exports = [
        (Signal::Metrics, &mut otlp.metrics),
        (Signal::Traces, &mut otlp.traces),
        (Signal::Logs, &mut otlp.logs),
    ];
    for (signal, export) in exports {
        let given = export.push_by_default(signal, endpoint);
        given.map_err(|NoEndpoint { text, expected }| StartError::Endpoint {
            endpoint: text,
            expected,
        })?;
    }
    Ok(())
}

fn push_of(signal: Signal, reader: &str, transport: impl Transport + 'static) -> Push {
    match signal {
        Signal::Metrics => Push::metrics(reader, transport),
        Signal::Traces => Push::spans(reader, transport),
        Signal::Logs => Push::log_records(reader, transport),
    }
}

fn client(
    signal: Signal,
    receiver: &Receiver,
    proxies: &Proxies,
) -> Result<(Client, Encoding), StartError> {
    let protocol = receiver.protocol.unwrap_or_default();
    let local;
    let endpoint = match &receiver.endpoint {
        Some(endpoint) => endpoint,
        None => {
            local = Endpoint::of_this_machine(signal, protocol);
            &local
        }
    };
    let config = config(receiver, endpoint, proxies);
    let client = Client::new(config, signal).map_err(|source| StartError::Receiver {
        url: endpoint.to_string(),
        source,
    })?;
    Ok((client, by(protocol).encoding()))
}

fn zipkin(otlp: &Otlp) -> Result<Client, StartError> {
    let endpoint = otlp.zipkin.endpoint.as_ref();
    let url = endpoint.map_or_else(|| DEFAULT_ENDPOINT.to_owned(), Endpoint::url);
    let shown = endpoint.map_or_else(|| DEFAULT_ENDPOINT.to_owned(), Endpoint::to_string);
    let config = ClientConfig::new(client::Protocol::Zipkin, url);
    let config = config.with_proxy(proxy(&otlp.proxies));
    Client::new(config, Signal::Traces)
        .map_err(|source| StartError::Receiver { url: shown, source })
}

fn with_journal(push: Push, otlp: &Otlp, name: &str) -> Push {
    let Some(directory) = &otlp.journal.directory else {
        return push;
    };
    let mut config = JournalConfig::new();
    if let Some(bytes) = otlp.journal.max_bytes {
        config = config.with_max_bytes(bytes);
    }
    push.with_journal(directory.join(name), config)
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
    config.with_tls(tls).with_proxy(proxy(proxies))
}

fn proxy(proxies: &Proxies) -> ProxyConfig {
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
    proxy
}

fn with_times(push: Push, signal: Signal, config: &Config, request: Option<Duration>) -> Push {
    let (otlp, events) = (&config.otlp, &config.events);
    let (interval, timeout, batch) = match signal {
        Signal::Metrics => (otlp.interval, otlp.timeout, None),
        Signal::Traces => (
            events.spans.delay,
            events.spans.timeout,
            Some(&events.spans),
        ),
        Signal::Logs => (events.logs.delay, events.logs.timeout, Some(&events.logs)),
    };
    let temporalities = match otlp.temporality {
        Some(Temporality::Delta) => Temporalities::DELTA,
        Some(Temporality::LowMemory) => Temporalities::LOW_MEMORY,
        Some(Temporality::Cumulative) | None => Temporalities::CUMULATIVE,
    };
    let push = match batch {
        Some(batch) => push.with_queue(batch.queue(), batch.batch()),
        None => push.with_temporalities(temporalities),
    };
    push.with_times(interval, timeout, request)
}
