//! The state that a layer, its handles and its spans share.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use barograph_core::clock::Clock;
use barograph_core::record_queue::{Fanout, Room};
use barograph_model::context::TraceContext;
use barograph_model::span::{SpanLink, SpanRecord};
use barograph_model::value::Attribute;
use tracing::{Dispatch, Event, Id};
use tracing_subscriber::Registry;

use super::fields::EventFields;
use super::limits::SpanLimits;
use super::metrics::{IsSampled, SpanMetrics};
use super::open::{Open, Outcome, set_outcome};
use super::settings::{ErrorEvents, Events, Settings};
use super::table::{Slot, Table};
use crate::sampling::Sampler;
use crate::sampling::tail::TailSampling;

/// The state that a layer, its handles and its spans share.
pub(super) struct Tracer {
    /// A random id that distinguishes layers.
    pub(super) number: u64,
    pub(super) table: Table,
    /// The queues of the exporters. Without any, spans are not recorded.
    pub(super) queues: Fanout<SpanRecord>,
    pub(super) sampler: Box<dyn Sampler>,
    pub(super) needs_attributes: bool,
    pub(super) keep: Option<TailSampling>,
    pub(super) settings: Settings,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) metrics: SpanMetrics,
    /// True if spans may get a parent after they started.
    pub(super) has_late_parents: AtomicBool,
    /// The number of spans for which there was no free slot.
    pub(super) untracked: AtomicU64,
    /// The address of the registry that the layer is in; 0 while it is unknown.
    pub(super) registry: AtomicUsize,
}

impl Tracer {
    pub(super) fn limits(&self) -> &SpanLimits {
        &self.settings.limits
    }

    #[inline]
    pub(super) fn now(&self) -> u64 {
        self.clock.unix_nanos()
    }

    /// Changes the record of a span, if it is recorded.
    #[inline(always)]
    pub(super) fn with_record(&self, slot: &Slot, change: impl FnOnce(&mut SpanRecord)) {
        if slot.is_recorded()
            && let Some(open) = &mut slot.body().open
        {
            change(&mut open.record);
        }
    }

    /// Records an event in the span with this id.
    pub(super) fn event(&self, id: u64, event: &Event<'_>) {
        let fails = self.settings.error_events == ErrorEvents::FailSpan
            && *event.metadata().level() == tracing::Level::ERROR;
        let is_recorded = self.settings.events == Events::InSpans;
        if !(fails || is_recorded) {
            return;
        }
        let Some(slot) = self.table.find(id).filter(|slot| slot.is_recorded()) else {
            return;
        };
        if is_recorded {
            let mut fields = EventFields::new(self.limits());
            fields.add(event, &self.settings);
            let now = self.now();
            self.with_record(slot, |record| {
                self.limits()
                    .push_event(record, || fields.take(event.metadata(), now));
            });
        }
        if fails {
            self.with_record(slot, |record| {
                set_outcome(&mut record.status, Some(Outcome::Error), None);
            });
        }
    }

    /// Links a span to one that it follows from.
    pub(super) fn follow(&self, id: u64, before: u64) {
        let (Some(slot), Some(before)) = (self.table.find(id), self.table.find(before)) else {
            return;
        };
        if !slot.is_recorded() {
            return;
        }
        let before = before.current();
        if let Some(context) = before.context() {
            let link = SpanLink {
                trace_state: before.propagation().tracestate().clone(),
                ..SpanLink::new(context)
            };
            self.with_record(slot, |record| self.limits().push_link(record, link));
        }
    }

    /// Marks a span as failed because a panic has left it.
    #[cold]
    pub(super) fn panicked(&self, id: u64) {
        let Some(slot) = self.table.find(id) else {
            return;
        };
        self.with_record(slot, |record| {
            set_outcome(&mut record.status, Some(Outcome::Error), None);
            if record.attributes.iter().all(|it| it.key != ERROR_TYPE) {
                self.limits().set(record, ERROR_TYPE.into(), "panic".into());
            }
        });
    }

    /// Ends a span that `tracing` has closed.
    #[inline]
    pub(super) fn close(&self, id: u64) {
        if let Some(slot) = self.table.find(id)
            && let Some(open) = slot.empty()
        {
            self.finish(open, self.now());
        }
    }

