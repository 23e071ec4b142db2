//! Sampling that is consistent between services.

use barograph_model::context::{TraceContext, TraceId, TraceState};

use super::sampler::{Decision, Sampler, SamplingResult, SpanStart};
use super::threshold::{InvalidRatio, Randomness, Threshold};

/// Samples a share of all traces, and records the threshold in the tracestate.
///
/// It compares the random bits of the trace with its threshold. Services that use it sample the
/// same traces, as far as their ratios allow; and a backend that counts their spans knows how many
/// spans each one represents.
///
/// Like other samplers, and unlike [`ParentBased`](super::ParentBased), it ignores the parent.
///
/// Source: OpenTelemetry 1.60, "ProbabilitySampler".
///
/// ```
/// use barograph_tracing::sampling::{Decision, Probability, Sampler, SpanStart};
/// use barograph_model::context::{TraceContext, TraceFlags};
/// let sampler = Probability::new(0.25)?;
/// let trace = |id| TraceContext::new(id, 1, TraceFlags::RANDOM).expect("not zero").trace_id();
/// let result = sampler.sample(&SpanStart::new(trace(0x40_0000_0000_0000), "below"));
/// assert_eq!(result.decision, Decision::Drop);
/// let result = sampler.sample(&SpanStart::new(trace(0xc0_0000_0000_0000), "not below"));
/// assert_eq!(result.decision, Decision::RecordAndSample);
/// assert_eq!(result.trace_state.expect("a threshold").as_str(), "ot=th:c");
/// # Ok::<(), barograph_tracing::sampling::InvalidRatio>(())
/// ```
#[derive(Clone, Debug)]
pub struct Probability {
    ratio: f64,
    /// `None` if nothing is sampled, because 0 has no threshold.
    threshold: Option<Threshold>,
    /// The tracestate of roots without an incoming tracestate, created once.
    alone: TraceState,
}

impl Probability {
    /// Creates a sampler for this share of traces.
    ///
    /// # Errors
    /// Returns [`InvalidRatio`] if the ratio is neither 0 nor from 2⁻⁵⁶ to 1.
    pub fn new(ratio: f64) -> Result<Self, InvalidRatio> {
        let threshold = match ratio {
            0.0 => None,
            _ => Some(Threshold::of(ratio)?),
        };
        let alone = threshold.map(|threshold| threshold.set_in(&TraceState::EMPTY));
        Ok(Probability {
            ratio,
            threshold,
            alone: alone.unwrap_or_default(),
        })
    }
}

impl Sampler for Probability {
    #[inline]
    fn sample(&self, span: &SpanStart<'_>) -> SamplingResult {
        let randomness = Randomness::of(span.trace_id, span.trace_state);
        match self
            .threshold
            .filter(|threshold| threshold.accepts(randomness))
        {
            None => SamplingResult::new(Decision::Drop).without_threshold(span),
            Some(threshold) => {
                let trace_state = if span.trace_state.is_empty() {
                    self.alone.clone()
                } else {
                    threshold.set_in(span.trace_state)
                };
                SamplingResult {
                    trace_state: Some(trace_state),
                    ..SamplingResult::new(Decision::RecordAndSample)
                }
            }
        }
    }

    #[inline]
    fn decide(&self, trace_id: TraceId, _: Option<TraceContext>) -> Option<Decision> {
        let randomness = Randomness::of(trace_id, &TraceState::EMPTY);
        match self.threshold {
            Some(threshold) if threshold.accepts(randomness) => None,
            _ => Some(Decision::Drop),
        }
    }

    fn needs_attributes(&self) -> bool {
        false
    }

    fn description(&self) -> String {
        format!("ProbabilitySampler{{{}}}", self.ratio)
    }
}
