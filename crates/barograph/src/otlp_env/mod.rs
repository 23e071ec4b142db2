//! The configuration of exporters: plain values, nothing is opened or built.
//!
//! One deviation from OpenTelemetry, whose default exporter is `otlp`: a signal without a configured
//! exporter is pushed only if an endpoint is set, so that an unconfigured program opens no
//! connections; and metrics are served to Prometheus.
//!
//! An unset variable is None here: the setting of the program applies, then the default.
//!
//! Source: OpenTelemetry specification, "Environment variable specification" and "OpenTelemetry
//! Protocol Exporter".

use std::path::PathBuf;
use std::time::Duration;

use barograph_encode::otlp::Signal;
use barograph_export::client::{InvalidUrl, Protocol};

use crate::env::Environment;

pub(crate) mod endpoint;
mod headers;
pub(crate) mod exporter;
pub(crate) mod proxy;
pub(crate) mod receiver;
#[cfg(test)]
mod tests;

use endpoint::{Bare, Endpoint, Reading, Stands};
use exporter::{Exporter, LOGS_EXPORTER, METRICS_EXPORTER, TRACES_EXPORTER};
use proxy::Proxies;
use receiver::Receiver;

/// The configuration of exporters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Otlp {
    pub(crate) metrics: Export,
    pub(crate) traces: Export,
    pub(crate) logs: Export,
    /// The time between two exports of metrics.
    pub(crate) interval: Option<Duration>,
    /// The time limit of a whole export of metrics.
    pub(crate) timeout: Option<Duration>,
    pub(crate) temporality: Option<Temporality>,
    pub(crate) proxies: Proxies,
    pub(crate) journal: Journal,
    pub(crate) zipkin: Zipkin,
}

/// The configuration of the Zipkin exporter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Zipkin {
    /// The URL, used as it is.
    pub(crate) endpoint: Option<Endpoint>,
    /// The time limit of one request with all its retries.
    pub(crate) timeout: Option<Duration>,
}

/// The configuration of one signal.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Export {
    /// The configured exporters. An empty list is a choice, too: `none`.
    pub(crate) exporters: Option<Vec<Exporter>>,
    pub(crate) receiver: Receiver,
}

/// The temporality of metrics: since the start, or since the last export.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Temporality {
    Cumulative,
    Delta,
    /// Delta where that saves memory.
    LowMemory,
}

/// The persistent queue of undelivered requests. Specific to barograph: OpenTelemetry has no
/// variables for it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Journal {
    /// The directory; None means no persistent queue.
    pub(crate) directory: Option<PathBuf>,
    /// The maximum number of bytes on disk.
    pub(crate) max_bytes: Option<u64>,
    /// True if telemetry must not start without it.
    pub(crate) is_required: Option<bool>,
}

impl Otlp {
    /// Reads all variables about exporters.
    pub(crate) fn read(environment: &mut Environment<'_>) -> Self {
        let otlp = ("otlp", Exporter::Otlp);
        let console = ("console", Exporter::Console);
        let zipkin = ("zipkin", Exporter::Zipkin);
        let prometheus = ("prometheus", Exporter::Prometheus);
        let mut export = |signal, variable, known: &[_]| Export {
            exporters: exporter::read(environment, variable, known),
            receiver: Receiver::read(environment, signal),
        };
        let metrics = export(
            Signal::Metrics,
            METRICS_EXPORTER,
            &[otlp, prometheus, console],
        );
        let traces = export(Signal::Traces, TRACES_EXPORTER, &[otlp, zipkin, console]);
        let logs = export(Signal::Logs, LOGS_EXPORTER, &[otlp, console]);
        warn_of_exponential(environment);
        Otlp {
            metrics,
            traces,
            logs,
            interval: environment.interval("OTEL_METRIC_EXPORT_INTERVAL"),
            timeout: environment.timeout("OTEL_METRIC_EXPORT_TIMEOUT"),
            temporality: environment.choice(
                "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE",
                "cumulative, delta or lowmemory",
                &[
                    ("cumulative", Temporality::Cumulative),
                    ("delta", Temporality::Delta),
                    ("lowmemory", Temporality::LowMemory),
                ],
            ),
            proxies: Proxies::read(environment),
            zipkin: Zipkin::read(environment),
            journal: Journal {
                directory: environment.text(JOURNAL).map(PathBuf::from),
                max_bytes: environment.parsed(
                    JOURNAL_MAX_BYTES,
                    "a whole number of bytes above 0",
                    |value| value.parse().ok().filter(|bytes| *bytes > 0),
                ),
                is_required: environment.flag(JOURNAL_REQUIRED),
            },
        }
    }
}

