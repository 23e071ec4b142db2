//! Samplers that need not look at a span.

use barograph_model::context::{TraceContext, TraceId};

use super::sampler::{Decision, Sampler, SpanStart, Verdict};

/// Samples everything.
///
/// It leaves the tracestate as it is. [`Probability`](super::Probability) of 1 samples as much, and
/// says so to whoever counts spans.
#[derive(Clone, Copy, Debug, Default)]
pub struct AlwaysOn;

impl Sampler for AlwaysOn {
    #[inline]
    fn sample(&self, _: &SpanStart<'_>) -> Verdict {
        Verdict::new(Decision::RecordAndSample)
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

/// Samples nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct AlwaysOff;

impl Sampler for AlwaysOff {
    #[inline]
    fn sample(&self, span: &SpanStart<'_>) -> Verdict {
        Verdict::new(Decision::Drop).without_threshold(span)
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

/// Samples what another sampler samples, and has everything else recorded without being exported.
#[derive(Clone, Copy, Debug)]
pub struct AlwaysRecord<S> {
    inner: S,
}

impl<S: Sampler> AlwaysRecord<S> {
    /// A sampler that drops nothing.
    pub fn new(inner: S) -> Self {
        AlwaysRecord { inner }
    }
}

impl<S: Sampler> Sampler for AlwaysRecord<S> {
    #[inline]
    fn sample(&self, span: &SpanStart<'_>) -> Verdict {
        let mut verdict = self.inner.sample(span);
        if verdict.decision == Decision::Drop {
            verdict.decision = Decision::RecordOnly;
        }
        verdict
    }

    fn needs_attributes(&self) -> bool {
        self.inner.needs_attributes()
    }

    fn description(&self) -> String {
        format!("AlwaysRecord{{{}}}", self.inner.description())
    }
}
