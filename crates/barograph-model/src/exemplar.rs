//! One measurement that stands for many, with the trace it was made in.

use crate::context::TraceContext;

/// A measurement picked out of those that make up a counter or a histogram bucket.
///
/// Source: OpenMetrics 1.0 "Exemplars"; OpenTelemetry metrics data model "Exemplars".
#[derive(Clone, Debug, PartialEq)]
pub struct Exemplar {
    /// What was measured: the increment, or the observed value.
    pub value: f64,
    /// When, in nanoseconds since the Unix epoch.
    pub time_unix_nano: Option<u64>,
    /// The trace and span it was measured in.
    pub context: Option<TraceContext>,
    /// Further labels, of foreign sources only.
    pub labels: Vec<(Box<str>, Box<str>)>,
}
