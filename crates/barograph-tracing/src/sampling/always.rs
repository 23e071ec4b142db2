//! Samplers that do not look at the span.

use barograph_model::context::{TraceContext, TraceId};

use super::sampler::{Decision, Sampler, SamplingResult, SpanStart};

/// Samples every span.
///
/// It leaves the tracestate unchanged. A [`Probability`](super::Probability) of 1 samples the same
/// spans, and records the probability in the tracestate for backends that count spans.
#[derive(Clone, Copy, Debug, Default)]
pub struct AlwaysOn;

impl Sampler for AlwaysOn {
    #[inline]
    fn sample(&self, _: &SpanStart<'_>) -> SamplingResult {
        SamplingResult::new(Decision::RecordAndSample)
    }

    #[inline]
    fn decide(&self, _: TraceId, _: Option<TraceContext>) -> Option<Decision> {
        Some(Decision::RecordAndSample)
    }

    fn needs_attributes(&self) -> bool {
        false
    }

    fn description(&self) -> String {
        "AlwaysOnSampler".to_owned()
    }
}

/// Samples no span.
#[derive(Clone, Copy, Debug, Default)]
pub struct AlwaysOff;

impl Sampler for AlwaysOff {
    #[inline]
    fn sample(&self, span: &SpanStart<'_>) -> SamplingResult {
        SamplingResult::new(Decision::Drop).without_threshold(span)
    }

    #[inline]
    fn decide(&self, _: TraceId, _: Option<TraceContext>) -> Option<Decision> {
        Some(Decision::Drop)
    }

    fn needs_attributes(&self) -> bool {
        false
    }

    fn description(&self) -> String {
        "AlwaysOffSampler".to_owned()
    }
}

/// Samples the spans that another sampler samples, and records all others without exporting them.
#[derive(Clone, Copy, Debug)]
pub struct AlwaysRecord<S> {
    inner: S,
}

impl<S: Sampler> AlwaysRecord<S> {
    /// Creates a sampler that records the spans that `inner` drops.
    pub fn new(inner: S) -> Self {
        AlwaysRecord { inner }
    }
}

impl<S: Sampler> Sampler for AlwaysRecord<S> {
    #[inline]
    fn sample(&self, span: &SpanStart<'_>) -> SamplingResult {
        let mut result = self.inner.sample(span);
        if result.decision == Decision::Drop {
            result.decision = Decision::RecordOnly;
        }
        result
    }

    fn needs_attributes(&self) -> bool {
        self.inner.needs_attributes()
    }

    fn description(&self) -> String {
        format!("AlwaysRecord{{{}}}", self.inner.description())
    }
}
