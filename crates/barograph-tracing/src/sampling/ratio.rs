//! Sampling by the trace id only.

use barograph_model::context::{TraceContext, TraceId};

use super::sampler::{Decision, Sampler, SamplingResult, SpanStart};
use super::threshold::InvalidRatio;

/// Samples a share of all traces, chosen by their ids.
///
/// It uses the same algorithm as the OpenTelemetry SDKs for Go and Rust: it compares the right half
/// of the id, without its last bit. [`Probability`](super::Probability) is its successor: services
/// in any language can sample consistently with it, and its spans record their adjusted count.
///
/// Source: OpenTelemetry 1.60, "TraceIdRatioBased"; the specification leaves the algorithm open.
#[derive(Clone, Copy, Debug)]
pub struct TraceIdRatio {
    ratio: f64,
    /// The number of sampled values of the 2⁶³ possible ones.
    bound: u64,
}

impl TraceIdRatio {
    /// Creates a sampler for this share of traces.
    ///
    /// # Errors
    /// Returns [`InvalidRatio`] if the ratio is not from 0 to 1.
    pub fn new(ratio: f64) -> Result<Self, InvalidRatio> {
        if !(0.0..=1.0).contains(&ratio) {
            return Err(InvalidRatio(ratio));
        }
        let bound = (ratio * (1_u64 << 63) as f64) as u64;
        Ok(TraceIdRatio { ratio, bound })
    }

    #[inline]
    fn decision(&self, trace_id: TraceId) -> Decision {
        let right = trace_id.get() as u64;
        if right >> 1 < self.bound {
            Decision::RecordAndSample
        } else {
            Decision::Drop
        }
    }
}

impl Sampler for TraceIdRatio {
    #[inline]
    fn sample(&self, span: &SpanStart<'_>) -> SamplingResult {
        SamplingResult::new(self.decision(span.trace_id)).without_threshold(span)
    }

    #[inline]
    fn decide(&self, trace_id: TraceId, _: Option<TraceContext>) -> Option<Decision> {
        Some(self.decision(trace_id))
    }

    fn needs_attributes(&self) -> bool {
        false
    }

    fn description(&self) -> String {
        format!("TraceIdRatioBased{{{}}}", self.ratio)
    }
}
