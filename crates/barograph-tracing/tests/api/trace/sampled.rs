//! The decisions of samplers and their effect on recording.

use barograph_core::registry::Registry;
use barograph_core::{current, ids, record_queue::RecordQueue};
use barograph_model::context::TraceFlags;
use barograph_model::span::SpanKind;
use barograph_model::value::Attribute;
use barograph_tracing::sampling::tail::{TailSampling, TailSamplingConfig};
use barograph_tracing::sampling::{
    AlwaysOff, AlwaysOn, AlwaysRecord, Decision, ParentBased, Probability, Rule, Rules, Sampler,
    SamplingResult, SpanStart, TraceIdRatio,
};
use barograph_tracing::trace::{SpanExt, SpanMetrics, TraceLayer};
use tracing::{error, info, info_span};
use tracing_subscriber::prelude::*;

use super::setup::{all, assert_child, attribute, named, queue, remote, spans_of, value};
use test_support::metrics::exemplars;

#[test]
fn an_unsampled_span_has_ids_and_no_record() {
    let spans = spans_of(
        |builder| builder.with_sampler(ParentBased::new(AlwaysOff)),
        |handle| {
            let span = info_span!("a", field = 1);
            span.in_scope(|| {
                let context = current::context().unwrap();
                assert!(!context.is_sampled());
                assert!(context.flags().contains(TraceFlags::RANDOM));
                info!("unheard");
                let inner = info_span!("b");
                let inner = inner.trace_context().unwrap();
                assert_eq!(inner.trace_id(), context.trace_id());
                assert_ne!(inner.span_id(), context.span_id());
            });
            let _guard = current::enter(remote(TraceFlags::SAMPLED));
            drop(info_span!("of a sampled caller"));
            assert_eq!(handle.metrics().live(), 0);
        },
    );
    assert_eq!(spans.len(), 1);
    assert_eq!(spans[0].name, "of a sampled caller");
}

#[test]
fn a_sampler_sees_what_it_asks_for() {
    #[derive(Debug)]
    struct Asks;
    impl Sampler for Asks {
        fn sample(&self, span: &SpanStart<'_>) -> SamplingResult {
            assert_eq!((span.name, span.kind), ("named", SpanKind::Consumer));
            assert_eq!(span.attributes, [attribute("size", 3)]);
            let mut result = SamplingResult::new(Decision::RecordAndSample);
            result.attributes = vec![Attribute::new("why", "asked"), Attribute::new("size", 4)];
            result
        }
        fn description(&self) -> String {
            "Asks".into()
        }
    }
    let spans = spans_of(
        |builder| builder.with_sampler(Asks),
        |_| {
            drop(info_span!(
                "a",
                otel.name = "named",
                otel.kind = "consumer",
                size = 3
            ))
        },
    );
    assert_eq!(
        spans[0].attributes,
        [attribute("size", 4), attribute("why", "asked")]
    );

    // Rules for names need no attributes.
    let rules = || Rules::new().with_rule(Rule::new().with_name("GET *"), AlwaysOff);
    let spans = spans_of(
        |builder| builder.with_sampler(rules()),
        |_| {
            drop(info_span!("request", otel.name = "GET /orders"));
            drop(info_span!("request", otel.name = "PUT /orders"));
        },
    );
    assert_eq!(spans.len(), 1);
}

#[test]
fn a_threshold_travels() {
    let spans = spans_of(
        |builder| builder.with_sampler(ParentBased::new(Probability::new(0.999_999).unwrap())),
        |_| {
            info_span!("a").in_scope(|| {
                assert!(current::propagation().tracestate().get("ot").is_some());
                drop(info_span!("b"));
            });
        },
    );
    let [b, a] = &spans[..] else {
        panic!("two spans: {spans:?}");
    };
    assert!(
        a.trace_state
            .get("ot")
            .is_some_and(|ot| ot.starts_with("th:"))
    );
    assert_eq!(a.trace_state, b.trace_state);
    assert_child(b, a);
}

#[test]
fn starts_are_counted_by_what_was_decided() {
    let registry = Registry::new();
    let metrics = SpanMetrics::register(&registry).unwrap();
    let value = |name: &str, labels: &[(&str, &str)]| registry.value(name, labels).unwrap_or(0.0);
    let started = |result, origin| {
        let labels = [
            ("otel.span.sampling_result", result),
            ("otel.span.parent.origin", origin),
        ];
        value("otel.sdk.span.started", &labels)
    };
    let live = |result| {
        value(
            "otel.sdk.span.live",
            &[("otel.span.sampling_result", result)],
        )
    };
    spans_of(
        |builder| {
            let sampler = ParentBased::new(AlwaysRecord::new(AlwaysOff));
            builder.with_sampler(sampler).with_metrics(metrics)
        },
        |_| {
            let a = info_span!("a");
            a.in_scope(|| drop(info_span!("b")));
            let _guard = current::enter(remote(TraceFlags::SAMPLED));
            let c = info_span!("c");
            assert_eq!((live("RECORD_ONLY"), live("RECORD_AND_SAMPLE")), (1.0, 1.0));
            drop((a, c));
        },
    );
    assert_eq!(started("RECORD_ONLY", "none"), 1.0);
    assert_eq!(started("DROP", "local"), 1.0);
    assert_eq!(started("RECORD_AND_SAMPLE", "remote"), 1.0);
    assert_eq!((live("RECORD_ONLY"), live("RECORD_AND_SAMPLE")), (0.0, 0.0));
}

