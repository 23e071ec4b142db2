//! The exporters of each signal.
//!
//! One deviation from OpenTelemetry, whose default exporter is `otlp`: a signal without a configured
//! exporter is pushed only if an endpoint is set, so that an unconfigured program opens no
//! connections; and metrics are served to Prometheus.

use barograph_encode::otlp::Signal;

use crate::environment::{Environment, words};
#[cfg(feature = "otlp")]
use crate::otlp::{PushConfig, Receiver};
#[cfg(not(feature = "otlp"))]
use crate::variables::ENDPOINT;
use crate::variables::{LOGS_EXPORTER, METRICS_EXPORTER, TRACES_EXPORTER};

/// The exporters of each signal, and the settings of pushes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Exporters {
    /// The exporters of metrics.
    pub metrics: SignalExporters,
    /// The exporters of spans.
    pub traces: SignalExporters,
    /// The exporters of log records.
    pub logs: SignalExporters,
    /// The settings of pushes other than the receivers.
    #[cfg(feature = "otlp")]
    pub push: PushConfig,
}

/// The exporters of one signal.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SignalExporters {
    /// The chosen exporters. An empty list is a choice, too: `none`.
    pub chosen: Option<Vec<Exporter>>,
    /// The receiver of OTLP.
    #[cfg(feature = "otlp")]
    pub receiver: Receiver,
}

/// An exporter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exporter {
    /// Pushes by OTLP.
    Otlp,
    /// Serves the page to Prometheus.
    Prometheus,
    /// Prints on stdout.
    Console,
    /// Pushes in the Zipkin format. For spans only.
    Zipkin,
}

impl Exporters {
    /// Reads all variables about exporters.
    pub(crate) fn read(environment: &mut Environment<'_>) -> Self {
        Exporters {
            metrics: SignalExporters::read(environment, Signal::Metrics),
            traces: SignalExporters::read(environment, Signal::Traces),
            logs: SignalExporters::read(environment, Signal::Logs),
            #[cfg(feature = "otlp")]
            push: PushConfig::read(environment),
        }
    }

    /// Returns the exporters of each signal.
    pub fn signals(&self) -> [(Signal, &SignalExporters); 3] {
        [
            (Signal::Metrics, &self.metrics),
            (Signal::Traces, &self.traces),
            (Signal::Logs, &self.logs),
        ]
    }

    /// Adds a notice if a push is requested, which needs the feature `otlp`.
    #[cfg(not(feature = "otlp"))]
    pub(crate) fn note_missing_feature(&self, environment: &mut Environment<'_>) {
        let is_push = |exporter: &Exporter| *exporter != Exporter::Prometheus;
        let chosen = self.signals().map(|(_, exporters)| &exporters.chosen);
        let signals = self.signals().map(|(signal, _)| signal);
        let mut endpoints = signals
            .map(|signal| ENDPOINT.in_precedence(signal))
            .into_iter()
            .flatten();
        if endpoints.any(|endpoint| environment.is_set(&endpoint))
            || chosen.into_iter().flatten().flatten().any(is_push)
        {
            let text = "nothing is pushed: the feature `otlp` of barograph is not compiled in";
            environment.notice(text.to_owned());
        }
    }
}

impl SignalExporters {
    fn read(environment: &mut Environment<'_>, signal: Signal) -> Self {
        SignalExporters {
            chosen: chosen(environment, signal),
            #[cfg(feature = "otlp")]
            receiver: Receiver::read(environment, signal),
        }
    }

    /// Returns true if this signal is pushed by OTLP.
    #[cfg(feature = "otlp")]
    pub fn is_pushed(&self) -> bool {
        match &self.chosen {
            Some(_) => self.is_chosen(Exporter::Otlp),
            None => self.receiver.endpoint.is_some(),
        }
    }

    /// Returns true if the page is served to Prometheus. Applies to metrics only.
    pub fn is_served(&self) -> bool {
        self.chosen.is_none() || self.is_chosen(Exporter::Prometheus)
    }

    /// Returns true if this exporter is chosen by name.
    pub fn is_chosen(&self, exporter: Exporter) -> bool {
        let mut chosen = self.chosen.iter().flatten();
        chosen.any(|chosen| *chosen == exporter)
    }
}

/// Reads the list of exporters of a signal, each once. An empty list means `none`; None means that
/// the variable is unset, or contains no known exporter.
///
/// Source: OpenTelemetry environment variables, "Exporter selection".
fn chosen(environment: &mut Environment<'_>, signal: Signal) -> Option<Vec<Exporter>> {
    let otlp = ("otlp", Exporter::Otlp);
    let console = ("console", Exporter::Console);
    let zipkin = ("zipkin", Exporter::Zipkin);
    let prometheus = ("prometheus", Exporter::Prometheus);
    let (variable, known) = match signal {
        Signal::Metrics => (METRICS_EXPORTER, &[otlp, prometheus, console][..]),
        Signal::Traces => (TRACES_EXPORTER, &[otlp, zipkin, console][..]),
        Signal::Logs => (LOGS_EXPORTER, &[otlp, console][..]),
    };
    let text = environment.text(&variable)?;
    let mut exporters = Vec::new();
    let mut says_none = false;
    let mut ignored = Vec::new();
    for word in words(&text) {
        let mut known = known.iter();
        match known.find(|(name, _)| word.eq_ignore_ascii_case(name)) {
            Some((_, exporter)) if exporters.contains(exporter) => {}
            Some((_, exporter)) => exporters.push(*exporter),
            None if word.eq_ignore_ascii_case("none") => says_none = true,
            None => ignored.push(word),
        }
    }
    if says_none && !exporters.is_empty() {
        ignored.push("none");
    }
    environment.ignore_entries(&variable, &ignored);
    (says_none || !exporters.is_empty()).then_some(exporters)
}
