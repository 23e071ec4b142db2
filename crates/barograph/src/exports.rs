//! Creates the pushes that the environment configures.

use std::time::Duration;

use barograph_encode::otlp::{Encoding, Signal, Temporalities};
use barograph_encode::zipkin::DEFAULT_ENDPOINT;
use barograph_export::Transport;
use barograph_export::client::{
    Client, ClientConfig, InvalidClient, InvalidUrl, Protocol, ProxyConfig, TlsConfig,
};
use barograph_export::journal::JournalConfig;

use crate::config::Config;
use crate::console::Console;
use crate::env::Notice;
use crate::error::StartError;
use crate::events_env::Events;
use crate::otlp_env::endpoint::{Bare, Endpoint, Reading, Stands};
use crate::otlp_env::proxy::Proxies;
use crate::otlp_env::receiver::Receiver;
use crate::otlp_env::{Otlp, Temporality};
use crate::push::{Need, Push, Pushes};

/// Adds all configured pushes. A receiver that cannot be used is left out, with a notice: no variable
/// keeps a service from starting.
pub(crate) fn add(pushes: &mut Pushes, config: &mut Config) {
    let Config {
        otlp,
        events,
        notices,
        ..
    } = config;
    match otlp.journal.is_required {
        Some(true) => pushes.need_persistent_queues(Need::Required),
        Some(false) => pushes.need_persistent_queues(Need::Optional),
        None => {}
    }
    for (signal, export) in otlp.exports() {
        let times = |push, request| with_times(push, signal, otlp, events, request);
        if export.is_pushed()
            && let Some((client, encoding)) =
                client(signal, &export.receiver, &otlp.proxies, notices)
        {
            let push = push_of(signal, "otlp", client).with_encoding(encoding);
            let push = times(push, export.receiver.timeout);
            pushes.add(with_journal(push, otlp, signal.as_str()));
        }
        if export.is_for_zipkin()
            && let Some(client) = zipkin(otlp, notices)
        {
            let push = times(Push::zipkin_spans("zipkin", client), otlp.zipkin.timeout);
            pushes.add(with_journal(push, otlp, "zipkin"));
        }
        if export.is_printed() {
            let push = push_of(signal, "console", Console::new(signal));
            pushes.add(times(push.with_encoding(Encoding::Json), None));
        }
    }
}

