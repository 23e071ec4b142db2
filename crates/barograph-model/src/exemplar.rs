//! Exemplars: single measurements with the trace they were made in.

use crate::context::TraceContext;

/// A measurement picked out of those that make up a counter or a histogram bucket.
///
/// Source: OpenMetrics 1.0 "Exemplars"; OpenTelemetry metrics data model "Exemplars".
#[derive(Clone, Debug, PartialEq)]
pub struct Exemplar {
    /// The measured value: the increment, or the observation.
    pub value: f64,
    /// The time of the measurement, in nanoseconds since the Unix epoch.
    pub time_unix_nano: Option<u64>,
    /// The trace and span of the measurement.
    pub context: Option<TraceContext>,
    /// Further labels, only from foreign sources.
    pub labels: Vec<(Box<str>, Box<str>)>,
}
