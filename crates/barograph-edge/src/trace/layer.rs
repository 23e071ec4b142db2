//! The layer, and what it is made of.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use barograph_core::clock::{Clock, TickClock};
use barograph_core::ids;
use barograph_model::suppression;
use tracing::span::{Attributes, Record};
use tracing::{Dispatch, Event, Id, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

use super::fields::{Fields, Visitor};
use super::handle::TraceHandle;
use super::limits::SpanLimits;
use super::metrics::SpanMetrics;
use super::settings::{ErrorEvents, Events, Settings};
use super::sink::SpanSink;
use super::stack;
use super::table::Table;
use super::tracer::{Tracer, announce, registry_of};
use crate::redact::Redaction;
use crate::sampling::keep::Keep;
use crate::sampling::{ParentBased, Sampler};

/// Makes spans of those of `tracing`, and gives what is sampled to a [`SpanSink`], mostly a queue.
///
/// ```
/// use std::sync::Arc;
/// use barograph_core::{current, queue::Queue};
/// use barograph_edge::trace::TraceLayer;
/// use tracing_subscriber::prelude::*;
///
/// let queue = Arc::new(Queue::new(2048));
/// let subscriber = tracing_subscriber::registry().with(TraceLayer::new(queue.clone()));
/// tracing::subscriber::with_default(subscriber, || {
///     let span = tracing::info_span!("charge", order = 7, otel.kind = "client");
///     span.in_scope(|| assert!(current::context().is_some()));
/// });
/// let span = queue.pop().ok_or("a span has closed")?;
/// assert_eq!((&*span.name, &*span.attributes[0].key), ("charge", "order"));
/// # Ok::<(), &str>(())
/// ```
pub struct TraceLayer {
    tracer: Arc<Tracer>,
}

impl TraceLayer {
    /// A layer that samples everything whose parent is not unsampled, with the limits of the
    /// specification.
    pub fn new(sink: impl SpanSink + 'static) -> Self {
        TraceLayer::builder(sink).build()
    }

    /// A layer made to measure, whose spans go here: mostly into a queue.
    pub fn builder(sink: impl SpanSink + 'static) -> TraceLayerBuilder {
        TraceLayerBuilder {
            sink: Box::new(sink),
            sampler: Box::new(ParentBased::default()),
            keep: None,
            settings: Settings::default(),
            clock: Arc::new(TickClock),
            metrics: None,
            has_late_parents: false,
        }
    }

    /// What remains of the layer in the hands of whoever installs it.
    pub fn handle(&self) -> TraceHandle {
        TraceHandle::new(self.tracer.clone())
    }

    pub(super) fn tracer(&self) -> &Arc<Tracer> {
        &self.tracer
    }
}

/// A layer that is being made.
#[must_use = "it makes a layer when it is built"]
pub struct TraceLayerBuilder {
    sink: Box<dyn SpanSink>,
    sampler: Box<dyn Sampler>,
    keep: Option<Keep>,
    settings: Settings,
    clock: Arc<dyn Clock>,
    metrics: Option<SpanMetrics>,
    has_late_parents: bool,
}

impl TraceLayerBuilder {
    /// Asks this sampler.
    pub fn with_sampler(mut self, sampler: impl Sampler + 'static) -> Self {
        self.sampler = Box::new(sampler);
        self
    }

    /// Keeps traces that are not sampled, as far as this says.
    pub fn with_keep(mut self, keep: Keep) -> Self {
        self.keep = Some(keep);
        self
    }

    /// Sets how much a span may hold.
    pub fn with_limits(mut self, limits: SpanLimits) -> Self {
        self.settings.limits = limits;
        self
    }

    /// Sets what is hidden: secrets by the names of fields, unless this is set.
    pub fn with_redaction(mut self, redaction: Redaction) -> Self {
        self.settings.redaction = redaction;
        self
    }

    /// Sets what becomes of events.
    pub fn with_events(mut self, events: Events) -> Self {
        self.settings.events = events;
        self
    }

    /// Sets what an event of level `ERROR` says about its span.
    pub fn with_error_events(mut self, error_events: ErrorEvents) -> Self {
        self.settings.error_events = error_events;
        self
    }

    /// Says where in the program spans and events are made: `code.file.path`, `code.line.number` and
    /// `code.module.name`.
    pub fn with_code_location(mut self) -> Self {
        self.settings.has_code_location = true;
        self
    }

    /// Says how long each span was entered, and how long it was not: `busy_ns` and `idle_ns`.
    ///
    /// That takes two more looks at the clock for each time that it is.
    pub fn with_busy_and_idle(mut self) -> Self {
        self.settings.has_timing = true;
        self
    }

    /// Expects spans that are given their parent after they started, from the first one on.
    ///
    /// Those have to be recorded until it is known whether they are sampled. Without this it is done
    /// from the first call of [`SpanExt::set_parent`](super::SpanExt::set_parent) on, and of that span
    /// the fields that it started with may be missing.
    pub fn with_late_parents(mut self) -> Self {
        self.has_late_parents = true;
        self
    }

    /// Counts spans in these instruments.
    pub fn with_metrics(mut self, metrics: SpanMetrics) -> Self {
        self.metrics = Some(metrics);
        self
    }

    /// Tells the time by this clock.
    pub fn with_clock(mut self, clock: impl Clock + 'static) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// The layer.
    pub fn build(self) -> TraceLayer {
        let tracer = Arc::new(Tracer {
            number: ids::random(),
            table: Table::new(),
            records: self.sink.takes_spans(),
            sink: self.sink,
            needs_attributes: self.sampler.needs_attributes(),
            sampler: self.sampler,
            keep: self.keep,
            settings: self.settings,
            clock: self.clock,
            metrics: self.metrics.unwrap_or_default(),
            has_late_parents: AtomicBool::new(self.has_late_parents),
            untracked: AtomicU64::new(0),
            registry: AtomicUsize::new(0),
        });
        announce(&tracer);
        TraceLayer { tracer }
    }
}

impl<S> Layer<S> for TraceLayer
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn on_register_dispatch(&self, dispatch: &Dispatch) {
        let registry = registry_of(dispatch);
        self.tracer.registry.store(registry, Ordering::Relaxed);
    }

    #[inline]
    fn on_new_span(&self, attrs: &Attributes<'_>, id: &Id, layers: Context<'_, S>) {
        if suppression::is_suppressed() {
            return;
        }
        let tracer = &*self.tracer;
        if attrs.is_contextual() {
            return tracer.start_here(attrs, id.into_u64());
        }
        let parent = attrs.parent().and_then(|parent| {
            let slot = tracer.table.find(parent.into_u64());
            // A filter may keep the parent from this layer, and not what is above it.
            slot.or_else(|| {
                let above = layers.span(id)?.parent()?;
                tracer.table.find(above.id().into_u64())
            })
        });
        tracer.start_in(attrs, id.into_u64(), parent);
    }

    #[inline]
    fn on_enter(&self, id: &Id, _: Context<'_, S>) {
        let id = id.into_u64();
        if let Some(slot) = self.tracer.table.find(id) {
            stack::enter(self.tracer.number, id, slot.current(), slot.is_recorded());
            if self.tracer.settings.has_timing
                && let Some(open) = &mut slot.body().open
                && let Some(timing) = open.timing()
            {
                timing.enter(self.tracer.now());
            }
        }
    }

    #[inline]
    fn on_exit(&self, id: &Id, _: Context<'_, S>) {
        let id = id.into_u64();
        if stack::exit(self.tracer.number, id) {
            self.tracer.panicked(id);
        }
        if self.tracer.settings.has_timing
            && let Some(slot) = self.tracer.table.find(id)
            && let Some(open) = &mut slot.body().open
            && let Some(timing) = open.timing()
        {
            timing.exit(self.tracer.now());
        }
    }

    #[inline]
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        if suppression::is_suppressed() {
            return;
        }
        let id = if event.is_contextual() {
            stack::recorded(self.tracer.number)
        } else {
            event.parent().map(Id::into_u64)
        };
        if let Some(id) = id {
            self.tracer.event(id, event);
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, _: Context<'_, S>) {
        let tracer = &*self.tracer;
        let slot = tracer.table.find(id.into_u64());
        if let Some(slot) = slot.filter(|slot| slot.is_recorded()) {
            let mut fields = Fields::new(tracer.limits(), 0, Vec::new());
            values.record(&mut Visitor(&mut fields, &tracer.settings.redaction));
            let now = tracer.now();
            tracer.with_record(slot, |record| fields.apply(record, now));
        }
    }

    fn on_follows_from(&self, id: &Id, follows: &Id, _: Context<'_, S>) {
        self.tracer.follow(id.into_u64(), follows.into_u64());
    }

    #[inline]
    fn on_close(&self, id: Id, _: Context<'_, S>) {
        self.tracer.close(id.into_u64());
    }
}

impl fmt::Debug for TraceLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TraceLayer")
            .field("sampler", &self.tracer.sampler)
            .field("settings", &self.tracer.settings)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for TraceLayerBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TraceLayerBuilder")
            .field("sampler", &self.sampler)
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}