/// Pushes to an endpoint that the program set, unless the environment sets one.
pub(crate) fn push_to(otlp: &mut Otlp, endpoint: &str) -> Result<(), StartError> {
    let exports = [
        (Signal::Metrics, &mut otlp.metrics),
        (Signal::Traces, &mut otlp.traces),
        (Signal::Logs, &mut otlp.logs),
    ];
    for (signal, export) in exports {
        let given = export.push_by_default(signal, endpoint);
        given.map_err(|InvalidUrl { url, expected }| StartError::Endpoint {
            endpoint: url,
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
    notices: &mut Vec<Notice>,
) -> Option<(Client, Encoding)> {
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
    let client = made(signal, config, endpoint, notices)?;
    Some((client, protocol.encoding()))
}

fn zipkin(otlp: &Otlp, notices: &mut Vec<Notice>) -> Option<Client> {
    let reading = Reading {
        signal: Signal::Traces,
        protocol: Protocol::Zipkin,
        stands: Stands::ForOne,
        bare: Bare::Secure,
    };
    let local = || Endpoint::parse(DEFAULT_ENDPOINT, reading).ok();
    let endpoint = otlp.zipkin.endpoint.clone().or_else(local)?;
    let config = endpoint.config().with_proxy(proxy(&otlp.proxies));
    made(Signal::Traces, config, &endpoint, notices)
}

/// Creates a client, and adds the notices about it.
///
/// A file that cannot be read may exist a moment later, as certificates often do that another program
/// on the machine creates: it is read again with each connection. No other certificate is trusted
/// instead.
fn made(
    signal: Signal,
    config: ClientConfig,
    endpoint: &Endpoint,
    notices: &mut Vec<Notice>,
) -> Option<Client> {
    let mut notice = |text: String| {
        let notice = Notice::new(text);
        if !notices.contains(&notice) {
            notices.push(notice);
        }
    };
    let exposed = config.credentials_in_the_clear().unwrap_or_default();
    if !exposed.is_empty() {
        let (what, origin) = (exposed.join(", "), endpoint.read().origin());
        notice(format!(
            "credentials go to {origin} in plain text ({what}); https keeps them secret"
        ));
    }
    let origin = endpoint.read().origin();
    let client = match Client::new(config.clone(), signal) {
        Err(InvalidClient::File(invalid)) => {
            notice(format!(
                "nothing can be pushed to {origin} for now: {invalid}; it is tried again"
            ));
            Client::new(config.with_files_read_on_connect(), signal)
        }
        made => made,
    };
    client
        .map_err(|invalid| notice(format!("nothing is pushed to {origin}: {invalid}")))
        .ok()
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

fn config(receiver: &Receiver, endpoint: &Endpoint, proxies: &Proxies) -> ClientConfig {
    let compression = receiver.compression.unwrap_or_default();
    let mut config = endpoint.config().with_compression(compression);
    for (name, value) in receiver.headers.iter().flatten() {
        let value = String::from_utf8_lossy(value.as_bytes());
        config = config.with_header(name.as_str(), value);
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

fn with_times(
    push: Push,
    signal: Signal,
    otlp: &Otlp,
    events: &Events,
    request: Option<Duration>,
) -> Push {
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the notices after everything is created, and the number of pushes.
    fn added(variables: &[(&str, &str)]) -> (Vec<String>, usize) {
        let lookup = |name: &str| {
            let mut variables = variables.iter();
            variables.find_map(|(key, value)| (*key == name).then(|| (*value).into()))
        };
        let mut config = Config::read(&lookup);
        let mut pushes = Pushes::default();
        add(&mut pushes, &mut config);
        let notices = config.notices.iter().map(ToString::to_string).collect();
        (notices, pushes.targets().len())
    }

    #[test]
    fn credentials_in_plain_text_are_told_about() {
        let key = ("OTEL_EXPORTER_OTLP_HEADERS", "api-key=k");
        let tenant = ("OTEL_EXPORTER_OTLP_HEADERS", "X-Scope-OrgID=t,User-Agent=u");
        for (endpoint, header, told) in [
            ("http://c:4318", Some(key), Some("api-key")),
            ("http://192.0.2.1:4318", Some(key), Some("api-key")),
            ("http://u:p@c:4318", None, Some("userinfo of the endpoint")),
            ("http://c:4318?token=t", None, Some("query of the endpoint")),
            ("http://c:4318", Some(tenant), None),
            ("http://c:4318", None, None),
            ("http://localhost:4318", Some(key), None),
            ("unix:/run/c.sock", Some(key), None),
        ] {
            let mut variables = vec![("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)];
            variables.extend(header);
            let (notices, pushed) = added(&variables);
            assert_eq!(pushed, 3, "{notices:?}");
            let expected = told.map(|what| {
                format!(
                    "credentials go to {} in plain text ({what}); https keeps them secret",
                    endpoint.replace("u:p@", "").replace("?token=t", "")
                )
            });
            assert_eq!(notices, Vec::from_iter(expected), "{endpoint}");
        }
        let (notices, _) = added(&[
            ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "http://c:4318"),
            ("OTEL_METRICS_EXPORTER", "prometheus"),
            key,
        ]);
        assert_eq!(notices, [""; 0], "nothing is sent");
    }

    #[test]
    fn a_certificate_that_is_not_there_yet_is_looked_for_again() {
        let (notices, pushed) = added(&[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "https://c:4318"),
            ("OTEL_EXPORTER_OTLP_CERTIFICATE", "/absent/ca.pem"),
        ]);
        assert_eq!((notices.len(), pushed), (1, 3), "{notices:?}");
        assert!(notices[0].contains("/absent/ca.pem"), "{notices:?}");
    }
}
