//! The OpenTelemetry SDK with the Prometheus exporter as its only reader, for all rows.

use opentelemetry::KeyValue;
use opentelemetry::metrics::{Meter, MeterProvider};
use opentelemetry_sdk::metrics::{Instrument, SdkMeterProvider, Stream};
use prometheus::{Registry, TextEncoder};

use crate::workload::{NAMES_3, Values3};

/// A meter provider, and the registry that its exporter fills.
pub(crate) struct Otel {
    provider: SdkMeterProvider,
    registry: Registry,
}

impl Otel {
    /// Creates a provider with room for `series` series in each instrument; the default limit is
    /// 2,000.
    pub(crate) fn with_limit(series: usize) -> Self {
        let registry = Registry::new();
        let exporter = opentelemetry_prometheus::exporter()
            .with_registry(registry.clone())
            .without_target_info()
            .scope_info_enabled(false)
            .build()
            .expect("a fresh registry takes the exporter");
        let limit = move |_: &Instrument| {
            Stream::builder()
                .with_cardinality_limit(series)
                .build()
                .ok()
        };
        let provider = SdkMeterProvider::builder()
            .with_reader(exporter)
            .with_view(limit)
            .build();
        Self { provider, registry }
    }

    pub(crate) fn new() -> Self {
        Self::with_limit(2_000)
    }

    pub(crate) fn meter(&self) -> Meter {
        self.provider.meter("benchmarks")
    }

    /// Renders the page into `text`, which is reused between renderings.
    pub(crate) fn render(&self, text: &mut String) {
        text.clear();
        TextEncoder::new()
            .encode_utf8(&self.registry.gather(), text)
            .expect("a string takes all that is written");
    }

    pub(crate) fn page(&self) -> String {
        let mut text = String::new();
        self.render(&mut text);
        text
    }
}

/// Converts three labels to attributes; static strings are not copied.
#[inline(always)]
pub(crate) fn attributes(values: Values3) -> [KeyValue; 3] {
    let [method, route, status] = values;
    [
        KeyValue::new(NAMES_3[0], method),
        KeyValue::new(NAMES_3[1], route),
        KeyValue::new(NAMES_3[2], status),
    ]
}
