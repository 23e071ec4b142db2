//! The methods of the extension trait for spans.

use barograph_core::current;
use barograph_model::context::{Baggage, Propagation, TraceFlags, TraceState};
use barograph_model::span::{SpanLink, Status};
use barograph_model::value::Attribute;
use barograph_tracing::sampling::{AlwaysOff, ParentBased};
use barograph_tracing::trace::SpanExt;
use tracing::{Span, info_span};

use super::setup::{attribute, named, remote, spans, spans_of, value};

#[test]
fn everything_that_is_said_is_recorded() {
    let other = remote(TraceFlags::SAMPLED);
    let spans = spans(|| {
        let span = info_span!("a", known = 1);
        span.set_attribute("known", 2);
        span.set_attribute("unknown".to_owned(), "text");
        span.add_link(SpanLink::new(other));
        span.add_event(
            "cache miss",
            vec![Attribute::new("key", 1), Attribute::new("key", 2)],
        );
        span.set_name("renamed");
        span.set_status(Status::Ok);
        span.set_status(Status::Error {
            description: "late".into(),
        });
    });
    let record = named(&spans, "renamed");
    assert_eq!(
        record.attributes,
        [attribute("known", 2), attribute("unknown", "text")]
    );
    assert_eq!(record.links, [SpanLink::new(other)]);
    assert_eq!(record.events[0].name, "cache miss");
    assert_eq!(record.events[0].attributes, [attribute("key", 2)]);
    assert_eq!(record.status, Status::Ok);
}

#[test]
fn a_disabled_span_accepts_and_ignores_extensions() {
    for span in [Span::none(), info_span!("nobody listens")] {
        span.set_attribute("a", 1);
        span.set_parent(remote(TraceFlags::SAMPLED));
        assert_eq!(span.context(), Propagation::default());
        assert_eq!(span.trace_context(), None);
    }
}

#[test]
fn contexts_of_earlier_spans_are_linked() {
    let mut before = None;
    let spans = spans(|| {
        let _baggage = current::enter(
            Propagation::from(remote(TraceFlags::SAMPLED))
                .with_tracestate(TraceState::parse(["other=1"]).unwrap()),
        );
        let cause = info_span!("cause");
        before = cause.trace_context();
        let span = info_span!(parent: None, "effect");
        span.follows_from(&cause);
        // A span that does not exist is not linked.
        span.follows_from(tracing::Id::from_u64(1 << 40));
    });
    let links = &named(&spans, "effect").links;
    assert_eq!(links.len(), 1);
    assert_eq!(Some(links[0].context), before);
    assert_eq!(links[0].trace_state.as_str(), "other=1");
}

#[test]
fn a_late_parent_takes_the_span_along() {
    let caller = Propagation::from(remote(TraceFlags::SAMPLED))
        .with_baggage(Baggage::parse(["tenant=acme"]));
    let spans = spans(|| {
        let span = info_span!("a", field = 1);
        let own = span.trace_context().unwrap();
        span.in_scope(|| {
            span.set_parent(caller.clone());
            let now = current::context().unwrap();
            assert_eq!(now.span_id(), own.span_id(), "the span keeps its id");
            assert_eq!(now.trace_id(), caller.trace().unwrap().trace_id());
            assert_eq!(current::propagation().baggage(), caller.baggage());
            drop(info_span!("b"));
        });
        assert_eq!(current::context(), None);
        assert_eq!(span.context().baggage(), caller.baggage());
    });
    let [a, b] = ["a", "b"].map(|name| named(&spans, name));
    super::setup::assert_child(b, a);
    let parent = a.parent.unwrap();
    assert!(parent.is_remote && Some(parent.span_id) == caller.trace().map(|t| t.span_id()));
}

#[test]
fn a_late_parent_decides_about_sampling() {
    // The fields that the first span started with were not recorded; those of later spans are.
    let spans = spans_of(
        |builder| builder.with_sampler(ParentBased::new(AlwaysOff)),
        |handle| {
            for name in ["first", "second"] {
                let span = info_span!("a", name);
                span.set_parent(remote(TraceFlags::SAMPLED));
                span.set_attribute("later", 1);
            }
            info_span!("a").set_parent(remote(TraceFlags::default()));
            drop(info_span!("a"));
            assert_eq!(handle.metrics().live(), 0);
        },
    );
    let names: Vec<_> = spans
        .iter()
        .map(|span| value(&span.attributes, "name"))
        .collect();
    assert_eq!(names, [None, Some(&"second".into())]);
    for span in &spans {
        assert_eq!(value(&span.attributes, "later"), Some(&1.into()));
        assert!(span.parent.is_some_and(|parent| parent.is_remote));
    }

    let spans = spans_of(
        |builder| {
            builder
                .with_sampler(ParentBased::new(AlwaysOff))
                .with_late_parents()
        },
        |_| info_span!("a", name = "first").set_parent(remote(TraceFlags::SAMPLED)),
    );
    assert_eq!(value(&spans[0].attributes, "name"), Some(&"first".into()));
}

#[test]
fn an_unsampled_caller_ends_a_recording() {
    let spans = spans(|| {
        let span = info_span!("a");
        span.set_parent(remote(TraceFlags::default()));
        assert!(!span.trace_context().unwrap().is_sampled());
        span.in_scope(|| drop(info_span!("b")));
    });
    assert!(spans.is_empty());
}
