//! Replaces `otlp_env` without the feature `otlp`: reads whether metrics are served, and whether
//! pushing is requested, which is then logged as unavailable.

use crate::env::Environment;

#[path = "otlp_env/exporter.rs"]
mod exporter;

use exporter::{Exporter, LOGS_EXPORTER, METRICS_EXPORTER, TRACES_EXPORTER};

/// The configuration of exporters.
#[derive(Clone, Debug, Default)]
pub(crate) struct Otlp {
    pub(crate) metrics: Export,
    is_wanted: bool,
}

/// The configuration of one signal.
#[derive(Clone, Debug, Default)]
pub(crate) struct Export {
    exporters: Option<Vec<Exporter>>,
}

impl Otlp {
    pub(crate) fn read(environment: &mut Environment<'_>) -> Self {
        let mut is_wanted = ENDPOINTS.iter().any(|name| environment.is_set(name));
        let known = [
            ("otlp", Exporter::Otlp),
            ("console", Exporter::Console),
            ("zipkin", Exporter::Zipkin),
            ("prometheus", Exporter::Prometheus),
        ];
        let mut export = |variable| {
            let exporters = exporter::read(environment, variable, &known);
            let mut pushed = exporters.iter().flatten();
            is_wanted |= pushed.any(|exporter| *exporter != Exporter::Prometheus);
            Export { exporters }
        };
        let metrics = export(METRICS_EXPORTER);
        export(TRACES_EXPORTER);
        export(LOGS_EXPORTER);
        Otlp { metrics, is_wanted }
    }

    /// Returns true if pushing is requested.
    pub(crate) fn is_wanted(&self) -> bool {
        self.is_wanted
    }
}

impl Export {
    /// Returns true if the page of metrics is served to Prometheus.
    pub(crate) fn is_served(&self) -> bool {
        match &self.exporters {
            Some(chosen) => chosen.contains(&Exporter::Prometheus),
            None => true,
        }
    }
}

const ENDPOINTS: [&str; 4] = [
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT",
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
    "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT",
];
