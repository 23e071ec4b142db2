//! The temporality of sums and histograms.

use barograph_model::descriptor::{Descriptor, Kind};

/// The aggregation temporality of a point: the start of the interval that it covers.
///
/// Source: OpenTelemetry metrics data model, "Temporality".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Temporality {
    /// The interval begins when the series began.
    #[default]
    Cumulative,
    /// The interval begins where that of the previous point ended.
    Delta,
}

/// The temporality of each kind of instrument. Gauges have none.
///
/// ```
/// use barograph_encode::otlp::{Temporalities, Temporality};
/// let mut temporalities = Temporalities::DELTA;
/// temporalities.histogram = Temporality::Cumulative;
/// ```
///
/// Source: OpenTelemetry, "Metrics exporter: OTLP", `OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Temporalities {
    /// The temporality of counters.
    pub counter: Temporality,
    /// The temporality of counters with callbacks.
    pub observable_counter: Temporality,
    /// The temporality of up-down counters, with and without callbacks.
    pub up_down_counter: Temporality,
    /// The temporality of histograms.
    pub histogram: Temporality,
}

impl Temporalities {
    /// Cumulative temporality for all instruments, as Prometheus requires.
    pub const CUMULATIVE: Self = Temporalities {
        counter: Temporality::Cumulative,
        observable_counter: Temporality::Cumulative,
        up_down_counter: Temporality::Cumulative,
        histogram: Temporality::Cumulative,
    };

    /// Delta temporality for all monotonic instruments: counters and histograms.
    pub const DELTA: Self = Temporalities {
        counter: Temporality::Delta,
        observable_counter: Temporality::Delta,
        up_down_counter: Temporality::Cumulative,
        histogram: Temporality::Delta,
    };

    /// Delta temporality where most SDKs need no stored values for it: counters and histograms
    /// without callbacks. This reader always stores the previous values of delta series.
    pub const LOW_MEMORY: Self = Temporalities {
        counter: Temporality::Delta,
        observable_counter: Temporality::Cumulative,
        up_down_counter: Temporality::Cumulative,
        histogram: Temporality::Delta,
    };

    /// Returns true if any instrument has delta temporality.
    pub fn uses_delta(&self) -> bool {
        *self != Self::CUMULATIVE
    }

    /// Returns the temporality of a family.
    pub(super) fn of(&self, descriptor: &Descriptor) -> Temporality {
        match (descriptor.kind, descriptor.is_observable) {
            (Kind::Counter, false) => self.counter,
            (Kind::Counter, true) => self.observable_counter,
            (Kind::UpDownCounter, _) => self.up_down_counter,
            (Kind::Histogram, _) => self.histogram,
            _ => Temporality::Cumulative,
        }
    }
}
