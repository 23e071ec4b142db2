//! The exporters of a signal.

use crate::env::Environment;

/// An exporter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exporter {
    /// Pushes by OTLP.
    Otlp,
    /// Serves the page to Prometheus.
    Prometheus,
    /// Prints on stdout.
    Console,
    /// Pushes in the Zipkin format. For spans only.
    Zipkin,
}

/// Reads a list of exporters, each once. An empty list means `none`; None means that the variable is
/// unset, or contains no known exporter.
///
/// Source: OpenTelemetry environment variables, "Exporter selection".
pub(crate) fn read(
    environment: &mut Environment<'_>,
    variable: &str,
    known: &[(&str, Exporter)],
) -> Option<Vec<Exporter>> {
    let text = environment.text(variable)?;
    let mut exporters = Vec::new();
    let mut says_none = false;
    let mut ignored = Vec::new();
    for word in text.split(',').map(str::trim).filter(|w| !w.is_empty()) {
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
    environment.ignore_entries(variable, &ignored, expected(variable));
    (says_none || !exporters.is_empty()).then_some(exporters)
}

fn expected(variable: &str) -> &'static str {
    match variable {
        METRICS_EXPORTER => "otlp, prometheus, console, a list of them, or none alone",
        TRACES_EXPORTER => "otlp, zipkin, console, a list of them, or none alone",
        _ => "otlp, console, a list of them, or none alone",
    }
}

pub(crate) const METRICS_EXPORTER: &str = "OTEL_METRICS_EXPORTER";
pub(crate) const TRACES_EXPORTER: &str = "OTEL_TRACES_EXPORTER";
pub(crate) const LOGS_EXPORTER: &str = "OTEL_LOGS_EXPORTER";
