//! How a span starts: its parent, its ids, what the sampler says, and what is recorded.

use std::sync::atomic::Ordering;

use barograph_core::current::Current;
use barograph_core::ids;
use barograph_model::context::{Propagation, Sampling, TraceContext, TraceFlags, TraceState};
use barograph_model::span::{Parent, SpanKind, SpanRecord, Status};
use barograph_model::value::Attribute;
use tracing::Metadata;
use tracing::span::Attributes;

use super::fields::{Fields, NameAndKind, Visitor, has_own, location};
use super::metrics::{IsSampled, Origin};
use super::open::{Kept, Open, Timing};
use super::stack;
use super::table::Slot;
use super::tracer::Tracer;
use crate::sampling::keep::KeepTrace;
use crate::sampling::{Decision, SpanStart, Verdict};

/// Where a span comes from.
pub(super) struct From<'a> {
    /// What is current in the parent.
    pub(super) current: Current,
    /// The parent, where it is a span of the same layer.
    pub(super) slot: Option<&'a Slot>,
}

impl<'a> From<'a> {
    /// A parent of the same layer.
    pub(super) fn span(slot: &'a Slot) -> Self {
        From {
            current: slot.current(),
            slot: Some(slot),
        }
    }

    /// No parent.
    pub(super) fn nothing() -> Self {
        From {
            current: Current::default(),
            slot: None,
        }
    }
}

/// What was decided of a span.
struct Decided {
    decision: Decision,
    context: TraceContext,
    trace_state: Option<TraceState>,
    attributes: Vec<Attribute>,
}