    /// Ends a span, and passes it to the queues or to its buffered trace, which count what they drop.
    pub(super) fn finish(&self, mut open: Open, now: u64) {
        open.end(now, self.limits());
        let is_sampled = open.record.context.is_sampled();
        self.metrics.close(IsSampled::from(is_sampled));
        if is_sampled {
            self.queues.push(open.record);
        } else if let Some(tail_sampled) = open.take_tail_sampled() {
            let spans = match tail_sampled.is_root {
                true => tail_sampled.trace.end(*open.record).unwrap_or_default(),
                false => tail_sampled.trace.add(*open.record).into_iter().collect(),
            };
            for span in spans {
                self.queues.push(Box::new(span));
            }
        }
    }

    /// Returns copies of the records of the open spans.
    #[cfg(feature = "test-util")]
    pub(super) fn open_spans(&self) -> Vec<SpanRecord> {
        let record = |slot: &Slot| Some((*slot.body().open.as_ref()?.record).clone());
        let records = self.table.recorded().filter_map(record);
        records
            .map(|record| SpanRecord {
                end_unix_nano: 0, // Records are reused, and may have that of an earlier span.
                ..record
            })
            .collect()
    }

    /// Ends open spans with their current state while the queues have room. Returns the number of
    /// spans that are left.
    pub(super) fn finish_open(&self, room: Room) -> usize {
        let mut left = 0;
        let now = self.now();
        for slot in self.table.recorded() {
            match self.queues.has_room(room) {
                true => self.finish_early(slot, now),
                false => left += 1,
            }
        }
        left
    }

    /// Ends all open spans with their current state, even if there is no room for them.
    pub(super) fn finish_all(&self) {
        let now = self.now();
        for slot in self.table.recorded() {
            self.finish_early(slot, now);
        }
    }

    fn finish_early(&self, slot: &Slot, now: u64) {
        let Some(mut open) = slot.stop_recording() else {
            return;
        };
        let unfinished = Attribute::new(UNFINISHED, true);
        self.limits()
            .set(&mut open.record, unfinished.key, unfinished.value);
        self.finish(open, now);
    }
}

/// The attribute with the type of the error that a span ended with.
///
/// Source: OpenTelemetry semantic conventions 1.44, "Error attributes".
const ERROR_TYPE: &str = "error.type";

/// The attribute of spans that were still open when their process ended.
const UNFINISHED: &str = "barograph.span.unfinished";

impl From<bool> for IsSampled {
    #[inline]
    fn from(is_sampled: bool) -> Self {
        match is_sampled {
            true => IsSampled::Yes,
            false => IsSampled::No,
        }
    }
}

/// The layers of this process. They are needed for spans whose subscriber does not expose its
/// layers, such as layers behind a `reload`.
static LAYERS: Mutex<Vec<Weak<Tracer>>> = Mutex::new(Vec::new());

/// Adds a layer to `LAYERS`.
pub(super) fn announce(tracer: &Arc<Tracer>) {
    let mut layers = LAYERS.lock().unwrap_or_else(PoisonError::into_inner);
    layers.retain(|layer| layer.strong_count() > 0);
    layers.push(Arc::downgrade(tracer));
}

/// Returns the address of the registry of a subscriber, or 0 if it has none.
pub(super) fn registry_of(dispatch: &Dispatch) -> usize {
    let registry = dispatch.downcast_ref::<Registry>();
    registry.map_or(0, |registry| std::ptr::from_ref(registry).addr())
}

/// Returns the layer in this registry that tracks a span with this id, or else such a layer whose
/// registry is unknown.
pub(super) fn layer_with(registry: usize, id: u64) -> Option<Arc<Tracer>> {
    let layers = LAYERS.lock().unwrap_or_else(PoisonError::into_inner);
    let knows = |tracer: &Arc<Tracer>| tracer.table.find(id).is_some();
    let mut known: Vec<_> = layers
        .iter()
        .filter_map(Weak::upgrade)
        .filter(knows)
        .collect();
    let registries = [registry, 0];
    registries.iter().find_map(|registry| {
        let is_it = |tracer: &Arc<Tracer>| tracer.registry.load(Ordering::Relaxed) == *registry;
        let at = known.iter().position(is_it)?;
        Some(known.swap_remove(at))
    })
}

/// Returns the context of an open span, for other layers that have only its id.
///
/// Inside of an entered span, [`current::context`](barograph_core::current::context) is the faster
/// way. This function is for an event with an explicit parent. In a process with several registries
/// it may return the context of a span in another registry that has the same id.
pub fn context_of(id: &Id) -> Option<TraceContext> {
    let id = id.into_u64();
    let layers = LAYERS.lock().unwrap_or_else(PoisonError::into_inner);
    let mut layers = layers.iter().filter_map(Weak::upgrade);
    layers.find_map(|tracer| tracer.table.find(id)?.context())
}
