//! Every exemplar leads to a trace that is exported, with tail sampling off and on, through the layer.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use barograph_core::ids;
use barograph_core::record_queue::RecordQueue;
use barograph_core::registry::Registry;
use barograph_model::context::TraceFlags;
use barograph_model::exemplar::Exemplar;
use barograph_model::snapshot::Source;
use barograph_model::span::SpanRecord;
use barograph_tracing::sampling::tail::{TailSampling, TailSamplingConfig, TailSamplingCounts};
use barograph_tracing::sampling::{AlwaysOff, AlwaysOn, ParentBased, Probability};
use barograph_tracing::trace::{SpanExt, TraceLayer};
use tracing::{Dispatch, error, info_span};
use tracing_subscriber::prelude::*;

type Spans = RecordQueue<SpanRecord>;

fn queue() -> Spans {
    RecordQueue::new(1 << 15)
}

fn taken(queue: &Spans) -> Vec<SpanRecord> {
    std::iter::from_fn(|| queue.pop())
        .map(|span| *span)
        .collect()
}

fn exemplars(registry: &Registry, all: &mut Vec<Exemplar>) {
    for family in registry.collect() {
        family.read(0, &mut |point| all.extend_from_slice(point.exemplars));
    }
}

/// Returns the number of unsampled spans that are accounted for.
fn accounted(counts: &TailSamplingCounts) -> u64 {
    counts.exported_spans
        + counts.not_interesting_spans
        + counts.over_budget_spans
        + counts.no_memory_spans
        + counts.over_limit_spans
        + counts.unended_spans
}

const THREADS: u64 = 3;
const REQUESTS: u64 = 1500;

/// Sends requests on several threads during scrapes, of which one in a hundred is sampled. Returns the
/// number of exemplars of unsampled traces, and the number of unsampled spans.
fn run(keep: Option<&TailSampling>) -> (usize, u64) {
    let spans = queue();
    let sampler = ParentBased::new(Probability::new(0.01).unwrap());
    let mut layer = TraceLayer::builder(spans.clone()).with_sampler(sampler);
    if let Some(keep) = keep {
        layer = layer.with_tail_sampling(keep.clone());
    }
    let dispatch = Dispatch::new(tracing_subscriber::registry().with(layer.build()));
    let registry = Registry::new();
    let counter = registry.counter("requests").build().unwrap();
    let histogram = registry
        .histogram("seconds")
        .with_unit("s")
        .build()
        .unwrap();
    let measure = |at: u64| {
        counter.inc();
        histogram.observe((at % 100) as f64 / 10.0);
    };
    let request = |at: u64| {
        let root = info_span!("request");
        let child = root.in_scope(|| {
            measure(at);
            let child = info_span!("query");
            child.in_scope(|| {
                measure(at + 50);
                if at.is_multiple_of(200) {
                    error!("it failed");
                }
            });
            child
        });
        if at.is_multiple_of(20) {
            // The child outlives the root, and continues on another thread.
            drop(root);
            std::thread::scope(|scope| {
                scope.spawn(|| child.in_scope(|| measure(at + 70)));
            });
        }
    };
    let mut all = Vec::new();
    let is_over = AtomicBool::new(false);
    let running = AtomicU64::new(THREADS);
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let (dispatch, request, running, is_over) = (&dispatch, &request, &running, &is_over);
            scope.spawn(move || {
                tracing::dispatcher::with_default(dispatch, || {
                    (0..REQUESTS).for_each(|at| request(at * THREADS + thread));
                });
                if running.fetch_sub(1, Ordering::Relaxed) == 1 {
                    is_over.store(true, Ordering::Relaxed);
                }
            });
        }
        while !is_over.load(Ordering::Relaxed) {
            exemplars(&registry, &mut all);
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
    });
    exemplars(&registry, &mut all);
    assert_eq!(spans.counts().refused_full, 0, "the queue has room");
    let exported = taken(&spans);
    let known: HashSet<_> = exported
        .iter()
        .map(|span| (span.context.trace_id(), span.context.span_id()))
        .collect();
    let roots = exported.iter().filter(|span| span.parent.is_none());
    let roots: HashSet<_> = roots.map(|span| span.context.trace_id()).collect();
    assert!(!all.is_empty());
    for exemplar in &all {
        let context = exemplar.context.expect("it leads somewhere");
        assert!(known.contains(&(context.trace_id(), context.span_id())));
        assert!(roots.contains(&context.trace_id()));
    }
    let unsampled = |e: &&Exemplar| !e.context.is_some_and(|context| context.is_sampled());
    let sampled_spans = exported
        .iter()
        .filter(|span| span.context.is_sampled())
        .count();
    (
        all.iter().filter(unsampled).count(),
        2 * THREADS * REQUESTS - sampled_spans as u64,
    )
}

#[test]
fn through_the_layer_every_exemplar_leads_to_a_trace_concurrently() {
    let (unsampled, _) = run(None);
    assert_eq!(
        unsampled, 0,
        "with keep off they come from sampled traces only"
    );
    let keep = TailSampling::new(TailSamplingConfig::new(100.0).unwrap());
    let (unsampled, spans) = run(Some(&keep));
    let counts = keep.counts();
    assert!(unsampled > 0 && counts.sampled_exemplar > 0);
    assert_eq!(accounted(&counts), spans, "{counts:?}");
    assert_eq!(
        (
            counts.buffered_traces,
            counts.buffered_spans,
            counts.buffered_bytes
        ),
        (0, 0, 0)
    );
    assert_eq!(counts.unended_spans, 0);
}

#[test]
fn a_trace_that_gets_its_parent_late_is_tail_sampled_too() {
    let registry = Registry::new();
    let counter = registry.counter("requests").build().unwrap();
    // The span begins as the root of a trace: sampled in one service, not in the other.
    for is_root_sampled in [true, false] {
        let spans = queue();
        let keep = TailSampling::new(TailSamplingConfig::new(100.0).unwrap());
        let sampler = match is_root_sampled {
            true => ParentBased::new(AlwaysOn),
            false => ParentBased::new(AlwaysOff),
        };
        let layer = TraceLayer::builder(spans.clone()).with_sampler(sampler);
        let layer = layer.with_tail_sampling(keep.clone()).build();
        let subscriber = tracing_subscriber::registry().with(layer);
        let mut all = Vec::new();
        tracing::subscriber::with_default(subscriber, || {
            for (flags, fails, measures, exported) in [
                (TraceFlags::RANDOM, false, false, 0),
                (TraceFlags::RANDOM, true, false, 2),
                (TraceFlags::RANDOM, false, true, 2),
                (TraceFlags::SAMPLED, false, false, 2),
            ] {
                exemplars(&registry, &mut all);
                let caller = ids::new_trace().with_flags(flags).as_remote();
                let span = info_span!("request");
                span.set_parent(caller);
                span.in_scope(|| {
                    info_span!("query").in_scope(|| {
                        if fails {
                            error!("it failed");
                        }
                    });
                    if measures {
                        counter.inc();
                    }
                });
                drop(span);
                let found = taken(&spans);
                assert_eq!(found.len(), exported, "{flags:?} {fails} {measures}");
                assert!(
                    found
                        .iter()
                        .all(|s| s.context.trace_id() == caller.trace_id())
                );
            }
        });
        let counts = keep.counts();
        assert_eq!((counts.sampled_error, counts.sampled_exemplar), (1, 1));
        assert_eq!((counts.not_interesting, counts.buffered_traces), (1, 0));
    }
}
