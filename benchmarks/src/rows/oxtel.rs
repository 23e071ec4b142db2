//! oxtel's meter provider, with its Prometheus exporter as the only reader, for all rows.
//!
//! It records what goes through the `metrics` crate. The rows hold the handles of `metrics`, or
//! register them as its macros do, on the recorder of the provider: no global is needed.

use metrics::{Counter, Gauge, Histogram, Key, Recorder};
use oxtel_prometheus::{Options, PrometheusExporter};
use oxtel_sdk::Resource;
use oxtel_sdk::metrics::{MeterProvider, MetricsRecorder};

use crate::rows::counters::METADATA;
use crate::workload::BOUNDS_11;

/// A meter provider, its recorder and its page. Clones share them.
#[derive(Clone)]
pub(crate) struct Oxtel {
    provider: MeterProvider,
    recorder: MetricsRecorder,
    exporter: PrometheusExporter,
}

impl Oxtel {
    /// Creates a provider with room for `series` series in each instrument; the default limit is
    /// 2,000.
    pub(crate) fn with_limit(series: usize) -> Self {
        let mut builder = MeterProvider::builder()
            .with_resource(resource())
            .with_cardinality_limit(series);
        for name in ["took", "took_seconds"] {
            builder = builder.with_histogram_buckets(name, &BOUNDS_11);
        }
        let provider = builder.build();
        // As for the other libraries: no labels but those of the series.
        let options = Options {
            scope_labels: false,
            target_info: false,
        };
        Self {
            recorder: provider.recorder(),
            exporter: PrometheusExporter::new(provider.clone(), resource()).with_options(options),
            provider,
        }
    }

    pub(crate) fn new() -> Self {
        Self::with_limit(2_000)
    }

    pub(crate) fn provider(&self) -> &MeterProvider {
        &self.provider
    }

    pub(crate) fn recorder(&self) -> &MetricsRecorder {
        &self.recorder
    }

    pub(crate) fn counter(&self, key: impl Into<Key>) -> Counter {
        self.recorder.register_counter(&key.into(), &METADATA)
    }

    pub(crate) fn gauge(&self, key: impl Into<Key>) -> Gauge {
        self.recorder.register_gauge(&key.into(), &METADATA)
    }

    /// A histogram of 11 bounds, if its name is `took` or `took_seconds`.
    pub(crate) fn histogram(&self, key: impl Into<Key>) -> Histogram {
        self.recorder.register_histogram(&key.into(), &METADATA)
    }

    /// Renders the page as text 0.0.4.
    pub(crate) fn page(&self) -> String {
        self.exporter.render(None).1
    }

    /// Renders the page as OpenMetrics, which includes exemplars.
    pub(crate) fn open_metrics(&self) -> String {
        self.exporter.render(Some("application/openmetrics-text")).1
    }
}

/// A resource that is the same on every machine.
pub(crate) fn resource() -> Resource {
    Resource::builder()
        .without_env()
        .without_detectors()
        .with_service_name("benchmarks")
        .build()
}
