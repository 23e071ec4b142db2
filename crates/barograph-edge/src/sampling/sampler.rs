//! What is asked when a span starts, and what is answered.

use std::fmt;
use std::sync::Arc;

use barograph_model::context::{TraceContext, TraceFlags, TraceId, TraceState};
use barograph_model::span::{SpanKind, SpanLink};
use barograph_model::value::Attribute;

/// Decides which spans are recorded.
///
/// It is asked on the thread that starts the span, and what it takes is taken from a request.
pub trait Sampler: Send + Sync + fmt::Debug {
    /// What becomes of a span that starts now.
    fn sample(&self, span: &SpanStart<'_>) -> Verdict;

    /// The decision, where trace id and parent alone decide and nothing else is said; none where
    /// [`sample`](Sampler::sample) has to be asked.
    ///
    /// It is asked first when the tracestate is empty, and saves spans that are not recorded from
    /// being described.
    #[inline]
    fn decide(&self, trace_id: TraceId, parent: Option<TraceContext>) -> Option<Decision> {
        let _ = (trace_id, parent);
        None
    }

    /// Whether the decision depends on attributes or links of the span.
    ///
    /// Where it does not, those of spans that are not recorded need not be put together.
    fn needs_attributes(&self) -> bool {
        true
    }

    /// What it is and how it is set, for people: `TraceIdRatioBased{0.01}`.
    fn description(&self) -> String;
}

/// A span that is about to start.
///
/// ```
/// use barograph_edge::sampling::{Decision, ParentBased, Sampler, SpanStart};
/// use barograph_model::context::TraceContext;
/// let header = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
/// let parent = TraceContext::parse_traceparent(header)?.as_remote();
/// let span = SpanStart::new(parent.trace_id(), "GET /orders/{id}").with_parent(parent);
/// assert_eq!(ParentBased::default().sample(&span).decision, Decision::RecordAndSample);
/// # Ok::<(), barograph_model::context::InvalidTraceparent>(())
/// ```
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct SpanStart<'a> {
    /// The span that it will be a part of; none at the root of a trace.
    pub parent: Option<TraceContext>,
    /// Its trace: that of the parent, where there is one.
    pub trace_id: TraceId,
    /// What came with the parent.
    pub trace_state: &'a TraceState,
    /// What will be done.
    pub name: &'a str,
    /// Its place between services.
    pub kind: SpanKind,
    /// What is known about it already.
    pub attributes: &'a [Attribute],
    /// Other spans that it has to do with.
    pub links: &'a [SpanLink],
}

impl<'a> SpanStart<'a> {
    /// The root of a trace, of which nothing more is known.
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

    /// The same with a parent, whose trace it belongs to.
    #[inline]
    #[must_use]
    pub fn with_parent(self, parent: TraceContext) -> Self {
        SpanStart {
            parent: Some(parent),
            trace_id: parent.trace_id(),
            ..self
        }
    }

    /// The same with what came with the parent, or is said about the whole trace.
    #[inline]
    #[must_use]
    pub fn with_trace_state(self, trace_state: &'a TraceState) -> Self {
        SpanStart {
            trace_state,
            ..self
        }
    }

    /// The same of another kind.
    #[inline]
    #[must_use]
    pub fn with_kind(self, kind: SpanKind) -> Self {
        SpanStart { kind, ..self }
    }

    /// The same with what is known already.
    #[inline]
    #[must_use]
    pub fn with_attributes(self, attributes: &'a [Attribute]) -> Self {
        SpanStart { attributes, ..self }
    }

    /// The same with other spans that it has to do with.
    #[inline]
    #[must_use]
    pub fn with_links(self, links: &'a [SpanLink]) -> Self {
        SpanStart { links, ..self }
    }
}

/// What becomes of a span.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict {
    /// Whether it is recorded, and exported.
    pub decision: Decision,
    /// The tracestate of the span, where it is not that of [`SpanStart`].
    pub trace_state: Option<TraceState>,
    /// What is to be added to the attributes of the span, where it is recorded.
    pub attributes: Vec<Attribute>,
}

impl Verdict {
    /// A decision and nothing else. Allocates nothing.
    #[inline]
    pub const fn new(decision: Decision) -> Self {
        Verdict {
            decision,
            trace_state: None,
            attributes: Vec::new(),
        }
    }

    /// The flags of the span's context: sampled as decided, and what the parent says of the trace id.
    ///
    /// For a root `random` says it: [`TraceFlags::RANDOM`] where the ids are made at random.
    #[inline]
    pub fn flags(&self, parent: Option<TraceContext>, random: TraceFlags) -> TraceFlags {
        let flags = parent.map_or(random, |parent| parent.flags());
        match self.decision {
            Decision::RecordAndSample => flags.with(TraceFlags::SAMPLED),
            Decision::Drop | Decision::RecordOnly => flags.without(TraceFlags::SAMPLED),
        }
    }
}

impl From<Decision> for Verdict {
    #[inline]
    fn from(decision: Decision) -> Self {
        Verdict::new(decision)
    }
}

/// Whether a span is recorded, and exported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(
    clippy::exhaustive_enums,
    reason = "the specification has these three, and who reads one must think of all"
)]
pub enum Decision {
    /// Neither.
    Drop,
    /// Recorded for whoever looks at it in this process; not exported, and not sampled elsewhere.
    RecordOnly,
    /// Recorded and exported; its context is sampled.
    RecordAndSample,
}

impl<S: Sampler + ?Sized> Sampler for Arc<S> {
    fn sample(&self, span: &SpanStart<'_>) -> Verdict {
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
    fn sample(&self, span: &SpanStart<'_>) -> Verdict {
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