impl Tracer {
    /// What a span of this thread comes from.
    #[inline]
    pub(super) fn here(&self) -> From<'_> {
        let current = Current::capture();
        // Only a trace that may be kept asks for the span itself.
        let slot = match self.keep {
            Some(_) => self.entered(current.context()),
            None => None,
        };
        From { current, slot }
    }

    /// The span that this thread has entered, if that is its context.
    fn entered(&self, context: Option<TraceContext>) -> Option<&Slot> {
        let slot = stack::last(self.number).and_then(|id| self.table.find(id));
        slot.filter(|slot| context.is_some() && slot.context() == context)
    }

    /// Starts a span.
    #[inline]
    pub(super) fn start(&self, attrs: &Attributes<'_>, id: u64, from: From<'_>) {
        let metadata = attrs.metadata();
        let mut fields = self.needs_attributes.then(|| self.visit(attrs));
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
        let new = parent.map_or_else(ids::new_trace, ids::child_of);
        let mut start = SpanStart::new(new.trace_id(), name.unwrap_or(metadata.name()))
            .with_kind(kind.unwrap_or_default())
            .with_attributes(fields.as_ref().map_or(&[], Fields::attributes));
        start.parent = parent;
        let decided = self.decide(start, new, propagation.as_ref());
        let origin = match parent {
            None => Origin::None,
            Some(parent) if parent.is_remote() => Origin::Remote,
            Some(_) => Origin::Local,
        };
        self.metrics.start(decided.decision, origin);
        let (context, decision) = (decided.context, decided.decision);
        let mut current = match decided.trace_state.clone() {
            Some(state) => propagation
                .unwrap_or_default()
                .with_tracestate(state)
                .into(),
            None => from.current,
        }
        .with_trace(context);
        let may_be_late = origin != Origin::Local && self.has_late_parents.load(Ordering::Relaxed);
        let is_dropped = decision == Decision::Drop && self.keep.is_none() && !may_be_late;
        if is_dropped || !self.records {
            self.insert(id, current, None);
            return;
        }
        let kept = self.place(decision, from.slot);
        if let Some(kept) = &kept {
            current = current.with_candidate(kept.trace.candidate());
        }
        let fields = fields.take().unwrap_or_else(|| self.visit(attrs));
        let mut open = self.open(metadata, decided, parent, &current);
        let start = open.record.start_unix_nano;
        let verdict = std::mem::take(&mut open.record.attributes);
        fields.apply(&mut open.record, start);
        for Attribute { key, value } in verdict {
            self.limits().set(&mut open.record, key, value);
        }
        open.kept = kept;
        self.insert(id, current, Some(open));
    }

    fn visit(&self, attrs: &Attributes<'_>) -> Fields<'_> {
        let metadata = attrs.metadata();
        let more = if self.settings.has_code_location {
            3
        } else {
            0
        };
        let mut fields = Fields::new(self.limits(), metadata.fields().len() + more);
        attrs.record(&mut Visitor(&mut fields, &self.settings.redaction));
        fields
    }

    /// Asks the sampler, unless the caller has said it already.
    #[inline]
    fn decide(
        &self,
        start: SpanStart<'_>,
        new: TraceContext,
        propagation: Option<&Propagation>,
    ) -> Decided {
        let verdict = match propagation {
            None => self.sampler.sample(&start),
            Some(propagation) => {
                let verdict = self
                    .sampler
                    .sample(&start.with_trace_state(propagation.tracestate()));
                said(verdict, propagation)
            }
        };
        let flags = verdict.flags(start.parent, TraceFlags::RANDOM);
        Decided {
            decision: verdict.decision,
            context: new.with_flags(flags),
            trace_state: verdict.trace_state,
            attributes: verdict.attributes,
        }
    }

    /// Where a span goes that is not sampled and may be kept.
    fn place(&self, decision: Decision, parent: Option<&Slot>) -> Option<Kept> {
        let keep = self.keep.as_ref()?;
        if decision == Decision::RecordAndSample {
            return None;
        }
        let trace = parent.and_then(|slot| {
            let body = slot.body();
            let kept = body.open.as_ref()?.kept.as_ref()?;
            Some(KeepTrace::clone(&kept.trace))
        });
        Some(Kept {
            is_root: trace.is_none(),
            trace: trace.unwrap_or_else(|| keep.begin()),
        })
    }

    /// A record that begins now, with the attributes of the sampler.
    fn open(
        &self,
        metadata: &'static Metadata<'static>,
        decided: Decided,
        parent: Option<TraceContext>,
        current: &Current,
    ) -> Open {
        let now = self.now();
        let trace_state = match current.has_more() {
            true => current.propagation().tracestate().clone(),
            false => TraceState::EMPTY,
        };
        let mut record = Box::new(SpanRecord {
            context: decided.context,
            parent: parent.map(|parent| Parent {
                span_id: parent.span_id(),
                is_remote: parent.is_remote(),
            }),
            trace_state,
            name: metadata.name().into(),
            kind: SpanKind::Internal,
            start_unix_nano: now,
            end_unix_nano: 0,
            scope: metadata.target().into(),
            attributes: decided.attributes,
            dropped_attributes: 0,
            events: Vec::new(),
            dropped_events: 0,
            links: Vec::new(),
            dropped_links: 0,
            status: Status::Unset,
        });
        if self.settings.has_code_location {
            location(metadata, |key, value| {
                self.limits().set(&mut record, key.into(), value);
            });
        }
        let timing = self.settings.has_timing;
        Open {
            record,
            kept: None,
            timing: timing.then(|| Box::new(Timing::new(now))),
        }
    }

    fn insert(&self, id: u64, current: Current, open: Option<Open>) {
        let live = open.as_ref();
        let live = live.map(|open| IsSampled::from(open.record.context.is_sampled()));
        if !self.table.insert(id, current, open) {
            self.untracked.fetch_add(1, Ordering::Relaxed);
        } else if let Some(is_sampled) = live {
            self.metrics.open(is_sampled);
        }
    }

    /// Gives a span another parent, and asks the sampler again. Its span id stays.
    pub(super) fn set_parent(
        &self,
        id: u64,
        metadata: &'static Metadata<'static>,
        parent: Current,
    ) {
        // From now on, spans that may be given a parent are recorded until they have one.
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
            let before = open.kept.take().filter(|_| !is_sampled);
            open.kept = before.or_else(|| self.place(decided.decision, None));
            if let Some(kept) = &open.kept {
                current = current.with_candidate(kept.trace.candidate());
            }
        }
        match &mut body.open {
            Some(open) => {
                self.metrics.close(open.record.context.is_sampled().into());
                self.metrics.open(is_sampled.into());
                let changed = self.open(metadata, decided, Some(context), &current).record;
                open.record.context = changed.context;
                open.record.parent = changed.parent;
                open.record.trace_state = changed.trace_state;
            }
            None if is_sampled && self.records => {
                let open = self.open(metadata, decided, Some(context), &current);
                self.metrics.open(IsSampled::Yes);
                slot.record(&mut body, open);
            }
            None => {}
        }
        slot.set(&mut body, current.clone());
        drop(body);
        stack::change(self.number, id, &current, slot.is_recorded());
    }
}

/// What a caller said about recording goes before what a sampler thinks, where it is more than a flag.
fn said(mut verdict: Verdict, propagation: &Propagation) -> Verdict {
    verdict.decision = match (propagation.trace(), propagation.sampling()) {
        (_, Sampling::Debug) | (None, Sampling::Sampled) => Decision::RecordAndSample,
        (None, Sampling::NotSampled) => Decision::Drop,
        _ => verdict.decision,
    };
    verdict
}
