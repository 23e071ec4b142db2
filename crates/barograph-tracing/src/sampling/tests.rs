//! Decisions of the samplers, case by case and statistically.

use std::time::Duration;

use barograph_core::clock::ManualClock;
use barograph_model::context::{TraceContext, TraceFlags, TraceState};
use barograph_model::span::SpanKind;
use barograph_model::value::Attribute;
use proptest::prelude::*;

use super::*;

pub(super) fn trace(id: u128) -> TraceContext {
    TraceContext::new(id, 1, TraceFlags::RANDOM).expect("not zero")
}

fn is_sampled(sampler: &dyn Sampler, span: &SpanStart<'_>) -> bool {
    sampler.sample(span).decision == Decision::RecordAndSample
}

/// Returns pseudorandom numbers, which are the same in each run.
pub(super) fn random() -> impl Iterator<Item = u128> {
    let mut state = 0_u64;
    let mut next = move || {
        // SplitMix64.
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    };
    std::iter::from_fn(move || Some(u128::from(next()) << 64 | u128::from(next()) | 1))
}

#[test]
fn a_ratio_looks_at_the_right_half_of_the_id_without_its_last_bit() {
    let half = TraceIdRatio::new(0.5).unwrap();
    for (id, sampled) in [
        (0x7fff_ffff_ffff_ffff, true),
        (0x8000_0000_0000_0000, false),
        (0xffff_ffff_ffff_ffff_0000_0000_0000_0000, true),
        (0x1_8000_0000_0000_0000, false),
    ] {
        let span = SpanStart::new(trace(id).trace_id(), "span");
        assert_eq!(is_sampled(&half, &span), sampled, "{id:x}");
    }
    let (none, all) = (
        TraceIdRatio::new(0.0).unwrap(),
        TraceIdRatio::new(1.0).unwrap(),
    );
    let few = TraceIdRatio::new(1e-18).unwrap();
    for (id, sampled_by_few) in [(1, true), (18, false), (u128::MAX, false)] {
        let span = SpanStart::new(trace(id).trace_id(), "span");
        assert!(!is_sampled(&none, &span) && is_sampled(&all, &span));
        assert_eq!(is_sampled(&few, &span), sampled_by_few, "{id:x}");
    }
    for bad in [-0.1, 1.1, f64::NAN] {
        let error = TraceIdRatio::new(bad).unwrap_err().to_string();
        assert_eq!(
            error,
            format!("invalid ratio {bad}: expected a number from 0 to 1")
        );
    }
}

#[test]
fn shares_are_what_was_asked_for() {
    const TRACES: usize = 200_000;
    for ratio in [0.001, 0.01, 0.25, 0.9] {
        let samplers: [&dyn Sampler; 2] = [
            &TraceIdRatio::new(ratio).unwrap(),
            &Probability::new(ratio).unwrap(),
        ];
        for sampler in samplers {
            let ids = random().take(TRACES);
            let sampled = ids
                .filter(|id| is_sampled(sampler, &SpanStart::new(trace(*id).trace_id(), "span")))
                .count();
            let expected = ratio * TRACES as f64;
            // A tolerance of five standard deviations; the numbers are the same in each run.
            let off = 5.0 * (expected * (1.0 - ratio)).sqrt();
            assert!(
                (sampled as f64 - expected).abs() < off,
                "{sampler:?}: {sampled}"
            );
        }
    }
}

