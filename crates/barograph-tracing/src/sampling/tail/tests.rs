//! Tests that every span is exported or counted.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use barograph_core::clock::ManualClock;
use barograph_model::context::{TraceContext, TraceFlags, TraceState};
use barograph_model::span::{SpanKind, SpanRecord, Status};
use barograph_model::value::{AnyValue, Attribute};

use super::*;
use crate::sampling::tests::random;
use crate::sampling::{
    Decision, ParentBased, Probability, Randomness, Rule, Sampler, SpanStart, Threshold,
};

const SECOND: u64 = 1_000_000_000;

fn span(name: &'static str) -> SpanRecord {
    let context = TraceContext::new(7, 1, TraceFlags::RANDOM).expect("not zero");
    SpanRecord {
        kind: SpanKind::Server,
        start_unix_nano: 100 * SECOND,
        end_unix_nano: 101 * SECOND,
        ..SpanRecord::new(context, name)
    }
}

fn failed(name: &'static str) -> SpanRecord {
    let description = "oops".into();
    SpanRecord {
        status: Status::Error { description },
        ..span(name)
    }
}

fn keep(config: TailSamplingConfig) -> (TailSampling, ManualClock) {
    let clock = ManualClock::at(1_700_000_000 * SECOND);
    (TailSampling::with_clock(config, clock.clone()), clock)
}

/// Returns the names of spans, with their reason for being kept.
fn names_and_reasons(spans: Option<Vec<SpanRecord>>) -> Vec<(String, Option<String>)> {
    let all = spans.unwrap_or_default().into_iter();
    all.map(|span| (span.name.to_string(), reason_of(&span)))
        .collect()
}

fn reason_of(span: &SpanRecord) -> Option<String> {
    let mut all = span.attributes.iter();
    let reason = all.find(|attribute| attribute.key == "barograph.tail_sampling.reason")?;
    reason.value.as_str().map(str::to_owned)
}

/// Returns the number of all spans that were handed in: the sum of the counts of all outcomes.
fn accounted(counts: &TailSamplingCounts) -> u64 {
    counts.exported_spans
        + counts.not_interesting_spans
        + counts.over_budget_spans
        + counts.no_memory_spans
        + counts.over_limit_spans
        + counts.unended_spans
        + counts.buffered_spans
}

#[test]
fn a_trace_is_kept_for_a_reason() {
    let config = TailSamplingConfig::new(100.0)
        .unwrap()
        .with_slow(Rule::new().with_name("report"), Duration::from_secs(2))
        .with_slow(Rule::new(), Duration::from_secs(1));
    let (keep, _) = keep(config);
    let quick = |name| SpanRecord {
        end_unix_nano: 101 * SECOND - 1,
        ..span(name)
    };
    let both =
        |reason: &str| ["child", "root"].map(|name| (name.to_owned(), Some(reason.to_owned())));
    for (child, root, choose, reason) in [
        (quick("child"), quick("root"), false, None),
        (failed("child"), quick("root"), false, Some("error")),
        (quick("child"), failed("root"), false, Some("error")),
        (quick("child"), span("root"), false, Some("slow")),
        (quick("child"), span("report"), false, None),
        (quick("child"), quick("root"), true, Some("exemplar")),
        (failed("child"), span("root"), true, Some("error")),
    ] {
        let trace = keep.begin();
        assert_eq!(trace.add(child), None);
        assert!(!choose || trace.candidate().choose());
        let expected = reason
            .map(|reason| both(reason).to_vec())
            .unwrap_or_default();
        assert_eq!(names_and_reasons(trace.end(root)), expected);
    }
    let trace = keep.begin();
    trace.fail();
    assert_eq!(names_and_reasons(trace.end(quick("root"))).len(), 1);
    let counts = keep.counts();
    assert_eq!(
        (
            counts.sampled_error,
            counts.sampled_slow,
            counts.sampled_exemplar
        ),
        (4, 1, 1)
    );
    assert_eq!(
        (
            counts.not_interesting,
            counts.not_interesting_spans,
            counts.exported_spans
        ),
        (2, 4, 11)
    );
    assert_eq!(
        (
            counts.buffered_traces,
            counts.buffered_spans,
            counts.buffered_bytes
        ),
        (0, 0, 0)
    );
}

