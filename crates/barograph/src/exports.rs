//! Creates the pushes that the environment configures.

use std::time::Duration;

use barograph_config::otlp::PushConfig;
use barograph_config::signals::Signals;
use barograph_config::{Config, Exporter, Exporters, Notice};
use barograph_encode::otlp::Signal;
use barograph_export::Transport;
use barograph_export::client::{Client, ClientConfig, InvalidClient, InvalidUrl};

use crate::console::Console;
use crate::error::StartError;
use crate::push::{Need, Push, Pushes};

/// Adds all configured pushes. A receiver that cannot be used is left out, with a notice: no variable
/// keeps a service from starting.
pub(crate) fn add(pushes: &mut Pushes, config: &mut Config) {
    let Config {
        exporters,
        signals,
        notices,
        ..
    } = config;
    let config = &exporters.push;
    match config.persistent_queue.is_required {
        Some(true) => pushes.need_persistent_queues(Need::Required),
        Some(false) => pushes.need_persistent_queues(Need::Optional),
        None => {}
    }
    for (signal, export) in exporters.signals() {
        let times = |push, request| with_times(push, signal, config, signals, request);
        if export.is_pushed()
            && let Some(client) = client(signal, export.receiver.client(&config.proxy), notices)
        {
            let push = times(push_of(signal, "otlp", client), export.receiver.timeout);
            pushes.add(with_persistent_queue(push, config, signal.as_str()));
        }
        if export.is_chosen(Exporter::Zipkin)
            && let Some(client) = client(signal, config.zipkin.client(&config.proxy), notices)
        {
            let push = times(Push::zipkin_spans("zipkin", client), config.zipkin.timeout);
            pushes.add(with_persistent_queue(push, config, "zipkin"));
        }
        if export.is_chosen(Exporter::Console) {
            let push = push_of(signal, "console", Console::new(signal));
            pushes.add(times(push, None));
        }
    }
}

/// Pushes to an endpoint that the program set, unless the environment sets one.
pub(crate) fn push_to(exporters: &mut Exporters, endpoint: &str) -> Result<(), StartError> {
    for signal in [
        &mut exporters.metrics,
        &mut exporters.traces,
        &mut exporters.logs,
    ] {
        let set = signal.receiver.set_default_endpoint(endpoint);
        set.map_err(|InvalidUrl { url, expected }| StartError::Endpoint {
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

/// Creates a client, and adds the notices about it.
///
/// A file that cannot be read may exist a moment later, as certificates often do that another program
/// on the machine creates: it is read again with each connection. No other certificate is trusted
/// instead.
fn client(signal: Signal, config: ClientConfig, notices: &mut Vec<Notice>) -> Option<Client> {
    let mut notice = |text: String| {
        let notice = Notice::new(text);
        if !notices.contains(&notice) {
            notices.push(notice);
        }
    };
    let origin = config.endpoint().origin();
    let exposed = config.credentials_in_plaintext();
    if !exposed.is_empty() {
        let exposed = exposed.join(", ");
        notice(format!(
            "credentials go to {origin} in plain text ({exposed}); https keeps them secret"
        ));
    }
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

fn with_persistent_queue(push: Push, config: &PushConfig, name: &str) -> Push {
    let queue = &config.persistent_queue;
    match &queue.directory {
        Some(directory) => push.with_persistent_queue(directory.join(name), queue.config.clone()),
        None => push,
    }
}

fn with_times(
    push: Push,
    signal: Signal,
    config: &PushConfig,
    signals: &Signals,
    request: Option<Duration>,
) -> Push {
    let batch = match signal {
        Signal::Metrics => {
            let push = push.with_temporalities(config.temporalities);
            return push.with_times(config.metric_interval, config.metric_timeout, request);
        }
        Signal::Traces => &signals.spans,
        Signal::Logs => &signals.logs,
    };
    let push = push.with_queue(batch.queue(), batch.batch());
    push.with_times(batch.delay, batch.timeout, request)
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
    fn credentials_in_plaintext_add_a_notice() {
        let key = ("OTEL_EXPORTER_OTLP_HEADERS", "api-key=k");
        let tenant = ("OTEL_EXPORTER_OTLP_HEADERS", "X-Scope-OrgID=t,User-Agent=u");
        for (endpoint, header, warned) in [
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
            let expected = warned.map(|what| {
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
    fn a_missing_certificate_adds_a_notice_and_is_read_again_later() {
        let (notices, pushed) = added(&[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "https://c:4318"),
            ("OTEL_EXPORTER_OTLP_CERTIFICATE", "/absent/ca.pem"),
        ]);
        assert_eq!((notices.len(), pushed), (1, 3), "{notices:?}");
        assert!(notices[0].contains("/absent/ca.pem"), "{notices:?}");
    }
}
