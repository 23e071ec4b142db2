//! The layer combined with other layers: in any order, behind filters, in a box, behind a reload.

use std::sync::{Arc, Mutex};

use barograph_core::current;
use barograph_model::context::TraceContext;
use barograph_tracing::filter::Filter;
use barograph_tracing::trace::{SpanExt, TraceLayer, context_of};
use tracing::{
    Event, Id, Level, Subscriber, debug, debug_span, info, info_span, trace_span, warn_span,
};
use tracing_subscriber::filter::{LevelFilter, filter_fn};
use tracing_subscriber::layer::{Context, Layer};
use tracing_subscriber::prelude::*;
use tracing_subscriber::{Registry, registry, reload};

use super::setup::{Spans, all, assert_child, named, queue, value};

/// Checks that the extension trait reaches a span under a subscriber that contains our layer.
fn reaches<S>(make: impl FnOnce(TraceLayer) -> S)
where
    S: Subscriber + Send + Sync,
{
    let queue = queue();
    let subscriber = make(TraceLayer::new(queue.clone()));
    tracing::subscriber::with_default(subscriber, || {
        let span = warn_span!("a");
        span.set_attribute("reached", true);
        assert!(span.context().trace().is_some());
        span.in_scope(|| assert_eq!(current::context(), span.trace_context()));
    });
    let spans = all(&queue);
    assert_eq!(value(&spans[0].attributes, "reached"), Some(&true.into()));
}

#[test]
fn spans_are_reached_wherever_the_layer_is() {
    reaches(|layer| registry().with(layer));
    reaches(|layer| registry().with(Some(layer)));
    reaches(|layer| registry().with(layer.boxed()));
    reaches(|layer| registry().with(vec![layer.boxed()]));
    reaches(|layer| registry().with(layer.with_filter(LevelFilter::WARN)));
    reaches(|layer| {
        registry()
            .with(Notes::default())
            .with(layer)
            .with(Notes::default())
    });
    reaches(|layer| registry().with(reload::Layer::new(layer).0));
    reaches(|layer| {
        let layer: Box<dyn Layer<Registry> + Send + Sync> = Box::new(Some(layer));
        registry().with(reload::Layer::new(layer).0)
    });
    reaches(|layer| {
        let (slot, handle) = reload::Layer::new(None::<TraceLayer>);
        let subscriber = registry().with(slot);
        handle.reload(Some(layer)).unwrap();
        subscriber
    });
}

/// A layer that collects the current context at each event.
#[derive(Clone, Default)]
struct Notes(Arc<Mutex<Vec<Option<TraceContext>>>>);

impl<S: Subscriber> Layer<S> for Notes {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let context = match event.parent() {
            Some(id) => context_of(id),
            None => current::context(),
        };
        self.0.lock().unwrap().push(context);
    }
}

#[test]
fn other_layers_see_the_context_on_either_side() {
    let (below, above) = (Notes::default(), Notes::default());
    let queue = queue();
    let subscriber = registry()
        .with(below.clone())
        .with(TraceLayer::new(queue.clone()))
        .with(above.clone());
    tracing::subscriber::with_default(subscriber, || {
        let span = info_span!("a");
        span.in_scope(|| info!("inside"));
        info!(parent: &span, "from outside");
    });
    let context = Some(all(&queue)[0].context);
    for notes in [below, above] {
        assert_eq!(*notes.0.lock().unwrap(), [context, context]);
    }
}

#[test]
fn spans_that_a_filter_keeps_away_are_passed_over() {
    let filter = || filter_fn(|metadata| *metadata.level() <= Level::INFO);
    passes_over(|layer| {
        registry()
            .with(Notes::default())
            .with(layer.with_filter(filter()))
    });
    let filter = || Filter::level(LevelFilter::INFO);
    passes_over(|layer| {
        registry()
            .with(Notes::default())
            .with(layer.with_own_filter(filter()))
    });
    let filter = || "off,api=info".parse::<Filter>().unwrap();
    passes_over(|layer| registry().with(layer.with_own_filter(filter())));
}

