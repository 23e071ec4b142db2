//! What samplers decide, case by case and in the long run.

use barograph_model::context::{TraceContext, TraceFlags, TraceState};

use super::*;

pub(super) fn trace(id: u128) -> TraceContext {
    TraceContext::new(id, 1, TraceFlags::RANDOM).expect("not zero")
}

fn is_sampled(sampler: &dyn Sampler, span: &SpanStart<'_>) -> bool {
    sampler.sample(span).decision == Decision::RecordAndSample
}

/// Numbers that look random, the same in each run.
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
            // Five standard deviations; the numbers are the same in each run.
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
    // Each branch answers with an attribute of its own.
    #[derive(Debug)]
    struct Says(&'static str);
    impl Sampler for Says {
        fn sample(&self, _: &SpanStart<'_>) -> Verdict {
            let attributes = vec![barograph_model::value::Attribute::new("branch", self.0)];
            Verdict {
                attributes,
                ..Verdict::new(Decision::RecordOnly)
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
            Verdict::new(by_default)
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
fn a_threshold_goes_on_as_long_as_it_is_true() {
    let follow = ParentBased::new(AlwaysOff);
    let accepted = trace(0xc0_0000_0000_0000);
    let rejected = trace(0xbf_ffff_ffff_ffff);
    let sampled = TraceFlags::SAMPLED;
    for (parent, before, after) in [
        (accepted.with_flags(sampled), "ot=th:c", None),
        (accepted.with_flags(sampled), "ot=th:c,a=1", None),
        // The parent was sampled for another reason.
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
        // What is not sampled has no probability to tell.
        (accepted, "ot=th:c", Some("")),
        (accepted, "a=1", None),
    ] {
        for parent in [parent, parent.as_remote()] {
            let state = TraceState::parse([before]).unwrap();
            let span = SpanStart::new(parent.trace_id(), "span");
            let verdict = follow.sample(&span.with_parent(parent).with_trace_state(&state));
            let told = verdict.trace_state.as_ref().map(TraceState::as_str);
            assert_eq!(told, after, "{parent:?} {before}");
        }
    }
}

#[test]
fn flags_tell_what_was_decided() {
    let verdict = Verdict::new(Decision::RecordAndSample);
    assert_eq!(verdict.flags(None, TraceFlags::RANDOM).bits(), 3);
    assert_eq!(verdict.flags(None, TraceFlags::default()).bits(), 1);
    let parent = trace(1).with_flags(TraceFlags::SAMPLED);
    assert_eq!(verdict.flags(Some(parent), TraceFlags::RANDOM).bits(), 1);
    for decision in [Decision::Drop, Decision::RecordOnly] {
        let verdict = Verdict::from(decision);
        assert_eq!(verdict.flags(Some(parent), TraceFlags::RANDOM).bits(), 0);
        assert_eq!(verdict.flags(None, TraceFlags::RANDOM).bits(), 2);
    }
}

#[test]
fn who_records_everything_exports_no_more() {
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
