//! Every exemplar leads to a trace that is exported, with tail sampling off and on.

use std::collections::HashSet;

use barograph_core::clock::ManualClock;
use barograph_core::current::{self, Current};
use barograph_core::ids;
use barograph_core::registry::Registry;
use barograph_model::context::{TraceContext, TraceFlags};
use barograph_model::snapshot::Source;
use barograph_model::span::{Parent, SpanRecord};
use barograph_tracing::sampling::tail::{BufferedTrace, TailSampling, TailSamplingConfig};
use barograph_tracing::sampling::{ParentBased, Probability, Sampler, SpanStart};

fn record(context: TraceContext, parent: Option<TraceContext>) -> SpanRecord {
    SpanRecord {
        parent: parent.map(|parent| Parent {
            span_id: parent.span_id(),
            is_remote: false,
        }),
        start_unix_nano: 1,
        end_unix_nano: 2,
        ..SpanRecord::new(context, "span")
    }
}

/// Does what a layer does for a request: a root span, and a child in which a value is measured.
fn request(
    sampler: &dyn Sampler,
    keep: Option<&TailSampling>,
    exported: &mut Vec<SpanRecord>,
    measure: impl FnOnce(),
) {
    let root = ids::new_trace();
    let verdict = sampler.sample(&SpanStart::new(root.trace_id(), "root"));
    let root = root.with_flags(verdict.flags(None, TraceFlags::RANDOM));
    let is_sampled = root.is_sampled();
    let trace: Option<BufferedTrace> = keep.filter(|_| !is_sampled).map(TailSampling::begin);
    let mut here = Current::from(root);
    if let Some(trace) = &trace {
        here = here.with_candidate(trace.candidate());
    }
    let child = ids::child_of(root);
    {
        let _root = current::enter(here);
        let _child = current::enter(Current::capture().with_trace(child));
        measure();
    }
    let (child, root) = (record(child, Some(root)), record(root, None));
    match trace {
        Some(trace) => {
            exported.extend(trace.add(child));
            exported.extend(trace.end(root).into_iter().flatten());
        }
        None if is_sampled => exported.extend([child, root]),
        None => {}
    }
}

/// Returns the number of exemplars, and the number of those whose trace is not sampled.
fn run(keep: Option<&TailSampling>, clock: &ManualClock) -> (usize, usize) {
    const REQUESTS: usize = 5000;
    let registry = Registry::new();
    let counter = registry.counter("requests").build().unwrap();
    let histogram = registry
        .histogram("seconds")
        .with_unit("s")
        .build()
        .unwrap();
    let sampler = ParentBased::new(Probability::new(0.01).unwrap());
    let mut exported = Vec::new();
    let mut exemplars = Vec::new();
    for at in 0..REQUESTS {
        request(&sampler, keep, &mut exported, || {
            counter.inc();
            histogram.observe((at % 100) as f64 / 10.0);
        });
        clock.advance(std::time::Duration::from_millis(1));
        // Scrapes from time to time.
        if at % 500 == 499 {
            for family in registry.collect() {
                family.read(0, &mut |point| exemplars.extend_from_slice(point.exemplars));
            }
        }
    }
    let spans: HashSet<_> = exported
        .iter()
        .map(|span| (span.context.trace_id(), span.context.span_id()))
        .collect();
    let roots = exported.iter().filter(|span| span.parent.is_none());
    let roots: HashSet<_> = roots.map(|span| span.context.trace_id()).collect();
    for exemplar in &exemplars {
        let context = exemplar.context.expect("it leads somewhere");
        assert!(spans.contains(&(context.trace_id(), context.span_id())));
        assert!(roots.contains(&context.trace_id()), "the trace is whole");
    }
    let sampled = |context: TraceContext| context.is_sampled();
    let unsampled = exemplars.iter().filter(|e| !e.context.is_some_and(sampled));
    (exemplars.len(), unsampled.count())
}

#[test]
fn every_exemplar_leads_to_a_trace_with_keep_off_and_on() {
    let clock = ManualClock::at(1_700_000_000_000_000_000);
    let (without, unsampled) = run(None, &clock);
    assert!(without > 0);
    assert_eq!(
        unsampled, 0,
        "with keep off they come from sampled traces only"
    );
    // A budget that is too small for all of them.
    let keep = TailSampling::with_clock(TailSamplingConfig::new(10.0).unwrap(), clock.clone());
    let (with, unsampled) = run(Some(&keep), &clock);
    assert!(unsampled > 0 && with > without, "{with} {without}");
    let counts = keep.counts();
    assert!(counts.refused_exemplars > 0 && counts.sampled_exemplar > 0);
    assert_eq!(counts.exported_spans, 2 * counts.sampled_exemplar);
    assert_eq!(counts.not_interesting_spans, 2 * counts.not_interesting);
    assert_eq!((counts.over_budget, counts.buffered_bytes), (0, 0));
}