/// Checks that a layer behind a filter for `INFO` passes over the spans that the filter hides.
fn passes_over<S>(make: impl FnOnce(TraceLayer) -> S)
where
    S: Subscriber + Send + Sync,
{
    let queue = queue();
    let subscriber = make(TraceLayer::new(queue.clone()));
    tracing::subscriber::with_default(subscriber, || {
        info_span!("a").in_scope(|| {
            let hidden = debug_span!("hidden");
            let deeper = trace_span!(parent: &hidden, "hidden too");
            hidden.in_scope(|| {
                assert!(current::context().is_some());
                drop(info_span!("b"));
                info!("heard in a");
                debug!("not heard");
            });
            drop(info_span!(parent: &deeper, "c"));
            assert_eq!(hidden.trace_context(), None);
        });
        debug_span!("hidden").in_scope(|| drop(info_span!("root")));
    });
    let spans = all(&queue);
    let a = named(&spans, "a");
    assert_child(named(&spans, "b"), a);
    assert_child(named(&spans, "c"), a);
    let events: Vec<_> = a.events.iter().map(|event| &*event.name).collect();
    assert_eq!(events, ["heard in a"]);
    assert_eq!(named(&spans, "root").parent, None);
    assert_eq!(spans.len(), 4);
}

#[test]
fn a_filter_is_changed_while_spans_are_open() {
    let queue = queue();
    let (filter, handle) = reload::Layer::new(LevelFilter::INFO);
    let subscriber = registry().with(TraceLayer::new(queue.clone()).with_filter(filter));
    tracing::subscriber::with_default(subscriber, || {
        let a = info_span!("a").entered();
        handle.modify(|filter| *filter = LevelFilter::WARN).unwrap();
        info_span!("not made").in_scope(|| drop(warn_span!("b")));
        handle.modify(|filter| *filter = LevelFilter::INFO).unwrap();
        drop(info_span!("c"));
        drop(a);
        assert_eq!(current::context(), None);
    });
    let spans = all(&queue);
    assert_eq!(spans.len(), 3);
    for child in ["b", "c"] {
        assert_child(named(&spans, child), named(&spans, "a"));
    }
}

#[test]
fn two_subscribers_do_not_mix_their_spans() {
    let queues = [queue(), queue()];
    let subscribe = |queue: &Spans| {
        // Behind a reload, so that spans are looked up in all layers of the process.
        let layer = reload::Layer::new(TraceLayer::new(queue.clone())).0;
        tracing::Dispatch::new(registry().with(layer))
    };
    let dispatches = [subscribe(&queues[0]), subscribe(&queues[1])];
    let spans = dispatches
        .each_ref()
        .map(|dispatch| tracing::dispatcher::with_default(dispatch, || info_span!("a")));
    assert_eq!(
        spans[0].id().map(|id| id.into_u64()),
        spans[1].id().map(|id| id.into_u64())
    );
    let (first, second) = (spans[0].clone().entered(), spans[1].clone().entered());
    assert_eq!(current::context(), spans[1].trace_context());
    drop(first);
    assert_eq!(current::context(), spans[1].trace_context());
    drop(second);
    assert_eq!(current::context(), None);
    for (at, span) in spans.iter().enumerate() {
        span.set_attribute("at", at);
    }
    drop(spans);
    for (at, queue) in queues.iter().enumerate() {
        assert_eq!(value(&all(queue)[0].attributes, "at"), Some(&at.into()));
    }
}

/// A layer that looks up the context of spans only when they close.
#[derive(Clone, Default)]
struct AtClose(Arc<Mutex<Vec<Option<TraceContext>>>>);

impl<S: Subscriber> Layer<S> for AtClose {
    fn on_close(&self, id: Id, _: Context<'_, S>) {
        self.0.lock().unwrap().push(context_of(&id));
    }
}

#[test]
fn nothing_of_a_span_is_left_when_it_has_closed() {
    let notes = AtClose::default();
    let queue = queue();
    let subscriber = registry()
        .with(TraceLayer::new(queue.clone()))
        .with(notes.clone());
    tracing::subscriber::with_default(subscriber, || drop(info_span!("a")));
    assert_eq!(*notes.0.lock().unwrap(), [None]);
    assert_eq!(all(&queue).len(), 1);
}