#[test]
fn the_budget_is_not_exceeded_and_half_of_it_is_not_for_exemplars() {
    let (keep, clock) = keep(TailSamplingConfig::new(10.0).unwrap());
    let traces: Vec<_> = (0..20).map(|_| keep.begin()).collect();
    let chosen = traces
        .iter()
        .filter(|trace| trace.candidate().choose())
        .count();
    assert_eq!((chosen, keep.counts().refused_exemplars), (5, 15));
    // A second measurement in the same trace takes nothing from the budget.
    assert_eq!(
        traces
            .iter()
            .filter(|trace| trace.candidate().choose())
            .count(),
        5
    );
    let ends = traces.iter().map(|trace| trace.end(failed("root")));
    assert_eq!(ends.flatten().count(), 10);
    assert_eq!(
        (keep.counts().sampled_error, keep.counts().over_budget),
        (10, 10)
    );
    clock.advance(Duration::from_millis(100));
    let more = (0..3).filter_map(|_| keep.begin().end(failed("root")));
    assert_eq!(more.count(), 1);
    assert_eq!(keep.counts().over_budget_spans, 12);
}

#[test]
fn a_late_span_is_treated_like_its_trace() {
    let (keep, _) = keep(TailSamplingConfig::new(1.0).unwrap());
    let (good, bad, not_interesting) = (keep.begin(), keep.begin(), keep.begin());
    assert_eq!(names_and_reasons(good.end(failed("root"))).len(), 1);
    assert_eq!(names_and_reasons(bad.end(failed("root"))), []);
    assert_eq!(names_and_reasons(not_interesting.end(span("root"))), []);
    let late = good.add(span("late")).expect("exported alone");
    assert_eq!(reason_of(&late).as_deref(), Some("error"));
    assert_eq!(bad.add(span("late")), None);
    // The failure comes after the end of the root.
    assert_eq!(not_interesting.add(failed("late")), None);
    assert!(
        good.candidate().choose()
            && !bad.candidate().choose()
            && !not_interesting.candidate().choose()
    );
    assert_eq!(good.end(span("again")).map(|spans| spans.len()), Some(1));
    let counts = keep.counts();
    assert_eq!((counts.exported_spans, counts.over_budget_spans), (3, 2));
    assert_eq!((counts.not_interesting_spans, accounted(&counts)), (2, 7));
}

#[test]
fn a_root_that_is_forgotten_leaves_nothing_behind() {
    let (keep, _) = keep(TailSamplingConfig::new(1.0).unwrap());
    let trace = keep.begin();
    let child = trace.clone();
    drop(trace);
    assert_eq!(child.add(span("child")), None);
    assert!(keep.counts().buffered_bytes > 0);
    drop(child);
    let counts = keep.counts();
    assert_eq!(
        (
            counts.unended_spans,
            counts.buffered_traces,
            counts.buffered_bytes
        ),
        (1, 0, 0)
    );
}

#[test]
fn a_trace_has_its_own_limit_and_reports_the_missing_spans() {
    let (keep, _) = keep(TailSamplingConfig::new(10.0).unwrap().with_max_spans(3));
    let trace = keep.begin();
    for _ in 0..5 {
        assert_eq!(trace.add(span("child")), None);
    }
    let spans = trace.end(failed("root")).expect("kept");
    assert_eq!(spans.len(), 4);
    let missing = Attribute::new("barograph.tail_sampling.missing_spans", 2);
    let says = |span: &SpanRecord| span.attributes.contains(&missing);
    assert_eq!(
        spans.iter().map(says).collect::<Vec<_>>(),
        [false, false, false, true]
    );
    assert_eq!(keep.counts().over_limit_spans, 2);
    // After an exemplar has chosen the trace, no span of it is lost.
    let trace = keep.begin();
    assert!(trace.candidate().choose());
    let at_once = (0..5).filter_map(|_| trace.add(span("child")));
    assert_eq!(
        at_once
            .filter_map(|span| reason_of(&span))
            .collect::<Vec<_>>(),
        ["exemplar"; 2]
    );
    let spans = trace.end(span("root")).expect("promised");
    assert!(spans.len() == 4 && !spans.iter().any(says));
}

