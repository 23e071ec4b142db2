//! Records that reuse the memory of other records.

use std::collections::{HashMap, HashSet};
use std::sync::LazyLock;
use std::thread;

use barograph_core::ids;
use barograph_model::context::{Propagation, TraceContext, TraceFlags, TraceState};
use barograph_model::span::{SpanLink, SpanRecord};
use barograph_tracing::trace::{SpanExt, SpanLimits, TraceLayer};
use proptest::collection::vec;
use proptest::prelude::*;
use tracing::{error, info, info_span};
use tracing_subscriber::prelude::*;

use super::setup::{Spans, queue};

/// Creates a span of one of seven kinds.
fn make(kind: usize, number: u64) {
    match kind {
        0 => drop(info_span!(target: "elsewhere", "plain")),
        1 => {
            let span = info_span!("request", number, path = format!("/orders/{number}"));
            span.in_scope(|| info!("order {number} taken"));
        }
        2 => {
            let span = info_span!("noisy", otel.kind = "server", later = tracing::field::Empty);
            span.in_scope(|| {
                for at in 0..5 {
                    info!(at, text = format!("{number}-{at}"), "step");
                }
                info!(number);
            });
            span.record("later", number);
        }
        3 => info_span!("failed").in_scope(|| error!(number, message = "one", "two")),
        4 => {
            let span = info_span!("linked");
            span.add_link(SpanLink::new(ids::new_trace()));
            span.set_attribute("number", number.to_string());
        }
        5 => {
            let state = TraceState::parse(["other=1"]).expect("it is valid");
            let trace = ids::new_trace().with_flags(TraceFlags::SAMPLED);
            let caller = Propagation::from(trace).with_tracestate(state);
            let span = info_span!("called", number);
            span.set_parent(caller);
        }
        _ => {
            let span = info_span!("named", otel.name = format!("job {number}"));
            span.in_scope(|| info!(target: "elsewhere", "{}", "x".repeat(number as usize * 20)));
        }
    }
}

/// The number of kinds of spans that [`make`] creates.
const KINDS: usize = 7;
const NUMBERS: u64 = 8;

/// Returns a layer with low limits, so that some events and attributes are dropped.
fn layer(queue: &Spans) -> TraceLayer {
    let mut limits = SpanLimits::default();
    limits.events = 4;
    limits.event_attributes = 4;
    TraceLayer::builder(queue.clone())
        .with_limits(limits)
        .with_late_parents()
        .build()
}

/// Formats the parts of a record that are the same in each run.
fn normalized(record: &SpanRecord) -> String {
    let mut normalized = record.clone();
    normalized.context = TraceContext::new(1, 1, record.context.flags()).expect("neither is zero");
    (normalized.start_unix_nano, normalized.end_unix_nano) = (0, 0);
    for event in &mut normalized.events {
        event.time_unix_nano = 0;
    }
    if let Some(parent) = &mut normalized.parent {
        parent.span_id = normalized.context.span_id();
    }
    for link in &mut normalized.links {
        link.context = normalized.context;
    }
    format!("{normalized:?}")
}

/// The records of all spans before any memory is reused.
static FIRST: LazyLock<Vec<Vec<String>>> = LazyLock::new(|| {
    let queue = queue();
    let subscriber = tracing_subscriber::registry().with(layer(&queue));
    tracing::subscriber::with_default(subscriber, || {
        let kinds = (0..KINDS).map(|kind| {
            let all = (0..NUMBERS).map(|number| {
                make(kind, number);
                normalized(&queue.pop().expect("it is sampled"))
            });
            all.collect()
        });
        kinds.collect()
    })
});

#[test]
fn the_first_are_as_they_were_made() {
    let noisy = &FIRST[2][7];
    for part in [
        "noisy",
        "Server",
        "\"7-0\"",
        "\"7-3\"",
        "\"later\"",
        "\"step\"",
        "dropped_events: 2",
    ] {
        assert!(noisy.contains(part), "{part} in {noisy}");
    }
    // A second field `message` is an attribute.
    let failed = &FIRST[3][0];
    for part in ["name: \"two\"", "key: \"message\", value: Str(\"one\")"] {
        assert!(failed.contains(part), "{part} in {failed}");
    }
    let kinds: HashSet<_> = FIRST.iter().flatten().collect();
    // The plain span has no number.
    assert_eq!(kinds.len(), 1 + (KINDS - 1) * NUMBERS as usize);
}

proptest! {
    #[test]
    fn spans_of_used_memory_are_as_those_of_new(
        rounds in vec(vec((0..KINDS, 0..NUMBERS), 1..60), 1..8),
    ) {
        LazyLock::force(&FIRST);
        let queue = queue();
        let subscriber = tracing_subscriber::registry().with(layer(&queue));
        tracing::subscriber::with_default(subscriber, || {
            for round in &rounds {
                for (kind, number) in round {
                    make(*kind, *number);
                }
                let records: Vec<_> = std::iter::from_fn(|| queue.pop()).collect();
                prop_assert_eq!(records.len(), round.len());
                for (record, (kind, number)) in records.iter().zip(round) {
                    prop_assert_eq!(&normalized(record), &FIRST[*kind][*number as usize]);
                }
                queue.recycle(records.into_iter(), 0);
            }
            Ok(())
        })?;
    }
}

#[test]
fn memory_goes_round_between_threads_concurrently() {
    const THREADS: usize = 3;
    const EACH: usize = 6_000;
    LazyLock::force(&FIRST);
    let queue = queue();
    let dispatch = tracing::Dispatch::new(tracing_subscriber::registry().with(layer(&queue)));
    let mut seen = HashMap::new();
    thread::scope(|scope| {
        for thread in 0..THREADS {
            let dispatch = &dispatch;
            scope.spawn(move || {
                tracing::dispatcher::with_default(dispatch, || {
                    for at in 0..EACH {
                        make((at + thread) % KINDS, (at / KINDS) as u64 % NUMBERS);
                    }
                });
            });
        }
        let mut left = THREADS * EACH;
        while left > 0 {
            let mut records = Vec::new();
            left -= queue.pop_into(&mut records, 100);
            for record in &records {
                *seen.entry(normalized(record)).or_insert(0) += 1;
            }
            queue.recycle(records.into_iter(), 0);
        }
    });
    let mut expected = HashMap::new();
    for thread in 0..THREADS {
        for at in 0..EACH {
            let normalized = &FIRST[(at + thread) % KINDS][at / KINDS % NUMBERS as usize];
            *expected.entry(normalized.clone()).or_insert(0) += 1;
        }
    }
    assert_eq!(seen, expected);
}
