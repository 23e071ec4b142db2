//! The sampler trait, with its input and its result.

use std::fmt;
use std::sync::Arc;

use barograph_model::context::{TraceContext, TraceFlags, TraceId, TraceState};
use barograph_model::span::{SpanKind, SpanLink};
use barograph_model::value::Attribute;

/// Decides which spans are recorded.
///
/// It is called on the thread that starts the span, so its run time adds to the request.
pub trait Sampler: Send + Sync + fmt::Debug {
    /// Returns the decision for a span that starts now.
    fn sample(&self, span: &SpanStart<'_>) -> SamplingResult;

    /// Returns the decision if it depends only on the trace id and the parent, and the result
    /// would set neither tracestate nor attributes; `None` if [`sample`](Sampler::sample) has to be
    /// called.
    ///
    /// It is called first when the tracestate is empty. It avoids building a [`SpanStart`] for
    /// spans that are not recorded.
    #[inline]
    fn decide(&self, trace_id: TraceId, parent: Option<TraceContext>) -> Option<Decision> {
        let _ = (trace_id, parent);
        None
    }

    /// Returns true if the decision depends on attributes or links of the span.
    ///
    /// If it returns false, the attributes of spans that are not recorded need not be collected.
    fn needs_attributes(&self) -> bool {
        true
    }

    /// Describes the sampler and its settings for humans: `TraceIdRatioBased{0.01}`.
    fn description(&self) -> String;
}

/// A span that is about to start.
///
/// ```
/// # mod barograph {
/// #     pub use barograph_model::context;
/// #     pub use barograph_tracing::sampling::{self, Sampler};
/// # }
/// use barograph::Sampler;
/// use barograph::context::TraceContext;
/// use barograph::sampling::{Decision, ParentBased, SpanStart};
/// let header = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
/// let parent = TraceContext::parse_traceparent(header)?.as_remote();
/// let span = SpanStart::new(parent.trace_id(), "GET /orders/{id}").with_parent(parent);
/// assert_eq!(ParentBased::default().sample(&span).decision, Decision::RecordAndSample);
/// # Ok::<(), barograph_model::context::InvalidTraceparent>(())
/// ```
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct SpanStart<'a> {
    /// The context of the parent, or `None` for the root of a trace.
    pub parent: Option<TraceContext>,
    /// The trace id, which is the trace id of the parent if there is one.
    pub trace_id: TraceId,
    /// The tracestate of the parent.
    pub trace_state: &'a TraceState,
    /// The name of the span.
    pub name: &'a str,
    /// The kind of the span.
    pub kind: SpanKind,
    /// The attributes that are already known.
    pub attributes: &'a [Attribute],
    /// The links to other spans.
    pub links: &'a [SpanLink],
}

impl<'a> SpanStart<'a> {
    /// Creates the start of a root span without any further data.
    #[inline]
    pub fn new(trace_id: TraceId, name: &'a str) -> Self {
        SpanStart {
            parent: None,
            trace_id,
            trace_state: &TraceState::EMPTY,
            name,
            kind: SpanKind::Internal,
            attributes: &[],
            links: &[],
        }
    }

    /// Sets the parent, and the trace id to that of the parent.
    #[inline]
    #[must_use]
    pub fn with_parent(self, parent: TraceContext) -> Self {
        SpanStart {
            parent: Some(parent),
            trace_id: parent.trace_id(),
            ..self
        }
    }

    /// Sets the tracestate of the parent.
    #[inline]
    #[must_use]
    pub fn with_trace_state(self, trace_state: &'a TraceState) -> Self {
        SpanStart {
            trace_state,
            ..self
        }
    }

    /// Sets the kind.
    #[inline]
    #[must_use]
    pub fn with_kind(self, kind: SpanKind) -> Self {
        SpanStart { kind, ..self }
    }

    /// Sets the attributes that are already known.
    #[inline]
    #[must_use]
    pub fn with_attributes(self, attributes: &'a [Attribute]) -> Self {
        SpanStart { attributes, ..self }
    }

    /// Sets the links to other spans.
    #[inline]
    #[must_use]
    pub fn with_links(self, links: &'a [SpanLink]) -> Self {
        SpanStart { links, ..self }
    }
}

/// The result of a sampler for a span.
#[derive(Clone, Debug, PartialEq)]
pub struct SamplingResult {
    /// The decision whether the span is recorded and exported.
    pub decision: Decision,
    /// The tracestate of the span, if it differs from that of [`SpanStart`].
    pub trace_state: Option<TraceState>,
    /// Attributes that are added to the span if it is recorded.
    pub attributes: Vec<Attribute>,
}

impl SamplingResult {
    /// Creates a result with a decision and nothing else. Allocates nothing.
    #[inline]
    pub const fn new(decision: Decision) -> Self {
        SamplingResult {
            decision,
            trace_state: None,
            attributes: Vec::new(),
        }
    }

    /// Returns the flags of the span's context: the sampled flag of the decision, and the other
    /// flags of the parent.
    ///
    /// For a root the other flags are `random`: [`TraceFlags::RANDOM`] if the ids are generated at
    /// random.
    #[inline]
    pub fn flags(&self, parent: Option<TraceContext>, random: TraceFlags) -> TraceFlags {
        let flags = parent.map_or(random, |parent| parent.flags());
        match self.decision {
            Decision::RecordAndSample => flags.with(TraceFlags::SAMPLED),
            Decision::Drop | Decision::RecordOnly => flags.without(TraceFlags::SAMPLED),
        }
    }
}

impl From<Decision> for SamplingResult {
    #[inline]
    fn from(decision: Decision) -> Self {
        SamplingResult::new(decision)
    }
}

/// The decision whether a span is recorded and exported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(
    clippy::exhaustive_enums,
    reason = "the specification has these three, and who reads one must think of all"
)]
pub enum Decision {
    /// The span is neither recorded nor exported.
    Drop,
    /// The span is recorded for use in this process; it is not exported, and its context is not
    /// sampled.
    RecordOnly,
    /// The span is recorded and exported; its context is sampled.
    RecordAndSample,
}

impl<S: Sampler + ?Sized> Sampler for Arc<S> {
    fn sample(&self, span: &SpanStart<'_>) -> SamplingResult {
        (**self).sample(span)
    }

    #[inline]
    fn decide(&self, trace_id: TraceId, parent: Option<TraceContext>) -> Option<Decision> {
        (**self).decide(trace_id, parent)
    }

    fn needs_attributes(&self) -> bool {
        (**self).needs_attributes()
    }

    fn description(&self) -> String {
        (**self).description()
    }
}

impl<S: Sampler + ?Sized> Sampler for Box<S> {
    fn sample(&self, span: &SpanStart<'_>) -> SamplingResult {
        (**self).sample(span)
    }

    #[inline]
    fn decide(&self, trace_id: TraceId, parent: Option<TraceContext>) -> Option<Decision> {
        (**self).decide(trace_id, parent)
    }

    fn needs_attributes(&self) -> bool {
        (**self).needs_attributes()
    }

    fn description(&self) -> String {
        (**self).description()
    }
}