#[test]
fn memory_is_what_was_allowed() {
    let record = || SpanRecord {
        attributes: vec![Attribute::new("text", "x".repeat(1000))],
        ..span("child")
    };
    let (keep, _) = keep(
        TailSamplingConfig::new(10.0)
            .unwrap()
            .with_max_bytes(10_000),
    );
    let traces = [keep.begin(), keep.begin()];
    for trace in traces.iter().cycle().take(40) {
        assert_eq!(trace.add(record()), None);
        assert!(keep.counts().buffered_bytes <= 10_000);
    }
    let counts = keep.counts();
    // The texts, and room for twice four records.
    assert!((4..8).contains(&counts.buffered_spans), "{counts:?}");
    assert_eq!(counts.buffered_spans + counts.no_memory_spans, 40);
    let [first, second] = traces;
    assert!(
        first
            .end(failed("root"))
            .is_some_and(|spans| spans.len() > 1)
    );
    assert_eq!(second.add(record()), None);
    assert_eq!(second.end(span("root")), None);
    let counts = keep.counts();
    assert_eq!((counts.buffered_bytes, accounted(&counts)), (0, 43));
}

#[test]
fn the_memory_of_a_span_is_counted() {
    let mut record = span("borrowed");
    let before = cost::of(&record);
    assert_eq!(before, 0);
    let text = |length| AnyValue::from("x".repeat(length));
    record.attributes = vec![
        Attribute::new("a", text(100)),
        Attribute::new("b", AnyValue::Array([text(10), 7.into()].into())),
        Attribute::new("c", AnyValue::Map([Attribute::new("d", true)].into())),
        Attribute::new("e", AnyValue::Bytes([0; 50].into())),
    ];
    let (one, value) = (size_of::<Attribute>(), size_of::<AnyValue>());
    assert_eq!(cost::of(&record), 5 * one + 2 * value + 160);
}

#[test]
fn a_tail_sampled_span_has_no_threshold() {
    let (keep, _) = keep(TailSamplingConfig::new(10.0).unwrap());
    let trace = keep.begin();
    let state = TraceState::parse(["ot=th:c;rv:00000000000000,a=1"]).unwrap();
    let root = SpanRecord {
        trace_state: state,
        ..failed("root")
    };
    let spans = trace.end(root).expect("kept");
    assert_eq!(spans[0].trace_state.as_str(), "ot=rv:00000000000000,a=1");
    assert!(!spans[0].context.is_sampled(), "as other services saw it");
}

#[test]
fn counts_are_the_same_as_without_keep() {
    const TRACES: usize = 20_000;
    let sampler = ParentBased::new(Probability::new(0.1).unwrap());
    let (keep, clock) = keep(TailSamplingConfig::new(1000.0).unwrap());
    // The totals that a backend computes for all spans, and for those that failed.
    let (mut all, mut failures, mut more) = (0.0, 0.0, 0);
    let mut receive = |span: &SpanRecord| match Threshold::in_trace_state(&span.trace_state) {
        Some(threshold) => {
            assert!(threshold.accepts(Randomness::of(span.context.trace_id(), &span.trace_state)));
            all += threshold.adjusted_count();
            if span.status != Status::Unset {
                failures += threshold.adjusted_count();
            }
        }
        None => more += 1,
    };
    for (at, id) in random().take(TRACES).enumerate() {
        let context = TraceContext::new(id, 1, TraceFlags::RANDOM).unwrap();
        let result = sampler.sample(&SpanStart::new(context.trace_id(), "root"));
        let mut record = if at % 10 == 0 {
            failed("root")
        } else {
            span("root")
        };
        record.context = context.with_flags(result.flags(None, TraceFlags::RANDOM));
        record.trace_state = result.trace_state.unwrap_or_default();
        if result.decision == Decision::RecordAndSample {
            receive(&record);
        } else if let Some(spans) = keep.begin().end(record) {
            spans.iter().for_each(&mut receive);
        }
        clock.advance(Duration::from_millis(1));
    }
    // A tolerance of five standard deviations; the numbers are the same in each run.
    let is_near = |sum: f64, traces: f64| (sum - traces).abs() < 5.0 * (traces * 9.0).sqrt();
    assert!(is_near(all, TRACES as f64), "{all}");
    assert!(is_near(failures, TRACES as f64 / 10.0), "{failures}");
    let counts = keep.counts();
    assert_eq!((more, counts.over_budget), (counts.sampled_error, 0));
    assert!(more > 1500, "nearly all failures are there: {more}");
}

