//! What the environment says about pushing: plain values, nothing is opened or built.
//!
//! One deviation from OpenTelemetry, where `otlp` is what happens when nothing is said: a signal
//! whose exporters are not chosen is pushed only where an endpoint is set, so that a program that
//! was told nothing dials nobody; and metrics are served to Prometheus.
//!
//! What is not set is none here: what the program chose counts then, and after that the defaults.
//!
//! Source: OpenTelemetry specification, "Environment variable specification" and "OpenTelemetry
//! Protocol Exporter".

use std::path::PathBuf;
use std::time::Duration;

use barograph_export::otlp::Signal;
use barograph_export::push::client::{InvalidUrl, Protocol};

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

/// All that is said about pushing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Otlp {
    pub(crate) metrics: Export,
    pub(crate) traces: Export,
    pub(crate) logs: Export,
    /// Between two pushes of metrics.
    pub(crate) interval: Option<Duration>,
    /// For all of one push of metrics.
    pub(crate) timeout: Option<Duration>,
    pub(crate) temporality: Option<Temporality>,
    pub(crate) proxies: Proxies,
    pub(crate) journal: Journal,
    pub(crate) zipkin: Zipkin,
}

/// Where spans go that Zipkin gets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Zipkin {
    /// Taken as it is.
    pub(crate) endpoint: Option<Endpoint>,
    /// For one request with all its tries.
    pub(crate) timeout: Option<Duration>,
}

/// What is said about one signal.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Export {
    /// The exporters that were chosen; an empty list was chosen as well.
    pub(crate) exporters: Option<Vec<Exporter>>,
    pub(crate) receiver: Receiver,
}

/// What points of metrics tell: all since the start, or what was new since the last push.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Temporality {
    Cumulative,
    Delta,
    /// Delta where that spares memory.
    LowMemory,
}

/// The persistent queue of what could not be delivered. Ours: OpenTelemetry has no variables for it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Journal {
    /// Where it is; there is none without it.
    pub(crate) directory: Option<PathBuf>,
    /// How much disk it may take.
    pub(crate) max_bytes: Option<u64>,
    /// Whether it must be there for telemetry to start.
    pub(crate) is_required: Option<bool>,
}

impl Otlp {
    /// Reads all variables about pushing.
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
    /// What is said about each signal.
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
    /// Whether spans go to Zipkin.
    pub(crate) fn is_for_zipkin(&self) -> bool {
        let chosen = self.exporters.as_ref();
        chosen.is_some_and(|chosen| chosen.contains(&Exporter::Zipkin))
    }

    /// Whether requests are to be sent.
    pub(crate) fn is_pushed(&self) -> bool {
        match &self.exporters {
            Some(chosen) => chosen.contains(&Exporter::Otlp),
            None => self.receiver.endpoint.is_some(),
        }
    }

    /// Whether Prometheus may come and ask. Only metrics are.
    pub(crate) fn is_served(&self) -> bool {
        match &self.exporters {
            Some(chosen) => chosen.contains(&Exporter::Prometheus),
            None => true,
        }
    }

    /// Whether it is to be printed.
    pub(crate) fn is_printed(&self) -> bool {
        let chosen = self.exporters.as_ref();
        chosen.is_some_and(|chosen| chosen.contains(&Exporter::Console))
    }

    /// Sends requests of this signal here, unless the environment has chosen.
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

/// The wish for exponential buckets cannot be met; explicit ones are what every receiver takes.
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

/// The persistent queue's directory.
pub(crate) const JOURNAL: &str = "BAROGRAPH_PUSH_JOURNAL_DIR";
/// How much disk the persistent queue may take.
pub(crate) const JOURNAL_MAX_BYTES: &str = "BAROGRAPH_PUSH_JOURNAL_MAX_BYTES";
/// Whether the persistent queue must be there for telemetry to start.
pub(crate) const JOURNAL_REQUIRED: &str = "BAROGRAPH_PUSH_JOURNAL_REQUIRED";
