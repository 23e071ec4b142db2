//! The start of a span: its parent, its ids, the sampling decision, and the first values of its
//! record.

use std::sync::atomic::Ordering;

use barograph_core::current::{self, Current};
use barograph_core::ids;
use barograph_model::context::{Propagation, Sampling, TraceContext, TraceFlags, TraceState};
use barograph_model::span::{Parent, SpanKind, SpanRecord};
use barograph_model::value::Attribute;
use tracing::Metadata;
use tracing::span::Attributes;

use super::fields::{Fields, NameAndKind, Visitor, has_own, location};
use super::metrics::{IsSampled, Origin};
use super::open::{Open, TailSampledSpan, Timing};
use super::span_pool;
use super::stack;
use super::table::Slot;
use super::tracer::Tracer;
use crate::sampling::tail::BufferedTrace;
use crate::sampling::{Decision, SamplingResult, SpanStart};

/// The parent of a span that starts.
struct From<'a> {
    /// The current context inside of the parent.
    current: Current,
    /// The slot of the parent, if it is a span of the same layer.
    slot: Option<&'a Slot>,
}

impl<'a> From<'a> {
    /// Returns a parent of the same layer, or no parent.
    fn slot(slot: Option<&'a Slot>) -> Self {
        From {
            current: slot.map(Slot::current).unwrap_or_default(),
            slot,
        }
    }
}

/// The sampling decision for a span.
struct Decided {
    decision: Decision,
    context: TraceContext,
    trace_state: Option<TraceState>,
    attributes: Vec<Attribute>,
}

