//! The origin of an event: its span, its context, and its metadata from the `log` crate.

use barograph_core::current;
use barograph_model::context::TraceContext;
use tracing::{Event, Metadata, Subscriber};
use tracing_log::NormalizeEvent as _;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

use crate::filter::Filter;
use crate::trace;

/// Returns the trace context that an event belongs to.
///
/// It is the current context of the thread, and no span is looked up: entering a span makes its
/// context the current one, so neither the order of layers nor a filter matters.
#[inline]
pub(super) fn context<S>(event: &Event<'_>, layers: &Context<'_, S>) -> Option<TraceContext>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    if event.is_contextual() {
        return current::context();
    }
    let parent = event.parent()?;
    trace::context_of(parent).or_else(|| {
        // A filter may hide the parent from the layer that creates spans, but not its ancestors.
        let mut above = layers.span(parent)?.scope().skip(1);
        above.find_map(|span| trace::context_of(&span.id()))
    })
}

/// The metadata of an event's callsite. A record of the `log` crate has separate metadata, which
/// lives no longer than the record.
pub(super) struct Origin<'a> {
    of_log: Option<Metadata<'a>>,
    of_event: &'static Metadata<'static>,
}

impl<'a> Origin<'a> {
    #[inline]
    pub(super) fn of(event: &'a Event<'a>) -> Self {
        Origin {
            of_log: event.normalized_metadata(),
            of_event: event.metadata(),
        }
    }

    #[inline]
    pub(super) fn metadata(&self) -> &Metadata<'a> {
        self.of_log.as_ref().unwrap_or(self.of_event)
    }

    /// Returns true if the filter, if there is one, enables the event.
    #[inline]
    pub(super) fn is_enabled_by(&self, filter: Option<&Filter>) -> bool {
        match (filter, &self.of_log) {
            (None, _) => true,
            (Some(filter), None) => filter.enables(self.of_event),
            (Some(filter), Some(metadata)) => filter.enables_once(metadata),
        }
    }

    /// Returns the static metadata of the callsite, or `None` for a record of the `log` crate.
    pub(super) fn lasting(&self) -> Option<&'static Metadata<'static>> {
        self.of_log.is_none().then_some(self.of_event)
    }

    /// Returns true if a field carries metadata of the `log` crate.
    #[inline]
    pub(super) fn is_own(&self, field: &str) -> bool {
        self.of_log.is_some() && field.starts_with("log.")
    }
}
