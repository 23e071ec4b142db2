//! An extension trait for data of spans that `tracing` has no API for.

use std::sync::Arc;

use barograph_core::current::Current;
use barograph_model::context::{Propagation, TraceContext};
use barograph_model::span::{SpanEvent, SpanLink, SpanRecord, Status};
use barograph_model::value::{AnyValue, Attribute, Text};
use tracing::Span;

use super::layer::TraceLayer;
use super::open::set_status;
use super::table::Slot;
use super::tracer::{Tracer, layer_with, registry_of};

/// Sets and reads data of a span that `tracing` has no API for.
///
/// It finds the `TraceLayer` of the span wherever that layer is: behind filters, in a box, behind a
/// `reload`. On a span that no `TraceLayer` sees, or that is not recorded, the setters do nothing.
///
/// ```
/// use std::sync::Arc;
/// use barograph_core::record_queue::RecordQueue;
/// use barograph_tracing::trace::{SpanExt, TraceLayer};
/// use barograph_model::context::TraceContext;
/// use tracing_subscriber::prelude::*;
///
/// let queue = RecordQueue::new(2048);
/// let subscriber = tracing_subscriber::registry().with(TraceLayer::new(queue.clone()));
/// let header = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
/// let caller = TraceContext::parse_traceparent(header)?.as_remote();
/// tracing::subscriber::with_default(subscriber, || {
///     let span = tracing::info_span!("consume");
///     span.set_parent(caller);
///     span.set_attribute("messaging.batch.message_count", 3);
///     assert_eq!(span.context().trace().map(|own| own.trace_id()), Some(caller.trace_id()));
/// });
/// let parent = queue.pop().and_then(|span| span.parent);
/// assert!(parent.is_some_and(|parent| parent.is_remote));
/// # Ok::<(), barograph_model::context::InvalidTraceparent>(())
/// ```
pub trait SpanExt: sealed::Sealed {
    /// Returns the context of the span and everything that is propagated with it, to be sent to
    /// another service. It is empty if no `TraceLayer` sees the span.
    fn context(&self) -> Propagation;

    /// Returns the trace context of the span.
    fn trace_context(&self) -> Option<TraceContext>;

    /// Moves the span into another trace, such as the trace of a received request or message. The
    /// sampler is asked again. The span keeps its id.
    ///
    /// Call it before the span has children, because existing children stay in the old trace. It is
    /// better to [enter](barograph_core::current::enter) the context before the span is created.
    fn set_parent(&self, parent: impl Into<Current>);

    /// Adds a link to another span.
    fn add_link(&self, link: impl Into<SpanLink>);

    /// Sets an attribute, which does not have to be a field of the span.
    fn set_attribute(&self, key: impl Into<Text>, value: impl Into<AnyValue>);

    /// Sets the status of the span. The status `Ok` is final.
    fn set_status(&self, status: Status);

    /// Replaces the name of the span.
    fn set_name(&self, name: impl Into<Text>);

    /// Adds an event to the span, with the current time.
    fn add_event(&self, name: impl Into<Text>, attributes: Vec<Attribute>);
}

impl SpanExt for Span {
    fn context(&self) -> Propagation {
        with_slot(self, |_, slot| slot.current().propagation()).unwrap_or_default()
    }

    fn trace_context(&self) -> Option<TraceContext> {
        with_slot(self, |_, slot| slot.context()).flatten()
    }

    fn set_parent(&self, parent: impl Into<Current>) {
        let parent = parent.into();
        let (Some(id), Some(metadata)) = (self.id(), self.metadata()) else {
            return;
        };
        with_slot(self, |tracer, _| {
            tracer.set_parent(id.into_u64(), metadata, parent)
        });
    }

    fn add_link(&self, link: impl Into<SpanLink>) {
        let link = link.into();
        change(self, |tracer, record| {
            let attributes = redacted(tracer, link.attributes);
            tracer
                .limits()
                .push_link(record, SpanLink { attributes, ..link });
        });
    }

    fn set_attribute(&self, key: impl Into<Text>, value: impl Into<AnyValue>) {
        let (key, value) = (key.into(), value.into());
        change(self, |tracer, record| {
            let value = tracer.settings.redaction.value(&key, value);
            tracer.limits().set(record, key, value);
        });
    }

    fn set_status(&self, status: Status) {
        change(self, |tracer, record| {
            let status = match status {
                Status::Error { description } => Status::Error {
                    description: tracer.settings.redaction.owned_text(description),
                },
                other => other,
            };
            set_status(&mut record.status, status);
        });
    }

    fn set_name(&self, name: impl Into<Text>) {
        let name = name.into();
        change(self, |_, record| record.name = name);
    }

    fn add_event(&self, name: impl Into<Text>, attributes: Vec<Attribute>) {
        let name = name.into();
        change(self, |tracer, record| {
            let limits = tracer.limits();
            let attributes = redacted(tracer, attributes);
            let mut dropped_attributes = 0;
            let event = SpanEvent {
                name,
                time_unix_nano: tracer.now(),
                attributes: limits.fit(
                    attributes,
                    limits.event_attributes,
                    &mut dropped_attributes,
                ),
                dropped_attributes,
            };
            limits.push_event(record, || event);
        });
    }
}

/// Redacts the values of attributes.
fn redacted(tracer: &Tracer, attributes: Vec<Attribute>) -> Vec<Attribute> {
    let redaction = &tracer.settings.redaction;
    let attributes = attributes.into_iter();
    attributes.map(|one| redaction.attribute(one)).collect()
}

/// Changes the record of a span, if it is recorded.
fn change(span: &Span, change: impl FnOnce(&Tracer, &mut SpanRecord)) {
    with_slot(span, |tracer, slot| {
        tracer.with_record(slot, |record| change(tracer, record));
    });
}

/// Finds a span in the layer that tracks it, and calls `f` with its slot.
fn with_slot<T>(span: &Span, f: impl FnOnce(&Tracer, &Slot) -> T) -> Option<T> {
    span.with_subscriber(|(id, dispatch)| {
        let id = id.into_u64();
        let direct = dispatch
            .downcast_ref::<TraceLayer>()
            .map(TraceLayer::tracer);
        if let Some(tracer) = direct
            && let Some(slot) = tracer.table.find(id)
        {
            return Some(f(tracer, slot));
        }
        let tracer: Arc<Tracer> = layer_with(registry_of(dispatch), id)?;
        let slot = tracer.table.find(id)?;
        Some(f(&tracer, slot))
    })?
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for tracing::Span {}
}