impl Otlp {
    /// Returns the configuration of each signal.
    pub(crate) fn exports(&self) -> [(Signal, &Export); 3] {
        [
            (Signal::Metrics, &self.metrics),
            (Signal::Traces, &self.traces),
            (Signal::Logs, &self.logs),
        ]
    }
}

impl Zipkin {
    /// Source: OpenTelemetry environment variables, "Zipkin Exporter".
    fn read(environment: &mut Environment<'_>) -> Self {
        let reading = Reading {
            signal: Signal::Traces,
            protocol: Protocol::Zipkin,
            stands: Stands::ForOne,
            bare: Bare::Secure,
        };
        let variable = "OTEL_EXPORTER_ZIPKIN_ENDPOINT";
        let endpoint = environment.text(variable).and_then(|text| {
            let endpoint = Endpoint::parse(&text, reading);
            let refused =
                |InvalidUrl { url, expected }| environment.ignore(variable, &url, expected);
            endpoint.map_err(refused).ok()
        });
        Zipkin {
            endpoint,
            timeout: environment.timeout("OTEL_EXPORTER_ZIPKIN_TIMEOUT"),
        }
    }
}

impl Export {
    /// Returns true if spans are pushed to Zipkin.
    pub(crate) fn is_for_zipkin(&self) -> bool {
        let chosen = self.exporters.as_ref();
        chosen.is_some_and(|chosen| chosen.contains(&Exporter::Zipkin))
    }

    /// Returns true if this signal is pushed by OTLP.
    pub(crate) fn is_pushed(&self) -> bool {
        match &self.exporters {
            Some(chosen) => chosen.contains(&Exporter::Otlp),
            None => self.receiver.endpoint.is_some(),
        }
    }

    /// Returns true if the page is served to Prometheus. Applies to metrics only.
    pub(crate) fn is_served(&self) -> bool {
        match &self.exporters {
            Some(chosen) => chosen.contains(&Exporter::Prometheus),
            None => true,
        }
    }

    /// Returns true if this signal is printed on stdout.
    pub(crate) fn is_printed(&self) -> bool {
        let chosen = self.exporters.as_ref();
        chosen.is_some_and(|chosen| chosen.contains(&Exporter::Console))
    }

    /// Pushes this signal to the endpoint `text`, unless the environment sets one.
    pub(crate) fn push_by_default(&mut self, signal: Signal, text: &str) -> Result<(), InvalidUrl> {
        let reading = Reading {
            signal,
            protocol: self.receiver.protocol.unwrap_or_default(),
            stands: Stands::ForAll,
            bare: Bare::Secure,
        };
        let parsed = Endpoint::parse(text, reading)?;
        self.receiver.endpoint.get_or_insert(parsed);
        Ok(())
    }
}

/// Adds a notice if exponential buckets are requested, which are not supported; every receiver takes
/// explicit ones.
fn warn_of_exponential(environment: &mut Environment<'_>) {
    let variable = "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION";
    let expected = "explicit_bucket_histogram or base2_exponential_bucket_histogram";
    let choices = [
        ("explicit_bucket_histogram", false),
        ("base2_exponential_bucket_histogram", true),
    ];
    if environment.choice(variable, expected, &choices) == Some(true) {
        let text = format!("{variable}: histograms have explicit buckets all the same");
        environment.notice(text);
    }
}

/// The variable of the persistent queue's directory.
pub(crate) const JOURNAL: &str = "BAROGRAPH_PUSH_JOURNAL_DIR";
/// The variable of the maximum number of bytes of the persistent queue.
pub(crate) const JOURNAL_MAX_BYTES: &str = "BAROGRAPH_PUSH_JOURNAL_MAX_BYTES";
/// The variable that makes the persistent queue a condition for starting telemetry.
pub(crate) const JOURNAL_REQUIRED: &str = "BAROGRAPH_PUSH_JOURNAL_REQUIRED";
