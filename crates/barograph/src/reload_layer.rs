//! A layer that is added to a subscriber which is already in use.
//!
//! `with_filter` of `tracing_subscriber` is for layers that are present when their subscriber is
//! built: a filtered layer that is put into a `reload::Layer` later has no filter id, and panics. So
//! this layer asks its filter itself.

use barograph_tracing::filter::Filter;
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::{self, Context, Layer};
use tracing_subscriber::registry::LookupSpan;

/// A layer that forwards only what its filter enables.
///
/// It gives the subscriber no level hint, which would apply to the other layers, too. Callbacks about
/// a span that the filter disabled are forwarded; the inner layer does not know the span and ignores
/// them.
#[derive(Debug)]
pub(crate) struct ReloadLayer<L> {
    layer: L,
    filter: Filter,
}

impl<L> ReloadLayer<L> {
    pub(crate) fn new(layer: L, filter: Filter) -> Self {
        ReloadLayer { layer, filter }
    }
}

impl<S, L> Layer<S> for ReloadLayer<L>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    L: Layer<S>,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        if layer::Filter::enabled(&self.filter, attributes.metadata(), &context) {
            self.layer.on_new_span(attributes, id, context);
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        self.layer.on_record(id, values, context);
    }

    fn on_follows_from(&self, id: &Id, follows: &Id, context: Context<'_, S>) {
        self.layer.on_follows_from(id, follows, context);
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        if layer::Filter::enabled(&self.filter, event.metadata(), &context) {
            self.layer.on_event(event, context);
        }
    }

    fn on_enter(&self, id: &Id, context: Context<'_, S>) {
        self.layer.on_enter(id, context);
    }

    fn on_exit(&self, id: &Id, context: Context<'_, S>) {
        self.layer.on_exit(id, context);
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        self.layer.on_close(id, context);
    }
}
