//! What `tracing` has no words for.

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

/// Says to a span what `tracing` has no words for.
///
/// It reaches the span wherever the layer is: behind filters, in a box, behind a `reload`. A span that
/// no layer of ours sees, or that is not recorded, takes it and forgets it.
///
/// ```
/// use std::sync::Arc;
/// use barograph_core::queue::Queue;
/// use barograph_edge::trace::{SpanExt, TraceLayer};
/// use barograph_model::context::TraceContext;
/// use tracing_subscriber::prelude::*;
///
/// let queue = Arc::new(Queue::new(2048));
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
    /// The context of the span with all that travels with it, to be given to another service. Empty
    /// where no layer of ours sees the span.
    fn context(&self) -> Propagation;

    /// The context of the span alone.
    fn trace_context(&self) -> Option<TraceContext>;

    /// Makes the span a part of another trace: of what a request or a message came with. The sampler
    /// is asked again. The span keeps its id.
    ///
    /// It is to be called before the span has children, which would stay where they are. Better still
    /// is to [enter](barograph_core::current::enter) the context before the span is made.
    fn set_parent(&self, parent: impl Into<Current>);

    /// Links the span to another one.
    fn add_link(&self, link: impl Into<SpanLink>);

    /// Sets an attribute, which need not be a field of the span.
    fn set_attribute(&self, key: impl Into<Text>, value: impl Into<AnyValue>);

    /// Says how the span ended. What is ok stays ok.
    fn set_status(&self, status: Status);

    /// Gives the span another name.
    fn set_name(&self, name: impl Into<Text>);

    /// Tells of something that happened in the span, at this moment.
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
            let attributes = told(tracer, link.attributes);
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
                    description: tracer.settings.redaction.told(description),
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
            let attributes = told(tracer, attributes);
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

/// Attributes as they may be told.
fn told(tracer: &Tracer, attributes: Vec<Attribute>) -> Vec<Attribute> {
    let told = |Attribute { key, value }| {
        let value = tracer.settings.redaction.value(&key, value);
        Attribute { key, value }
    };
    attributes.into_iter().map(told).collect()
}

/// Changes the record of a span, if it has one.
fn change(span: &Span, change: impl FnOnce(&Tracer, &mut SpanRecord)) {
    with_slot(span, |tracer, slot| {
        tracer.with_record(slot, |record| change(tracer, record));
    });
}

/// Looks a span up in the layer that knows it.
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
