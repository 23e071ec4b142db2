//! The parents of spans.

use barograph_core::current::{self, Current};
use barograph_core::ids;
use barograph_model::context::{Baggage, Propagation, Sampling, TraceFlags, TraceState};
use barograph_tracing::trace::SpanExt;
use tracing::{Instrument, info_span};

use super::setup::{all, assert_child, named, queue, remote, spans};

#[test]
fn spans_are_part_of_the_one_that_is_entered() {
    let spans = spans(|| {
        info_span!("a").in_scope(|| {
            let b = info_span!("b");
            let _c = info_span!("c").entered();
            // `b` was created before `c` was entered, so it is not a child of `c`.
            b.in_scope(|| drop(info_span!("d")));
        });
        drop(info_span!("e"));
    });
    let [a, b, c, d, e] = ["a", "b", "c", "d", "e"].map(|name| named(&spans, name));
    assert_child(b, a);
    assert_child(c, a);
    assert_child(d, b);
    for root in [a, e] {
        assert_eq!(root.parent, None);
        assert_eq!(
            root.context.flags(),
            TraceFlags::SAMPLED.with(TraceFlags::RANDOM)
        );
    }
    assert_ne!(a.context.trace_id(), e.context.trace_id());
}

#[test]
fn a_parent_that_is_given_counts() {
    let spans = spans(|| {
        let a = info_span!("a");
        info_span!("b").in_scope(|| {
            drop(info_span!(parent: &a, "of a"));
            drop(info_span!(parent: a.id(), "of the id of a"));
            drop(info_span!(parent: None, "root"));
        });
    });
    let a = named(&spans, "a");
    assert_child(named(&spans, "of a"), a);
    assert_child(named(&spans, "of the id of a"), a);
    let root = named(&spans, "root");
    assert_eq!(root.parent, None);
    assert_ne!(
        root.context.trace_id(),
        named(&spans, "b").context.trace_id()
    );
}

#[test]
fn a_context_that_is_entered_is_the_parent() {
    let caller = remote(TraceFlags::SAMPLED);
    let local = ids::new_trace().with_flags(TraceFlags::SAMPLED);
    let spans = spans(|| {
        let _guard = current::enter(caller);
        info_span!("a").in_scope(|| {
            let _guard = current::enter(local);
            drop(info_span!("b"));
        });
        drop(info_span!(parent: None, "c"));
    });
    let [a, b, c] = ["a", "b", "c"].map(|name| named(&spans, name));
    assert_eq!(a.context.trace_id(), caller.trace_id());
    let parent = a.parent.unwrap();
    assert!(parent.is_remote && parent.span_id == caller.span_id());
    // The random flag of the trace id is taken from the caller.
    assert_eq!(a.context.flags(), TraceFlags::SAMPLED);
    assert!(
        b.parent
            .is_some_and(|parent| !parent.is_remote && parent.span_id == local.span_id())
    );
    assert_eq!(c.parent, None);
}

#[test]
fn state_and_baggage_reach_every_span_and_its_record() {
    let state = TraceState::parse(["other=1"]).unwrap();
    let received = Propagation::from(remote(TraceFlags::SAMPLED))
        .with_tracestate(state.clone())
        .with_baggage(Baggage::parse(["tenant=acme"]));
    let spans = spans(|| {
        let _guard = current::enter(received.clone());
        let a = info_span!("a");
        a.in_scope(|| {
            let b = info_span!("b");
            let sent = b.in_scope(current::propagation);
            assert_eq!(sent, b.context());
            assert_eq!(
                sent,
                received.clone().with_trace(b.trace_context().unwrap())
            );
        });
        assert_eq!(current::propagation(), received);
    });
    assert!(spans.iter().all(|span| span.trace_state == state));
    assert_eq!(current::propagation(), Propagation::default());
}