impl Tracer {
    /// Returns the parent of a span that starts on this thread.
    fn here(&self) -> From<'_> {
        let current = Current::capture();
        // The slot of the parent is needed only for tail sampling.
        let slot = match self.keep {
            Some(_) => self.entered(current.context()),
            None => None,
        };
        From { current, slot }
    }

    /// Returns the slot of the span that this thread entered last, if the current context is the
    /// context of that span.
    fn entered(&self, context: Option<TraceContext>) -> Option<&Slot> {
        let slot = stack::last(self.number).and_then(|id| self.table.find(id));
        slot.filter(|slot| context.is_some() && slot.context() == context)
    }

    /// Starts a span whose parent is the current context of this thread.
    #[inline]
    pub(super) fn start_here(&self, attrs: &Attributes<'_>, id: u64) {
        if self.keep.is_some() || current::has_more() {
            let from = self.here();
            let new = new_in(from.current.context());
            self.start(attrs, id, from, new);
        } else {
            self.start_plain(attrs, id, current::context());
        }
    }

    /// Starts a span with an explicit parent of this layer, or without a parent.
    #[inline]
    pub(super) fn start_in(&self, attrs: &Attributes<'_>, id: u64, parent: Option<&Slot>) {
        if self.keep.is_some() || parent.is_some_and(Slot::has_more) {
            let from = From::slot(parent);
            let new = new_in(from.current.context());
            self.start(attrs, id, from, new);
        } else {
            self.start_plain(attrs, id, parent.and_then(Slot::context));
        }
    }

    /// Starts a span whose parent has nothing but a trace context, in a layer without tail
    /// sampling.
    #[inline]
    fn start_plain(&self, attrs: &Attributes<'_>, id: u64, parent: Option<TraceContext>) {
        let new = new_in(parent);
        let origin = Origin::of(parent);
        match self.sampler.decide(new.trace_id(), parent) {
            Some(Decision::Drop) if !self.may_be_late(origin) => {
                self.metrics.start(Decision::Drop, origin);
                let context = new.with_flags(new.flags().without(TraceFlags::SAMPLED));
                self.insert(id, context, None, None);
            }
            decision => self.start_recorded(attrs, id, parent, new, decision),
        }
    }

    #[inline(never)]
    fn start_recorded(
        &self,
        attrs: &Attributes<'_>,
        id: u64,
        parent: Option<TraceContext>,
        new: TraceContext,
        decision: Option<Decision>,
    ) {
        if decision != Some(Decision::RecordAndSample) {
            let current = parent.map(Current::from).unwrap_or_default();
            let from = From {
                current,
                slot: None,
            };
            return self.start(attrs, id, from, new);
        }
        self.metrics
            .start(Decision::RecordAndSample, Origin::of(parent));
        let context = new.with_flags(new.flags().with(TraceFlags::SAMPLED));
        let mut open = self.open(attrs.metadata(), context, parent, TraceState::EMPTY);
        if !attrs.metadata().fields().is_empty() {
            let start = open.record.start_unix_nano;
            let memory = std::mem::take(&mut open.record.attributes);
            self.visit(attrs, memory).apply(&mut open.record, start);
        }
        self.insert(id, context, None, Some(open));
    }

    /// Starts a span with the ids in `new`. A sampler that was already asked about these ids is
    /// asked about the same ids again, so that a decision by trace id does not change.
    fn start(&self, attrs: &Attributes<'_>, id: u64, from: From<'_>, new: TraceContext) {
        let metadata = attrs.metadata();
        let mut fields = self.needs_attributes.then(|| self.visit(attrs, Vec::new()));
        let mut own = NameAndKind::default();
        if fields.is_none() && has_own(metadata) {
            attrs.record(&mut own);
        }
        let (name, kind) = match &fields {
            Some(fields) => (fields.name.as_deref(), fields.kind),
            None => (own.name.as_deref(), own.kind),
        };
        let parent = from.current.context();
        let propagation = from.current.has_more().then(|| from.current.propagation());
        let mut start = SpanStart::new(new.trace_id(), name.unwrap_or(metadata.name()))
            .with_kind(kind.unwrap_or_default())
            .with_attributes(fields.as_ref().map_or(&[], Fields::attributes));
        start.parent = parent;
        let decided = self.decide(start, new, propagation.as_ref());
        let origin = Origin::of(parent);
        self.metrics.start(decided.decision, origin);
        let Decided {
            decision,
            context,
            trace_state,
            attributes,
        } = decided;
        let mut current = match trace_state {
            Some(state) => propagation
                .unwrap_or_default()
                .with_tracestate(state)
                .into(),
            None => from.current,
        }
        .with_trace(context);
        let is_dropped =
            decision == Decision::Drop && self.keep.is_none() && !self.may_be_late(origin);
        if is_dropped || self.queues.is_empty() {
            self.insert(id, context, Some(current), None);
            return;
        }
        let tail_sampled = self.place(decision, from.slot);
        if let Some(tail_sampled) = &tail_sampled {
            current = current.with_candidate(tail_sampled.trace.candidate());
        }
        let fields = fields
            .take()
            .unwrap_or_else(|| self.visit(attrs, Vec::new()));
        let mut open = self.open(metadata, context, parent, tracestate_of(&current));
        let start = open.record.start_unix_nano;
        fields.apply(&mut open.record, start);
        for Attribute { key, value } in attributes {
            self.limits().set(&mut open.record, key, value);
        }
        open.set_tail_sampled(tail_sampled);
        self.insert(id, context, Some(current), Some(open));
    }

    /// Returns true if a span may later get another parent that makes it sampled.
    #[inline]
    fn may_be_late(&self, origin: Origin) -> bool {
        origin != Origin::Local && self.has_late_parents.load(Ordering::Relaxed)
    }

    fn visit(&self, attrs: &Attributes<'_>, memory: Vec<Attribute>) -> Fields<'_> {
        let metadata = attrs.metadata();
        let more = if self.settings.has_code_location {
            3
        } else {
            0
        };
        let mut fields = Fields::new(self.limits(), metadata.fields().len() + more, memory);
        attrs.record(&mut Visitor(&mut fields, &self.settings.redaction));
        fields
    }

    /// Asks the sampler, and applies the decision that arrived with the request, if there is one.
    #[inline]
    fn decide(
        &self,
        start: SpanStart<'_>,
        new: TraceContext,
        propagation: Option<&Propagation>,
    ) -> Decided {
        let result = match propagation {
            None => self.sampler.sample(&start),
            Some(propagation) => {
                let result = self
                    .sampler
                    .sample(&start.with_trace_state(propagation.tracestate()));
                with_received_decision(result, propagation)
            }
        };
        let flags = result.flags(start.parent, TraceFlags::RANDOM);
        Decided {
            decision: result.decision,
            context: new.with_flags(flags),
            trace_state: result.trace_state,
            attributes: result.attributes,
        }
    }

    /// Returns the buffered trace for a span that is not sampled, if tail sampling is on.
    fn place(&self, decision: Decision, parent: Option<&Slot>) -> Option<TailSampledSpan> {
        let keep = self.keep.as_ref()?;
        if decision == Decision::RecordAndSample {
            return None;
        }
        let trace = parent.and_then(|slot| {
            let body = slot.body();
            let tail_sampled = body.open.as_ref()?.tail_sampled()?;
            Some(BufferedTrace::clone(&tail_sampled.trace))
        });
        Some(TailSampledSpan {
            is_root: trace.is_none(),
            trace: trace.unwrap_or_else(|| keep.begin()),
        })
    }

    /// Creates the record of a span that starts now.
    #[inline(always)]
    fn open(
        &self,
        metadata: &'static Metadata<'static>,
        context: TraceContext,
        parent: Option<TraceContext>,
        trace_state: TraceState,
    ) -> Open {
        let now = self.now();
        let parent = parent.map(parent_of);
        let (name, scope) = (metadata.name(), metadata.target());
        // The record is built on the heap, not copied there.
        let new = || Box::write(Box::new_uninit(), SpanRecord::new(context, name));
        let mut record = span_pool::record(&self.queues).unwrap_or_else(new);
        record.context = context;
        record.parent = parent;
        record.trace_state = trace_state;
        record.name = name.into();
        record.start_unix_nano = now;
        record.scope = scope.into();
        if self.settings.has_code_location {
            location(metadata, |key, value| {
                self.limits().set(&mut record, key.into(), value);
            });
        }
        let mut open = Open::new(record);
        if self.settings.has_timing {
            open.set_timing(Timing::new(now));
        }
        open
    }

    #[inline(always)]
    fn insert(&self, id: u64, context: TraceContext, more: Option<Current>, open: Option<Open>) {
        let is_recorded = open.is_some();
        if !self.table.insert(id, context, more, open) {
            self.untracked.fetch_add(1, Ordering::Relaxed);
        } else if is_recorded {
            self.metrics.open(context.is_sampled().into());
        }
    }

    /// Gives a span another parent, and asks the sampler again. The span keeps its id.
    pub(super) fn set_parent(
        &self,
        id: u64,
        metadata: &'static Metadata<'static>,
        parent: Current,
    ) {
        // From now on, spans that may get another parent are recorded until they have one.
        self.has_late_parents.store(true, Ordering::Relaxed);
        let (Some(slot), Some(context)) = (self.table.find(id), parent.context()) else {
            return;
        };
        let Some(own) = slot.context() else {
            return;
        };
        let known = slot.body().open.as_ref().map(|open| {
            let record = &open.record;
            let attributes = match self.needs_attributes {
                true => record.attributes.clone(),
                false => Vec::new(),
            };
            (record.name.clone(), record.kind, attributes)
        });
        let (name, kind, attributes) =
            known.unwrap_or_else(|| (metadata.name().into(), SpanKind::Internal, Vec::new()));
        let start = SpanStart::new(context.trace_id(), &name)
            .with_parent(context)
            .with_kind(kind)
            .with_attributes(&attributes);
        let Some(new) = TraceContext::new(
            context.trace_id().get(),
            own.span_id().get(),
            context.flags(),
        ) else {
            return;
        };
        let propagation = parent.propagation();
        let mut decided = self.decide(start, new, Some(&propagation));
        let mut current = match decided.trace_state.take() {
            Some(state) => Current::from(propagation.with_tracestate(state)),
            None => parent,
        }
        .with_trace(decided.context);
        let is_sampled = decided.context.is_sampled();
        let mut body = slot.body();
        if let Some(open) = &mut body.open {
            let before = open.take_tail_sampled().filter(|_| !is_sampled);
            open.set_tail_sampled(before.or_else(|| self.place(decided.decision, None)));
            if let Some(tail_sampled) = open.tail_sampled() {
                current = current.with_candidate(tail_sampled.trace.candidate());
            }
        }
        match &mut body.open {
            Some(open) => {
                self.metrics.close(open.record.context.is_sampled().into());
                self.metrics.open(is_sampled.into());
                open.record.context = decided.context;
                open.record.parent = Some(parent_of(context));
                open.record.trace_state = tracestate_of(&current);
            }
            None if is_sampled && !self.queues.is_empty() => {
                let state = tracestate_of(&current);
                let open = self.open(metadata, decided.context, Some(context), state);
                self.metrics.open(IsSampled::Yes);
                slot.record(&mut body, open);
            }
            None => {}
        }
        if let Some(open) = &mut body.open {
            for Attribute { key, value } in decided.attributes {
                self.limits().set(&mut open.record, key, value);
            }
        }
        slot.set(&mut body, current.clone());
        drop(body);
        stack::change(self.number, id, &current, slot.is_recorded());
    }
}

/// Returns new ids, in the trace of the parent if there is one.
#[inline]
fn new_in(parent: Option<TraceContext>) -> TraceContext {
    match parent {
        Some(parent) => ids::child_of(parent),
        None => ids::new_trace(),
    }
}

fn parent_of(context: TraceContext) -> Parent {
    Parent {
        span_id: context.span_id(),
        is_remote: context.is_remote(),
    }
}

fn tracestate_of(current: &Current) -> TraceState {
    match current.has_more() {
        true => current.propagation().tracestate().clone(),
        false => TraceState::EMPTY,
    }
}

/// Applies the decision that arrived with the request. It overrides the sampler when it is more than
/// the sampled flag of a trace context: the debug flag of B3, or a decision without a context.
fn with_received_decision(mut result: SamplingResult, propagation: &Propagation) -> SamplingResult {
    result.decision = match (propagation.trace(), propagation.sampling()) {
        (_, Sampling::Debug) | (None, Sampling::Sampled) => Decision::RecordAndSample,
        (None, Sampling::NotSampled) => Decision::Drop,
        _ => result.decision,
    };
    result
}