#[test]
fn a_trace_that_failed_is_exported_whole() {
    let keep = TailSampling::new(TailSamplingConfig::new(1_000.0).unwrap());
    let spans = spans_of(
        |builder| {
            builder
                .with_sampler(ParentBased::new(AlwaysOff))
                .with_tail_sampling(keep.clone())
        },
        |_| {
            info_span!("well").in_scope(|| drop(info_span!("inner")));
            info_span!("bad", order = 7).in_scope(|| {
                let explicit = info_span!("explicit");
                drop(info_span!(parent: &explicit, "of explicit"));
                drop(explicit);
                info_span!("failing").in_scope(|| error!("it failed"));
            });
        },
    );
    let [bad, failing, of] = ["bad", "failing", "of explicit"].map(|name| named(&spans, name));
    assert_child(failing, bad);
    assert_child(of, named(&spans, "explicit"));
    assert_eq!(spans.len(), 4);
    assert_eq!(value(&bad.attributes, "order"), Some(&7.into()));
    assert!(!bad.context.is_sampled());
    assert_eq!(keep.counts().buffered_traces, 0);
}

#[test]
fn exemplars_lead_to_sampled_spans() {
    let registry = Registry::new();
    let counter = registry.counter("orders").build().unwrap();
    let histogram = registry.histogram("took").with_unit("s").build().unwrap();
    let measure = |sampled: bool| {
        let queue = queue();
        let sampler: Box<dyn Sampler> = match sampled {
            true => Box::new(ParentBased::default()),
            false => Box::new(ParentBased::new(AlwaysOff)),
        };
        let layer = TraceLayer::builder(queue.clone())
            .with_sampler(sampler)
            .build();
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
            info_span!("order").in_scope(|| {
                counter.inc();
                histogram.observe(0.2);
            });
        });
        all(&queue)
    };
    measure(false);
    let found = || ["orders", "took"].map(|family| exemplars(&registry, family).len());
    assert_eq!(found(), [0, 0]);
    let spans = measure(true);
    assert_eq!(found(), [1, 1]);
    for family in ["orders", "took"] {
        let exemplar = &exemplars(&registry, family)[0];
        assert_eq!(exemplar.context, Some(spans[0].context));
    }
}

#[test]
fn a_full_queue_counts_what_it_refuses() {
    let queue = RecordQueue::new(3);
    let layer = TraceLayer::new(queue.clone());
    tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
        for _ in 0..10 {
            drop(info_span!("a"));
        }
    });
    let counts = queue.counts();
    assert_eq!((counts.accepted, counts.refused_full), (3, 7));
}

#[test]
fn a_share_of_all_traces_is_that_share() {
    const SPANS: usize = 20_000;
    let samplers: [fn() -> Box<dyn Sampler>; 4] = [
        || Box::new(Probability::new(0.1).unwrap()),
        || Box::new(TraceIdRatio::new(0.1).unwrap()),
        // This sampler needs the start of the span, because it looks at the name.
        || {
            let tenth = Probability::new(0.1).unwrap();
            Box::new(Rules::new().with_rule(Rule::new().with_name("a"), tenth))
        },
        || Box::new(ParentBased::new(Probability::new(0.1).unwrap())),
    ];
    for make in samplers {
        let spans = spans_of(
            |builder| builder.with_sampler(make()),
            |_| (0..SPANS).for_each(|_| drop(info_span!("a"))),
        );
        // A tolerance of ten standard deviations.
        let share = spans.len() as f64 / SPANS as f64;
        assert!((share - 0.1).abs() < 0.021, "{share} by {:?}", make());
    }
}

#[test]
fn samplers_that_decide_by_ids_give_the_same_decision_by_sample() {
    let half = || Probability::new(0.5).unwrap();
    let samplers: [Box<dyn Sampler>; 6] = [
        Box::new(AlwaysOn),
        Box::new(AlwaysOff),
        Box::new(half()),
        Box::new(TraceIdRatio::new(0.5).unwrap()),
        Box::new(ParentBased::new(half())),
        Box::new(ParentBased::new(AlwaysOff).with_remote_parent_sampled(half())),
    ];
    for sampler in samplers {
        for at in 0..1_000 {
            let flags = TraceFlags::from_bits(at as u8 & 1);
            let local = ids::new_trace().with_flags(flags);
            for parent in [None, Some(local), Some(local.as_remote())] {
                let mut start = SpanStart::new(local.trace_id(), "a");
                start.parent = parent;
                if let Some(decision) = sampler.decide(local.trace_id(), parent) {
                    assert_eq!(
                        sampler.sample(&start),
                        SamplingResult::new(decision),
                        "{sampler:?}"
                    );
                }
            }
        }
    }
}
