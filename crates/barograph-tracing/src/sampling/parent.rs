//! Sampling that follows the parent.

use barograph_model::context::{TraceContext, TraceId};

use super::always::{AlwaysOff, AlwaysOn};
use super::sampler::{Decision, Sampler, SamplingResult, SpanStart};
use super::threshold::{Randomness, Threshold};

/// Delegates to one of five samplers, depending on the parent.
///
/// By default only the first service of a trace decides: a span with a parent is sampled if the
/// parent is. So a trace is recorded as a whole or not at all, whatever the samplers of the later
/// services are.
///
/// A `th` that contradicts the decision of a remote parent is removed from the tracestate.
///
/// Source: OpenTelemetry 1.60, "ParentBased" and "Parent-based threshold".
#[derive(Debug)]
pub struct ParentBased {
    root: Box<dyn Sampler>,
    remote_sampled: Box<dyn Sampler>,
    remote_not_sampled: Box<dyn Sampler>,
    local_sampled: Box<dyn Sampler>,
    local_not_sampled: Box<dyn Sampler>,
}

impl ParentBased {
    /// Creates a sampler that asks `root` for root spans and follows the parent for all others.
    pub fn new(root: impl Sampler + 'static) -> Self {
        ParentBased {
            root: Box::new(root),
            remote_sampled: Box::new(AlwaysOn),
            remote_not_sampled: Box::new(AlwaysOff),
            local_sampled: Box::new(AlwaysOn),
            local_not_sampled: Box::new(AlwaysOff),
        }
    }

    /// Sets the sampler for spans with a remote parent that is sampled.
    #[must_use]
    pub fn with_remote_parent_sampled(mut self, sampler: impl Sampler + 'static) -> Self {
        self.remote_sampled = Box::new(sampler);
        self
    }

    /// Sets the sampler for spans with a remote parent that is not sampled.
    #[must_use]
    pub fn with_remote_parent_not_sampled(mut self, sampler: impl Sampler + 'static) -> Self {
        self.remote_not_sampled = Box::new(sampler);
        self
    }

    /// Sets the sampler for spans with a local parent that is sampled.
    #[must_use]
    pub fn with_local_parent_sampled(mut self, sampler: impl Sampler + 'static) -> Self {
        self.local_sampled = Box::new(sampler);
        self
    }

    /// Sets the sampler for spans with a local parent that is not sampled.
    #[must_use]
    pub fn with_local_parent_not_sampled(mut self, sampler: impl Sampler + 'static) -> Self {
        self.local_not_sampled = Box::new(sampler);
        self
    }

    /// Returns the sampler for a span with this parent.
    #[inline]
    fn sampler(&self, parent: Option<TraceContext>) -> &dyn Sampler {
        let Some(parent) = parent else {
            return &*self.root;
        };
        match (parent.is_remote(), parent.is_sampled()) {
            (true, true) => &*self.remote_sampled,
            (true, false) => &*self.remote_not_sampled,
            (false, true) => &*self.local_sampled,
            (false, false) => &*self.local_not_sampled,
        }
    }

    fn all(&self) -> [(&'static str, &dyn Sampler); 5] {
        [
            ("root", &*self.root),
            ("remoteParentSampled", &*self.remote_sampled),
            ("remoteParentNotSampled", &*self.remote_not_sampled),
            ("localParentSampled", &*self.local_sampled),
            ("localParentNotSampled", &*self.local_not_sampled),
        ]
    }
}

/// Samples every span, unless its parent is not sampled.
impl Default for ParentBased {
    fn default() -> Self {
        ParentBased::new(AlwaysOn)
    }
}

impl Sampler for ParentBased {
    #[inline]
    fn sample(&self, span: &SpanStart<'_>) -> SamplingResult {
        let result = self.sampler(span.parent).sample(span);
        let Some(parent) = span.parent else {
            return result;
        };
        // A tracestate that the sampler returned is consistent, and that of a local parent was
        // checked when the parent started. A tracestate that was received and is unchanged may be
        // inconsistent.
        if result.trace_state.is_some()
            || !parent.is_remote()
            || is_consistent(span, result.decision)
        {
            return result;
        }
        result.without_threshold(span)
    }

    #[inline]
    fn decide(&self, trace_id: TraceId, parent: Option<TraceContext>) -> Option<Decision> {
        self.sampler(parent).decide(trace_id, parent)
    }

    fn needs_attributes(&self) -> bool {
        let mut all = self.all().into_iter();
        all.any(|(_, sampler)| sampler.needs_attributes())
    }

    fn description(&self) -> String {
        let all = self
            .all()
            .map(|(name, sampler)| format!("{name}:{}", sampler.description()));
        format!("ParentBased{{{}}}", all.join(","))
    }
}

/// Returns true if the `th` received with the parent, if any, agrees with the decision.
#[inline]
fn is_consistent(span: &SpanStart<'_>, decision: Decision) -> bool {
    let accepts =
        |threshold: Threshold| threshold.accepts(Randomness::of(span.trace_id, span.trace_state));
    span.trace_state.is_empty()
        || Threshold::in_trace_state(span.trace_state).is_none_or(|threshold| {
            let parent_sampled = span.parent.is_some_and(|parent| parent.is_sampled());
            parent_sampled && accepts(threshold) && decision == Decision::RecordAndSample
        })
}
