//! Spans that end in an unusual way.

use std::borrow::Cow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::Poll;

use barograph_core::current;
use barograph_core::record_queue::{RecordQueue, Room};
use barograph_model::span::Status;
use barograph_tracing::trace::TraceLayer;
use tracing::{Instrument, info, info_span};
use tracing_subscriber::prelude::*;

use super::setup::{all, assert_child, named, spans, spans_of, value};

const FAILED: Status = Status::Error {
    description: Cow::Borrowed(""),
};

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
    let (inner, outer) = (named(&spans, "inner"), named(&spans, "outer"));
    assert_child(inner, outer);
    assert_child(named(&spans, "later"), outer);
    for failed in [inner, outer] {
        assert_eq!(failed.status, FAILED);
        assert_eq!(
            value(&failed.attributes, "error.type"),
            Some(&"panic".into())
        );
    }
    assert_eq!(named(&spans, "later").status, Status::Unset);
}

/// Creates a span when it is dropped.
struct Cleaner;

impl Drop for Cleaner {
    fn drop(&mut self) {
        info_span!("clean").in_scope(|| info!("up"));
    }
}

/// Panics inside of `depth` nested spans.
fn panic_below(depth: usize) {
    let _span = info_span!("deep", depth).entered();
    match depth {
        0 => panic!("as it must"),
        _ => panic_below(depth - 1),
    }
}

#[test]
fn only_spans_in_which_a_panic_began_have_failed() {
    let spans = spans(|| {
        let around = info_span!("around").entered();
        let result = catch_unwind(|| {
            let _cleaner = Cleaner;
            let _known =
                info_span!("known", error.type = "disk", otel.status_code = "ok").entered();
            panic_below(30);
        });
        assert!(result.is_err());
        drop(around);
    });
    assert_eq!(named(&spans, "clean").status, Status::Unset);
    assert_eq!(named(&spans, "around").status, Status::Unset);
    let deep = spans.iter().filter(|span| span.name == "deep");
    assert_eq!(deep.filter(|span| span.status == FAILED).count(), 31);
    // A status and an error type that were set explicitly are kept.
    let known = named(&spans, "known");
    assert_eq!(known.status, Status::Ok);
    assert_eq!(value(&known.attributes, "error.type"), Some(&"disk".into()));
}

#[test]
fn a_task_that_panics_fails_its_span_and_not_the_one_that_waits() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let spans = spans(|| {
        let waits = async {
            let task = async {
                tokio::task::yield_now().await;
                panic!("as it must");
            };
            let task = tokio::spawn(task.instrument(info_span!("task")));
            assert!(task.await.is_err_and(|error| error.is_panic()));
        };
        runtime.block_on(waits.instrument(info_span!("waits")));
    });
    assert_eq!(named(&spans, "task").status, FAILED);
    assert_eq!(named(&spans, "waits").status, Status::Unset);
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
            assert_eq!(handle.finish_open(Room::InEvery), 0);
            assert_eq!(handle.metrics().live(), 0);
            // An event after the end is ignored.
            inner.in_scope(|| info!("after"));
            assert!(current::context().is_some());
            drop((entered, inner));
            assert_eq!(handle.finish_open(Room::InEvery), 0);
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
fn open_spans_without_room_in_a_queue_are_counted() {
    let queue = RecordQueue::new(4);
    let layer = TraceLayer::new(queue.clone());
    let handle = layer.handle();
    tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
        let open: Vec<_> = (0..10).map(|at| info_span!("open", at)).collect();
        assert_eq!(handle.finish_open(Room::InEvery), 6);
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
    let queue = RecordQueue::new(2_048);
    let layer = TraceLayer::new(queue.clone());
    let handle = layer.handle();
    let mut names = Vec::new();
    tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
        let open: Vec<_> = (0..OPEN).map(|at| info_span!("open", at)).collect();
        assert_eq!(handle.metrics().live(), OPEN as i64);
        loop {
            let left = handle.finish_open(Room::InEvery);
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
    let queue = RecordQueue::new(10);
    let layer = TraceLayer::new(queue.clone());
    tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
        let span = info_span!("a");
        queue.close();
        drop(span);
    });
    assert_eq!(queue.counts().refused_closed, 1);
}