#[test]
fn a_decision_that_came_without_a_trace_is_kept_to() {
    let made = |sampling| {
        let spans = spans(|| {
            let _guard = current::enter(Propagation::default().with_sampling(sampling));
            info_span!("a").in_scope(|| drop(info_span!("b")));
        });
        spans.len()
    };
    assert_eq!(made(Sampling::NotSampled), 0);
    assert_eq!(made(Sampling::Sampled), 2);
    assert_eq!(made(Sampling::Debug), 2);
    assert_eq!(made(Sampling::Deferred), 2);
}

#[test]
fn leaving_in_another_order_leaves_nothing_behind() {
    let spans = spans(|| {
        let [a, b, c] = [info_span!("a"), info_span!("b"), info_span!("c")];
        let inside = |span: &tracing::Span| span.trace_context();
        let (in_a, in_b, in_c) = (
            a.clone().entered(),
            b.clone().entered(),
            c.clone().entered(),
        );
        drop(in_a);
        assert_eq!(current::context(), inside(&c));
        drop(in_c);
        assert_eq!(current::context(), inside(&b));
        drop(in_b);
        assert_eq!(current::context(), None);
        // A span that is entered twice is exited twice.
        let (first, second) = (a.clone().entered(), a.clone().entered());
        drop(first);
        assert_eq!(current::context(), inside(&a));
        drop(second);
        assert_eq!(current::context(), None);
    });
    assert_eq!(spans.len(), 3);
}

#[test]
fn a_span_goes_from_thread_to_thread() {
    let queue = queue();
    let layer = barograph_tracing::trace::TraceLayer::new(queue.clone());
    let dispatch = tracing::Dispatch::new(tracing_subscriber::layer::SubscriberExt::with(
        tracing_subscriber::registry(),
        layer,
    ));
    tracing::dispatcher::with_default(&dispatch, || {
        let a = info_span!("a");
        let context = a.trace_context();
        let _here = a.enter();
        let (other, dispatch) = (a.clone(), dispatch.clone());
        std::thread::scope(|scope| {
            scope.spawn(move || {
                let _guard = tracing::dispatcher::set_default(&dispatch);
                assert_eq!(current::context(), None, "nothing is inherited");
                // The span is entered on both threads at the same time.
                other.in_scope(|| {
                    assert_eq!(current::context(), context);
                    tracing::info!("elsewhere");
                    drop(info_span!("b"));
                });
                assert_eq!(current::context(), None);
            });
        });
        assert_eq!(current::context(), context);
    });
    let spans = all(&queue);
    let a = named(&spans, "a");
    assert_child(named(&spans, "b"), a);
    assert_eq!(a.events[0].name, "elsewhere");
}

#[test]
fn a_future_is_in_its_span_at_every_poll() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let spans = spans(|| {
        let work = |name: &'static str| {
            async move {
                let context = current::context();
                assert!(context.is_some());
                for _ in 0..3 {
                    tokio::task::yield_now().await;
                    assert_eq!(current::context(), context);
                    drop(info_span!("step", of = name));
                }
            }
            .instrument(info_span!("work", name))
        };
        runtime.block_on(async { tokio::join!(work("x"), work("y")) });
        assert_eq!(current::context(), None);
    });
    let (steps, works): (Vec<_>, Vec<_>) = spans.iter().partition(|span| span.name == "step");
    assert_eq!((steps.len(), works.len()), (6, 2));
    for step in steps {
        let of = step.attributes[0].value.clone();
        let work = works
            .iter()
            .find(|work| work.attributes[0].value == of)
            .unwrap();
        assert_child(step, work);
    }
}

#[test]
fn a_captured_context_can_be_entered_on_a_spawned_thread() {
    let spans = spans(|| {
        info_span!("a").in_scope(|| {
            let here = Current::capture();
            let context = std::thread::spawn(move || {
                let _guard = current::enter(here);
                current::context()
            });
            assert_eq!(context.join().unwrap(), current::context());
        });
    });
    assert_eq!(spans.len(), 1);
}