#[test]
fn a_storm_is_bounded_and_accounted_for_concurrently() {
    const THREADS: u64 = 4;
    const TRACES: u64 = 300;
    const SPANS: u64 = 20;
    const MAX_BYTES: u64 = 60_000;
    let config = TailSamplingConfig::new(50.0).unwrap().with_max_spans(12);
    let (keep, clock) = keep(config.with_max_bytes(MAX_BYTES as usize));
    let exported = AtomicU64::new(0);
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let recording: Vec<_> = (0..THREADS)
            .map(|thread| {
                let (keep, exported, clock) = (&keep, &exported, &clock);
                scope.spawn(move || {
                    let export = |spans: usize| {
                        exported.fetch_add(spans as u64, Ordering::Relaxed);
                    };
                    for at in 0..TRACES {
                        let trace = keep.begin();
                        let child = trace.clone();
                        let fails = (at + thread) % 3 == 0;
                        // A thread that sometimes outlives the root.
                        let other = std::thread::spawn(move || {
                            let record = || {
                                if fails {
                                    failed("child")
                                } else {
                                    span("child")
                                }
                            };
                            (0..SPANS).filter_map(|_| child.add(record())).count()
                        });
                        let is_chosen = at % 5 == 0 && trace.candidate().choose();
                        let own = (0..SPANS).filter_map(|_| trace.add(span("child"))).count();
                        let root = if fails { failed("root") } else { span("root") };
                        let spans = trace.end(root);
                        assert!(!is_chosen || spans.is_some(), "a promise is kept");
                        export(own + spans.map_or(0, |spans| spans.len()));
                        export(other.join().unwrap());
                        clock.advance(Duration::from_millis(1));
                    }
                })
            })
            .collect();
        scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                // A thread may be between reserving too much and releasing it.
                let most = MAX_BYTES + 2 * THREADS * 12 * size_of::<SpanRecord>() as u64;
                assert!(keep.counts().buffered_bytes <= most);
                std::thread::yield_now();
            }
        });
        for thread in recording {
            thread.join().unwrap();
        }
        is_over.store(true, Ordering::Relaxed);
    });
    let counts = keep.counts();
    assert_eq!(accounted(&counts), THREADS * TRACES * (2 * SPANS + 1));
    assert_eq!(counts.exported_spans, exported.into_inner());
    assert_eq!(
        (
            counts.buffered_spans,
            counts.buffered_bytes,
            counts.buffered_traces
        ),
        (0, 0, 0)
    );
    let traces = counts.sampled_error
        + counts.sampled_exemplar
        + counts.not_interesting
        + counts.over_budget;
    assert_eq!((traces, counts.sampled_slow), (THREADS * TRACES, 0));
    assert!(counts.over_budget > 0 && counts.over_limit_spans > 0 && counts.not_interesting > 0);
    // The budget of one second, and that of the time that has passed on the clock.
    let budget = 50 + THREADS * TRACES / 20;
    assert!(counts.sampled_error + counts.sampled_exemplar <= budget);
}