#[test]
fn each_kind_of_parent_has_its_sampler() {
    // Each branch returns a distinct attribute.
    #[derive(Debug)]
    struct Says(&'static str);
    impl Sampler for Says {
        fn sample(&self, _: &SpanStart<'_>) -> SamplingResult {
            let attributes = vec![Attribute::new("branch", self.0)];
            SamplingResult {
                attributes,
                ..SamplingResult::new(Decision::RecordOnly)
            }
        }
        fn needs_attributes(&self) -> bool {
            self.0 == "local not sampled"
        }
        fn description(&self) -> String {
            self.0.to_owned()
        }
    }
    let sampler = ParentBased::new(Says("root"))
        .with_remote_parent_sampled(Says("remote sampled"))
        .with_remote_parent_not_sampled(Says("remote not sampled"))
        .with_local_parent_sampled(Says("local sampled"));
    assert!(!sampler.needs_attributes());
    let sampler = sampler.with_local_parent_not_sampled(Says("local not sampled"));
    assert!(sampler.needs_attributes());
    let sampled = trace(7).with_flags(TraceFlags::SAMPLED);
    for (parent, branch, by_default) in [
        (None, "root", Decision::RecordAndSample),
        (
            Some(sampled.as_remote()),
            "remote sampled",
            Decision::RecordAndSample,
        ),
        (
            Some(trace(7).as_remote()),
            "remote not sampled",
            Decision::Drop,
        ),
        (Some(sampled), "local sampled", Decision::RecordAndSample),
        (Some(trace(7)), "local not sampled", Decision::Drop),
    ] {
        let span = SpanStart {
            parent,
            ..SpanStart::new(trace(7).trace_id(), "span")
        };
        assert_eq!(sampler.sample(&span).attributes[0].value, branch.into());
        assert_eq!(
            ParentBased::default().sample(&span),
            SamplingResult::new(by_default)
        );
    }
    assert_eq!(
        ParentBased::default().description(),
        "ParentBased{root:AlwaysOnSampler,remoteParentSampled:AlwaysOnSampler,\
         remoteParentNotSampled:AlwaysOffSampler,localParentSampled:AlwaysOnSampler,\
         localParentNotSampled:AlwaysOffSampler}"
    );
}

#[test]
fn a_threshold_is_propagated_while_it_is_true() {
    let follow = ParentBased::new(AlwaysOff);
    let accepted = trace(0xc0_0000_0000_0000);
    let rejected = trace(0xbf_ffff_ffff_ffff);
    let sampled = TraceFlags::SAMPLED;
    for (parent, before, after) in [
        (accepted.with_flags(sampled), "ot=th:c", None),
        (accepted.with_flags(sampled), "ot=th:c,a=1", None),
        // The parent was sampled for a reason other than its threshold.
        (rejected.with_flags(sampled), "ot=th:c,a=1", Some("a=1")),
        (
            rejected.with_flags(sampled),
            "ot=rv:ffffffffffffff;th:c",
            None,
        ),
        (
            accepted.with_flags(sampled),
            "ot=rv:00000000000000;th:c",
            Some("ot=rv:00000000000000"),
        ),
        // A span that is not sampled has no threshold.
        (accepted, "ot=th:c", Some("")),
        (accepted, "a=1", None),
    ] {
        let state = TraceState::parse([before]).unwrap();
        let span = SpanStart::new(parent.trace_id(), "span").with_trace_state(&state);
        let result = follow.sample(&span.with_parent(parent.as_remote()));
        let trace_state = result.trace_state.as_ref().map(TraceState::as_str);
        assert_eq!(trace_state, after, "{parent:?} {before}");
        // A local parent already has the corrected tracestate.
        let state = result.trace_state.unwrap_or(state);
        let span = SpanStart::new(parent.trace_id(), "span").with_trace_state(&state);
        assert_eq!(follow.sample(&span.with_parent(parent)).trace_state, None);
    }
}

#[test]
fn flags_show_the_decision() {
    let result = SamplingResult::new(Decision::RecordAndSample);
    assert_eq!(result.flags(None, TraceFlags::RANDOM).bits(), 3);
    assert_eq!(result.flags(None, TraceFlags::default()).bits(), 1);
    let parent = trace(1).with_flags(TraceFlags::SAMPLED);
    assert_eq!(result.flags(Some(parent), TraceFlags::RANDOM).bits(), 1);
    for decision in [Decision::Drop, Decision::RecordOnly] {
        let result = SamplingResult::from(decision);
        assert_eq!(result.flags(Some(parent), TraceFlags::RANDOM).bits(), 0);
        assert_eq!(result.flags(None, TraceFlags::RANDOM).bits(), 2);
    }
}

#[test]
fn recording_every_span_exports_no_more() {
    for (inner, expected) in [
        (Decision::Drop, Decision::RecordOnly),
        (Decision::RecordAndSample, Decision::RecordAndSample),
    ] {
        let sampler: Box<dyn Sampler> = match inner {
            Decision::Drop => Box::new(AlwaysOff),
            _ => Box::new(AlwaysOn),
        };
        let span = SpanStart::new(trace(1).trace_id(), "span");
        assert_eq!(AlwaysRecord::new(sampler).sample(&span).decision, expected);
    }
}

#[test]
fn a_rate_is_not_exceeded() {
    let clock = ManualClock::at(1_700_000_000_000_000_000);
    let sampler = RateLimited::new(5.0).unwrap().with_clock(clock.clone());
    let sampler = sampler.with_sampler(Probability::new(0.5).unwrap());
    assert!(!sampler.needs_attributes());
    let mut seen = 0;
    let mut sampled = 0;
    // A thousand spans per second, half of which are sampled, for ten seconds.
    for id in random().take(10_000) {
        let state = TraceState::parse(["a=1"]).unwrap();
        let span = SpanStart::new(trace(id).trace_id(), "span").with_trace_state(&state);
        let result = sampler.sample(&span);
        let trace_state = result.trace_state.as_ref().unwrap_or(span.trace_state);
        assert_eq!(trace_state.as_str(), "a=1", "nobody knows the share");
        seen += 1;
        sampled += usize::from(result.decision == Decision::RecordAndSample);
        clock.advance(Duration::from_millis(1));
    }
    assert_eq!(seen, 10_000);
    // The burst of one second, and the tokens of slightly less than ten seconds.
    assert!((54..=55).contains(&sampled), "{sampled}");
    let shown = "RateLimited{5/s,ProbabilitySampler{0.5}}";
    assert_eq!(sampler.description(), shown);
    assert_eq!(format!("{sampler:?}"), shown);
}

#[test]
fn the_first_rule_that_fits_decides() {
    let rules = Rules::new()
        .with_rule(Rule::new().with_route("/health*"), AlwaysOff)
        .with_rule(
            Rule::new().with_name("GET *").with_kind(SpanKind::Server),
            AlwaysOn,
        )
        .with_rule(Rule::new().with_attribute("tier", "gold"), AlwaysOn)
        .with_rule(Rule::new().with_attribute_like("size", "1?"), AlwaysOn)
        .with_rule(Rule::new().with_kind(SpanKind::Consumer), AlwaysOff)
        .with_rule(Rule::new().with_name("job *").with_name("* done"), AlwaysOn)
        .with_rule(Rule::new(), AlwaysOff);
    assert!(rules.needs_attributes());
    let route = |route: &'static str| Attribute::new("http.route", route);
    let (server, consumer) = (SpanKind::Server, SpanKind::Consumer);
    for (name, kind, attributes, sampled) in [
        ("GET /healthz", server, vec![route("/healthz")], false),
        ("GET /orders", server, vec![route("/orders")], true),
        ("GET /orders", SpanKind::Client, vec![], false),
        ("x", consumer, vec![Attribute::new("tier", "gold")], true),
        ("x", consumer, vec![Attribute::new("tier", "golden")], false),
        ("x", consumer, vec![Attribute::new("size", 12)], true),
        ("x", consumer, vec![Attribute::new("size", 123)], false),
        ("job 7 done", SpanKind::Internal, vec![], true),
        ("job 7", SpanKind::Internal, vec![], false),
    ] {
        let span = SpanStart::new(trace(1).trace_id(), name).with_kind(kind);
        let span = span.with_attributes(&attributes);
        assert_eq!(is_sampled(&rules, &span), sampled, "{name} {attributes:?}");
    }
    let span = SpanStart::new(trace(1).trace_id(), "x");
    assert!(is_sampled(&Rules::new(), &span));
    assert!(
        !Rules::new()
            .with_rule(Rule::new().with_name("x"), AlwaysOn)
            .needs_attributes()
    );
}

#[track_caller]
fn check(sampler: Option<&str>, argument: Option<&str>, expected: &str, ignored: &[&str]) {
    let (sampler, found) = configured(sampler, argument);
    let root = sampler.description();
    let root = match root.strip_prefix("ParentBased{root:") {
        Some(rest) => format!("parent {}", rest.split_once(",remoteParent").unwrap().0),
        None => root,
    };
    assert_eq!(root, expected);
    let found: Vec<_> = found.iter().map(Ignored::to_string).collect();
    assert_eq!(found, ignored);
}

#[test]
fn the_environment_asks_for_samplers_by_name() {
    let default = "parent AlwaysOnSampler";
    check(None, None, default, &[]);
    check(Some(" "), Some(""), default, &[]);
    check(Some("always_on"), None, "AlwaysOnSampler", &[]);
    check(Some("always_off"), None, "AlwaysOffSampler", &[]);
    check(Some("ParentBased_Always_On"), None, default, &[]);
    check(
        Some("parentbased_always_off"),
        None,
        "parent AlwaysOffSampler",
        &[],
    );
    check(
        Some("traceidratio"),
        Some("0.25"),
        "TraceIdRatioBased{0.25}",
        &[],
    );
    check(Some("traceidratio"), None, "TraceIdRatioBased{1}", &[]);
    let ratio = "parent TraceIdRatioBased{0.01}";
    check(Some("parentbased_traceidratio"), Some(" 1e-2 "), ratio, &[]);
    check(
        Some("probability"),
        Some("0.01"),
        "ProbabilitySampler{0.01}",
        &[],
    );
    let probability = "parent ProbabilitySampler{0}";
    check(Some("parentbased_probability"), Some("0"), probability, &[]);
    let limited = "parent RateLimited{0.5/s,AlwaysOnSampler}";
    check(Some("parentbased_ratelimited"), Some("0.5"), limited, &[]);
    check(
        Some("ratelimited"),
        None,
        "RateLimited{100/s,AlwaysOnSampler}",
        &[],
    );
    check(
        Some("rules"),
        Some(
            "route:/health*=0; kind:Consumer & messaging.system:kafka = 5/s ; name:a=b*=1;*=0.05;",
        ),
        "Rules{http.route:/health*=ProbabilitySampler{0};\
         kind:consumer&messaging.system:kafka=RateLimited{5/s,AlwaysOnSampler};\
         name:a=b*=ProbabilitySampler{1};*=ProbabilitySampler{0.05}}",
        &[],
    );
}

#[test]
fn each_invalid_value_is_ignored_alone() {
    let default = "parent AlwaysOnSampler";
    let names = "always_on, always_off, traceidratio, probability, ratelimited or rules, \
                 alone or after parentbased_";
    for name in [
        "jaeger_remote",
        "parentbased_",
        "parentbased_parentbased_always_on",
        "off",
    ] {
        let ignored = format!("OTEL_TRACES_SAMPLER={name:?} is ignored, expected {names}");
        check(Some(name), Some("0.1"), default, &[&ignored]);
    }
    let argument = |value: &str, expected: &str| {
        format!("OTEL_TRACES_SAMPLER_ARG={value:?} is ignored, expected {expected}")
    };
    check(
        None,
        Some("0.1"),
        default,
        &[&argument("0.1", "OTEL_TRACES_SAMPLER with it")],
    );
    let nothing = argument("0.1", "no argument for this sampler");
    check(
        Some("always_off"),
        Some("0.1"),
        "AlwaysOffSampler",
        &[&nothing],
    );
    for value in ["1.5", "-0", "NaN", "1%", "0,5"] {
        let ignored = [&*argument(value, "a number from 0 to 1")];
        let ignored = if value == "-0" {
            &ignored[..0]
        } else {
            &ignored
        };
        let ratio = if value == "-0" { "-0" } else { "1" };
        let expected = format!("TraceIdRatioBased{{{ratio}}}");
        check(Some("traceidratio"), Some(value), &expected, ignored);
    }
    let expected = "a number a second from 0.000001 to 1000000000";
    let limited = "RateLimited{100/s,AlwaysOnSampler}";
    check(
        Some("ratelimited"),
        Some("0"),
        limited,
        &[&argument("0", expected)],
    );
    let expected = "rules like route:/health*=0;kind:consumer=5/s;*=0.05";
    for value in [
        ";",
        "*",
        "*=2",
        "*=0/s",
        "x=1",
        ":x=1",
        "kind:waiter=1",
        "*=1;oops",
    ] {
        check(
            Some("rules"),
            Some(value),
            "AlwaysOnSampler",
            &[&argument(value, expected)],
        );
    }
}

proptest! {
    #[test]
    fn services_agree_whatever_their_shares(
        id in 1..u128::MAX,
        rv in prop::option::of(0..1_u64 << 56),
        shares in prop::array::uniform3(0.0001..=1.0_f64),
    ) {
        let state = rv.map_or_else(String::new, |rv| format!("ot=rv:{rv:014x}"));
        let mut state = TraceState::parse([state.as_str()]).unwrap();
        let randomness = Randomness::of(trace(id).trace_id(), &state);
        // Each service decides again, with the tracestate that the previous one propagated.
        let mut decisions = Vec::new();
        for share in shares {
            let service = Probability::new(share).unwrap();
            let span = SpanStart::new(trace(id).trace_id(), "span").with_trace_state(&state);
            let result = service.sample(&span);
            let after = result.trace_state.unwrap_or(state.clone());
            prop_assert_eq!(Randomness::of(span.trace_id, &after), randomness);
            let threshold = Threshold::in_trace_state(&after);
            let sampled = result.decision == Decision::RecordAndSample;
            prop_assert_eq!(threshold.is_some(), sampled);
            prop_assert!(threshold.is_none_or(|threshold| threshold.accepts(randomness)));
            decisions.push((Threshold::of(share).unwrap(), sampled));
            state = after;
        }
        // A service with a larger share also samples the traces of the services with smaller
        // shares.
        decisions.sort();
        prop_assert!(decisions.is_sorted_by_key(|(_, sampled)| !sampled));
    }

    #[test]
    fn a_threshold_is_read_as_it_is_written(number in 0..1_u64 << 56, zeros in 0..14_u32) {
        let digits = format!("{:014x}", number >> (4 * zeros) << (4 * zeros));
        let threshold = Threshold::parse(&digits).unwrap();
        prop_assert_eq!(Threshold::parse(&threshold.to_string()), Some(threshold));
        let written = threshold.to_string();
        prop_assert!(written == "0" || !written.ends_with('0'));
        prop_assert!(digits.starts_with(&written));
        let state = threshold.set_in(&TraceState::EMPTY);
        prop_assert_eq!(Threshold::in_trace_state(&state), Some(threshold));
        let again = Threshold::of(threshold.probability());
        prop_assert!(again.is_ok());
    }
}
