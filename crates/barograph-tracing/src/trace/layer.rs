//! The `tracing_subscriber` layer and its builder.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use barograph_core::clock::{Clock, TickClock};
use barograph_core::ids;
use barograph_core::record_queue::Fanout;
use barograph_model::span::SpanRecord;
use barograph_model::suppression;
use tracing::span::{Attributes, Record};
use tracing::{Dispatch, Event, Id, Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

use super::fields::{Fields, Visitor};
use super::handle::TraceHandle;
use super::limits::SpanLimits;
use super::metrics::SpanMetrics;
use super::settings::{ErrorEvents, Events, Settings};
use super::stack;
use super::table::Table;
use super::tracer::{Tracer, announce, registry_of};
use crate::filter::Filter;
use crate::redact::Redaction;
use crate::sampling::tail::TailSampling;
use crate::sampling::{ParentBased, Sampler};

/// A layer that creates OpenTelemetry spans from the spans of `tracing`, and puts the sampled ones
/// into a [`RecordQueue`](barograph_core::record_queue::RecordQueue).
///
/// ```
/// use barograph_core::{current, record_queue::RecordQueue};
/// use barograph_tracing::trace::TraceLayer;
/// use tracing_subscriber::prelude::*;
///
/// let queue = RecordQueue::new(2048);
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
    filter: Option<Filter>,
}

impl TraceLayer {
    /// Creates a layer that samples every root span and follows the decision of the parent for all
    /// others, with the default limits of the OpenTelemetry specification.
    pub fn new(queues: impl Into<Fanout<SpanRecord>>) -> Self {
        TraceLayer::builder(queues).build()
    }

    /// Returns a builder for a layer that puts its spans into a queue, or into the queues of several
    /// exporters. Without queues, spans have contexts but are not recorded.
    pub fn builder(queues: impl Into<Fanout<SpanRecord>>) -> TraceLayerBuilder {
        TraceLayerBuilder {
            queues: queues.into(),
            sampler: Box::new(ParentBased::default()),
            keep: None,
            settings: Settings::default(),
            clock: Arc::new(TickClock),
            metrics: None,
            has_late_parents: false,
        }
    }

    /// Makes the layer ignore what `filter` disables. Unlike `Layer::with_filter`, this also works for a
    /// layer that is added to a subscriber in use, and the subscriber does not know about it: see
    /// [`filter`](crate::filter).
    #[must_use]
    pub fn with_own_filter(mut self, filter: Filter) -> Self {
        self.filter = Some(filter);
        self
    }

    /// Returns a handle that stays usable after the layer is installed.
    pub fn handle(&self) -> TraceHandle {
        TraceHandle::new(self.tracer.clone())
    }

    pub(super) fn tracer(&self) -> &Arc<Tracer> {
        &self.tracer
    }

    #[inline]
    fn enables(&self, metadata: &'static Metadata<'static>) -> bool {
        self.filter.as_ref().is_none_or(|it| it.enables(metadata))
    }
}

/// A builder for a `TraceLayer`.
#[must_use = "it makes a layer when it is built"]
pub struct TraceLayerBuilder {
    queues: Fanout<SpanRecord>,
    sampler: Box<dyn Sampler>,
    keep: Option<TailSampling>,
    settings: Settings,
    clock: Arc<dyn Clock>,
    metrics: Option<SpanMetrics>,
    has_late_parents: bool,
}

impl TraceLayerBuilder {
    /// Sets the sampler.
    pub fn with_sampler(mut self, sampler: impl Sampler + 'static) -> Self {
        self.sampler = Box::new(sampler);
        self
    }

    /// Turns on tail sampling for traces that the sampler does not sample, as configured by `keep`.
    pub fn with_tail_sampling(mut self, keep: TailSampling) -> Self {
        self.keep = Some(keep);
        self
    }

    /// Sets the limits of the size of a span.
    pub fn with_limits(mut self, limits: SpanLimits) -> Self {
        self.settings.limits = limits;
        self
    }

    /// Sets the redaction. The default redacts secrets by the names of fields.
    pub fn with_redaction(mut self, redaction: Redaction) -> Self {
        self.settings.redaction = redaction;
        self
    }

    /// Sets how events inside of spans are handled.
    pub fn with_events(mut self, events: Events) -> Self {
        self.settings.events = events;
        self
    }

    /// Sets whether an event of level `ERROR` sets the status of its span.
    pub fn with_error_events(mut self, error_events: ErrorEvents) -> Self {
        self.settings.error_events = error_events;
        self
    }

    /// Adds the source location to spans and events: `code.file.path`, `code.line.number` and
    /// `code.module.name`.
    pub fn with_code_location(mut self) -> Self {
        self.settings.has_code_location = true;
        self
    }

    /// Adds the time that each span was entered, and the time that it was not, as `busy_ns` and
    /// `idle_ns`.
    ///
    /// This reads the clock two more times each time a span is entered and exited.
    pub fn with_busy_and_idle(mut self) -> Self {
        self.settings.has_timing = true;
        self
    }

    /// Prepares the layer for spans whose parent is set after they started, from the first span on.
    ///
    /// Such spans have to be recorded until it is known whether they are sampled. Without this
    /// setting the layer does so only after the first call of
    /// [`SpanExt::set_parent`](super::SpanExt::set_parent), and the span of that first call may
    /// lack the fields that it started with.
    pub fn with_late_parents(mut self) -> Self {
        self.has_late_parents = true;
        self
    }

    /// Sets the metrics that count spans.
    pub fn with_metrics(mut self, metrics: SpanMetrics) -> Self {
        self.metrics = Some(metrics);
        self
    }

    /// Sets the clock.
    pub fn with_clock(mut self, clock: impl Clock + 'static) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Builds the layer.
    pub fn build(self) -> TraceLayer {
        let tracer = Arc::new(Tracer {
            number: ids::random(),
            table: Table::new(),
            queues: self.queues,
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
        TraceLayer {
            tracer,
            filter: None,
        }
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
        if suppression::is_suppressed() || !self.enables(attrs.metadata()) {
            return;
        }
        let tracer = &*self.tracer;
        if attrs.is_contextual() {
            return tracer.start_here(attrs, id.into_u64());
        }
        let parent = attrs.parent().and_then(|parent| {
            let slot = tracer.table.find(parent.into_u64());
            // A filter may hide the parent from this layer, but not the ancestors of the parent.
            slot.or_else(|| {
                let mut above = layers.span(id)?.scope().skip(1);
                above.find_map(|span| tracer.table.find(span.id().into_u64()))
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
        if let Some(id) = id
            && self
                .filter
                .as_ref()
                .is_none_or(|it| it.enables_event(event))
        {
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
