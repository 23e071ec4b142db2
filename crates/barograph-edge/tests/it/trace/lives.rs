//! Spans that end in another way than their author thought.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::task::Poll;

use barograph_core::current;
use barograph_core::queue::Queue;
use barograph_edge::trace::TraceLayer;
use tracing::{Instrument, info, info_span};
use tracing_subscriber::prelude::*;

use super::setup::{all, assert_child, named, spans, spans_of, value};

const UNFINISHED: &str = "barograph.span.unfinished";

#[test]
fn a_future_that_is_dropped_ends_its_span() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    let spans = spans(|| {
        runtime.block_on(async {
            let never = async {
                info!("begun");
                std::future::pending::<()>().await;
            }
            .instrument(info_span!("cancelled"));
            let mut never = Box::pin(never);
            std::future::poll_fn(|cx| {
                assert!(never.as_mut().poll(cx).is_pending());
                Poll::Ready(())
            })
            .await;
            assert_eq!(current::context(), None);
            drop(never);
        });
    });
    let record = named(&spans, "cancelled");
    assert_eq!(record.events[0].name, "begun");
    assert!(record.end_unix_nano >= record.start_unix_nano);
    assert_eq!(value(&record.attributes, UNFINISHED), None);
}

#[test]
fn a_panic_ends_the_spans_on_its_way() {
    let spans = spans(|| {
        let outer = info_span!("outer");
        let result = catch_unwind(AssertUnwindSafe(|| {
            outer.in_scope(|| {
                let _inner = info_span!("inner").entered();
                panic!("as it must");
            })
        }));
        assert!(result.is_err());
        assert_eq!(current::context(), None);
        outer.in_scope(|| drop(info_span!("later")));
    });
    let outer = named(&spans, "outer");
    assert_child(named(&spans, "inner"), outer);
    assert_child(named(&spans, "later"), outer);
}

#[test]
fn spans_that_are_open_at_the_end_go_out_as_they_stand() {
    let spans = spans_of(
        |builder| builder,
        |handle| {
            let outer = info_span!("outer", order = 7);
            let entered = outer.enter();
            let inner = info_span!("inner");
            inner.in_scope(|| info!("before"));
            assert_eq!(handle.metrics().live(), 2);
            assert_eq!(handle.finish_open(), 0);
            assert_eq!(handle.metrics().live(), 0);
            // Too late, and no harm.
            inner.in_scope(|| info!("after"));
            assert!(current::context().is_some());
            drop((entered, inner));
            assert_eq!(handle.finish_open(), 0);
        },
    );
    let (outer, inner) = (named(&spans, "outer"), named(&spans, "inner"));
    assert_child(inner, outer);
    assert_eq!(value(&outer.attributes, "order"), Some(&7.into()));
    assert_eq!(inner.events.len(), 1);
    for span in [outer, inner] {
        assert_eq!(value(&span.attributes, UNFINISHED), Some(&true.into()));
        assert!(span.end_unix_nano >= span.start_unix_nano);
    }
    assert_eq!(spans.len(), 2);
}

#[test]
fn open_spans_that_nobody_has_room_for_are_counted() {
    let queue = Arc::new(Queue::new(4));
    let layer = TraceLayer::new(queue.clone());
    let handle = layer.handle();
    tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
        let open: Vec<_> = (0..10).map(|at| info_span!("open", at)).collect();
        assert_eq!(handle.finish_open(), 6);
        handle.finish_all();
        assert_eq!(handle.metrics().live(), 0);
        drop(open);
    });
    let counts = queue.counts();
    assert_eq!((counts.accepted, counts.refused_full), (4, 6));
}

#[test]
fn ten_thousand_open_spans_go_out_as_the_queue_has_room() {
    const OPEN: usize = 10_000;
    let queue = Arc::new(Queue::new(2_048));
    let layer = TraceLayer::new(queue.clone());
    let handle = layer.handle();
    let mut names = Vec::new();
    tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
        let open: Vec<_> = (0..OPEN).map(|at| info_span!("open", at)).collect();
        assert_eq!(handle.metrics().live(), OPEN as i64);
        loop {
            let left = handle.finish_open();
            let taken = all(&queue);
            names.extend(
                taken
                    .iter()
                    .map(|span| value(&span.attributes, "at").cloned()),
            );
            if left == 0 {
                break;
            }
            assert_eq!(left, OPEN - names.len());
        }
        drop(open);
    });
    assert_eq!((names.len(), handle.untracked()), (OPEN, 0));
    assert!(all(&queue).is_empty());
    assert_eq!(queue.counts().refused_full, 0);
    let mut all: Vec<_> = names.iter().map(|name| format!("{name:?}")).collect();
    all.sort();
    all.dedup();
    assert_eq!(all.len(), OPEN, "each once");
}

#[test]
fn a_closed_queue_takes_nothing_more() {
    let queue = Arc::new(Queue::new(10));
    let layer = TraceLayer::new(queue.clone());
    tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
        let span = info_span!("a");
        queue.close();
        drop(span);
    });
    assert_eq!(queue.counts().refused_closed, 1);
}
