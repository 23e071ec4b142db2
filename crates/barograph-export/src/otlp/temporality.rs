//! What a number counts from.

use barograph_model::descriptor::Kind;

/// What a point counts from.
///
/// Source: OpenTelemetry metrics data model, "Temporality".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Temporality {
    /// From the time at which its series began.
    #[default]
    Cumulative,
    /// From the time at which the point before ended.
    Delta,
}

/// The temporality of each kind of instrument. Values of the moment have none.
///
/// ```
/// use barograph_export::otlp::{Temporalities, Temporality};
/// let mut temporalities = Temporalities::DELTA;
/// temporalities.histogram = Temporality::Cumulative;
/// ```
///
/// Source: OpenTelemetry, "Metrics exporter: OTLP", `OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Temporalities {
    /// Of counters.
    pub counter: Temporality,
    /// Of counters whose values a callback gives.
    pub observable_counter: Temporality,
    /// Of up-down counters, with and without callbacks.
    pub up_down_counter: Temporality,
    /// Of histograms.
    pub histogram: Temporality,
}

impl Temporalities {
    /// Everything cumulative, which is what Prometheus takes.
    pub const CUMULATIVE: Self = Temporalities {
        counter: Temporality::Cumulative,
        observable_counter: Temporality::Cumulative,
        up_down_counter: Temporality::Cumulative,
        histogram: Temporality::Cumulative,
    };

    /// Differences for all that only grows.
    pub const DELTA: Self = Temporalities {
        counter: Temporality::Delta,
        observable_counter: Temporality::Delta,
        up_down_counter: Temporality::Cumulative,
        histogram: Temporality::Delta,
    };

    /// Differences where most SDKs need no memory for them: counters and histograms without
    /// callbacks. Ours keeps the last values of a delta reader in any case.
    pub const LOW_MEMORY: Self = Temporalities {
        counter: Temporality::Delta,
        observable_counter: Temporality::Cumulative,
        up_down_counter: Temporality::Cumulative,
        histogram: Temporality::Delta,
    };

    /// Whether anything is told as a difference.
    pub fn tell_differences(&self) -> bool {
        *self != Self::CUMULATIVE
    }

    pub(super) fn of(&self, kind: Kind, is_observable: bool) -> Temporality {
        match (kind, is_observable) {
            (Kind::Counter, false) => self.counter,
            (Kind::Counter, true) => self.observable_counter,
            (Kind::UpDownCounter, _) => self.up_down_counter,
            (Kind::Histogram, _) => self.histogram,
            _ => Temporality::Cumulative,
        }
    }
}
