//! Cardinality: every measurement in exactly one series, whatever the limits.

use std::sync::atomic::Ordering;

use barograph_core::labels::{LabelSet, LabelValue};
use barograph_core::registry::Registry;
use barograph_core::stats::Refusal;
use barograph_model::snapshot::{Point, Source, Value};

use crate::levels::gauge_of_size;

const OVERFLOW: [(&str, &str); 1] = [("otel.metric.overflow", "true")];

#[test]
fn past_the_family_limit_there_is_one_overflow_series() {
    let registry = Registry::builder().with_family_limit(3).build().unwrap();
    let family = registry
        .counter("hits")
        .build_with_label_names(["user"])
        .unwrap();
    for user in 0..10 {
        family.with(&[&user.to_string()]).inc();
        family.with(&[&user.to_string()]).inc();
    }
    assert_eq!(family.len(), 3);
    assert_eq!(registry.value("hits", &[("user", "2")]), Some(2.0));
    assert_eq!(registry.value("hits", &[("user", "3")]), None);
    assert_eq!(registry.value("hits", &OVERFLOW), Some(14.0));
    let stats = registry.stats();
    assert_eq!(stats.families[0].refused, [(Refusal::FamilyFull, 14)]);
    let refused = family.try_with(&["x"]).map(|_| ()).unwrap_err();
    assert_eq!(
        refused.to_string(),
        r#""hits": too many series in the family: 4, expected at most 3"#
    );
}

#[test]
fn exactly_the_limit_needs_no_overflow_series() {
    let registry = Registry::builder()
        .with_series_limit("hits", 2)
        .build()
        .unwrap();
    let family = registry
        .counter("hits")
        .with_series_limit(50)
        .build_with_label_names(["k"])
        .unwrap();
    family.with(&["a"]).inc();
    family.with(&["b"]).inc();
    assert_eq!(registry.value("hits", &OVERFLOW), None);
    // A limit that the operator sets by name takes precedence over the code, also later.
    assert!(family.try_with(&["c"]).is_err());
    registry.set_family_limit("hits", 3);
    assert!(family.try_with(&["c"]).is_ok());
}

/// Shows each point of a snapshot.
fn each(registry: &Registry, mut show: impl FnMut(&Point<'_>)) {
    for family in registry.collect() {
        let mut from = Some(0);
        while let Some(next) = from {
            from = family.read(next, &mut show);
        }
    }
}

/// Returns the number of series in a snapshot, without the overflow series.
fn shown(registry: &Registry) -> usize {
    let mut shown = 0;
    each(registry, |point| shown += usize::from(!point.is_overflow));
    shown
}

#[test]
fn removed_series_that_are_recorded_into_do_not_pass_the_limit() {
    const LIMIT: usize = 50;
    let registry = Registry::builder()
        .with_family_limit(LIMIT)
        .build()
        .unwrap();
    let counters = registry
        .counter("hits")
        .build_with_label_names(["k"])
        .unwrap();
    let sums = registry
        .up_down_counter_f64("level")
        .build_with_label_names(["k"])
        .unwrap();
    let times = registry
        .histogram("time")
        .build_with_label_names(["k"])
        .unwrap();
    let gauges = registry
        .gauge("size")
        .build_with_label_names(["k"])
        .unwrap();
    let mut handles = Vec::new();
    for label in 0..4 * LIMIT {
        let label = label.to_string();
        let held = (
            counters.bind(&[&label]),
            sums.bind(&[&label]),
            times.bind(&[&label]),
            gauges.bind(&[&label]),
        );
        held.0.inc();
        handles.push(held);
        if handles.len() % LIMIT == 0 {
            assert_eq!(shown(&registry), 4 * LIMIT);
            counters.retain(|_| false);
            sums.retain(|_| false);
            times.retain(|_| false);
            gauges.retain(|_| false);
            assert_eq!(shown(&registry), 0);
        }
    }
    let rounds = 3;
    for _ in 0..rounds {
        for (counter, sum, time, gauge) in &handles {
            counter.add(2);
            sum.add(0.5);
            time.observe(3.0);
            gauge.set(7.0);
        }
        assert_eq!(shown(&registry), 4 * LIMIT);
    }
    // Those that came back first have room, and nothing of the others is lost.
    let overflowed = (3 * LIMIT * rounds) as f64;
    assert_eq!(registry.value("hits", &OVERFLOW), Some(2.0 * overflowed));
    assert_eq!(registry.value("level", &OVERFLOW), Some(0.5 * overflowed));
    assert_eq!(registry.value("size", &OVERFLOW), Some(7.0));
    each(&registry, |point| {
        if let (true, Value::Histogram(time)) = (point.is_overflow, &point.value) {
            assert_eq!(time.count() as f64, overflowed);
            assert_eq!(time.sum, 3.0 * overflowed);
        }
    });
    assert_eq!(registry.value("time", &OVERFLOW), Some(overflowed));
    assert_eq!(counters.len(), LIMIT);
    // With room again they count from zero.
    counters.retain(|_| false);
    let last = &handles[4 * LIMIT - 1].0;
    last.inc();
    let label = (4 * LIMIT - 1).to_string();
    assert_eq!(registry.value("hits", &[("k", &label)]), Some(1.0));
    assert_eq!(registry.value("hits", &OVERFLOW), Some(2.0 * overflowed));
}

#[test]
fn the_registry_has_a_limit_of_its_own() {
    let registry = Registry::builder().with_total_limit(3).build().unwrap();
    let first = registry
        .counter("first")
        .build_with_label_names(["k"])
        .unwrap();
    let second = registry
        .counter("second")
        .build_with_label_names(["k"])
        .unwrap();
    first.with(&["a"]).inc();
    first.with(&["b"]).inc();
    second.with(&["a"]).inc();
    second.with(&["b"]).inc();
    assert_eq!(registry.value("second", &OVERFLOW), Some(1.0));
    assert_eq!(
        registry.stats().families[1].refused,
        [(Refusal::RegistryFull, 1)]
    );
    // A removal makes room within the limit.
    assert!(first.remove(&["a"]));
    second.with(&["b"]).inc();
    assert_eq!(registry.value("second", &[("k", "b")]), Some(1.0));
}

#[test]
fn observed_series_share_the_limit_of_the_registry() {
    let registry = Registry::builder().with_total_limit(10).build().unwrap();
    let hits = registry
        .counter("hits")
        .build_with_label_names(["k"])
        .unwrap();
    let size = gauge_of_size(&registry, "observed");
    let observe = |series: usize| {
        size.store(series, Ordering::Relaxed);
        registry.collect();
        let stats = registry.stats();
        (stats.families[1].series, stats.series)
    };
    for k in 0..7 {
        hits.with(&[&k.to_string()]).inc();
    }
    assert_eq!(observe(5), (3, 10));
    // Those that are observed first have series, and the others add up.
    assert_eq!(registry.value("observed", &[("k", "2")]), Some(1.0));
    assert_eq!(registry.value("observed", &OVERFLOW), Some(2.0));
    let refused = &registry.stats().families[1].refused;
    assert_eq!(refused[0].0, Refusal::RegistryFull);
    // Their room is kept between two collections, and given back by one that observes fewer.
    hits.with(&["late"]).inc();
    assert_eq!(registry.value("hits", &OVERFLOW), Some(1.0));
    assert_eq!(observe(1), (1, 8));
    hits.with(&["late"]).inc();
    assert_eq!(registry.value("hits", &[("k", "late")]), Some(1.0));
    assert_eq!(observe(5), (2, 10));
    for k in 0..7 {
        assert!(hits.remove(&[&k.to_string()]));
    }
    assert_eq!(observe(5), (5, 6));
    assert_eq!(registry.value("observed", &OVERFLOW), None);
    assert_eq!(observe(0), (0, 1));
}

#[test]
fn values_and_labels_are_held_to_their_limits() {
    let registry = Registry::builder()
        .with_longest_value(4)
        .with_most_labels(2)
        .with_forbidden_labels(&["user_id"])
        .build()
        .unwrap();
    let family = registry
        .counter("hits")
        .build_with_label_names(["k"])
        .unwrap();
    family.with(&["12345"]).inc();
    assert_eq!(registry.value("hits", &OVERFLOW), Some(1.0));
    let free = registry.counter("free").build_with_any_labels().unwrap();
    let refusal = |labels: &[(&str, &str)]| {
        let error = free.try_with(labels).map(|_| ()).unwrap_err();
        (error.reason, error.to_string())
    };
    for (labels, reason, message) in [
        (
            &[("a", "1"), ("b", "2"), ("c", "3")][..],
            Refusal::TooManyLabels,
            r#""free": too many labels: 3, expected at most 2"#,
        ),
        (
            &[("user_id", "1")],
            Refusal::ForbiddenLabel,
            r#""free": forbidden label: "user_id", expected one with few values"#,
        ),
        (
            &[("le", "1")],
            Refusal::InvalidLabel,
            r#""free": invalid label: "le", expected a name that is not empty, not reserved and without control characters"#,
        ),
        (
            &[("a", "12345")],
            Refusal::ValueTooLong,
            r#""free": label value too long: "12345"... of 5 characters, expected at most 4"#,
        ),
    ] {
        assert_eq!(refusal(labels), (reason, message.to_owned()));
    }
    free.with(&[("le", "1")]).inc();
    assert_eq!(registry.value("free", &OVERFLOW), Some(1.0));
}

#[derive(LabelSet)]
struct Typed {
    code: u16,
}

#[derive(LabelValue)]
enum Kind {
    Web,
    App,
}

#[derive(LabelSet)]
struct Dense {
    kind: Kind,
}

/// An index of a family does not know the series that were made through another one.
#[test]
fn a_series_of_a_full_family_is_found_through_every_index() {
    for total in [false, true] {
        let builder = match total {
            true => Registry::builder().with_total_limit(4),
            false => Registry::builder().with_family_limit(2),
        };
        let registry = builder.build().unwrap();
        let typed = |registry: &Registry| {
            let codes = registry.counter("codes");
            codes.build_with_labels::<Typed>().unwrap()
        };
        let dense = |registry: &Registry| {
            let kinds = registry.counter("kinds");
            kinds.build_with_labels::<Dense>().unwrap()
        };
        for code in [200, 404] {
            typed(&registry).with(&Typed { code }).inc();
        }
        for kind in [Kind::Web, Kind::App] {
            dense(&registry).with(&Dense { kind }).inc();
        }
        for _ in 0..3 {
            typed(&registry).with(&Typed { code: 404 }).inc();
            dense(&registry).with(&Dense { kind: Kind::App }).inc();
        }
        typed(&registry).with(&Typed { code: 500 }).inc();
        assert_eq!(registry.value("codes", &[("code", "404")]), Some(4.0));
        assert_eq!(registry.value("kinds", &[("kind", "app")]), Some(4.0));
        assert_eq!(registry.value("codes", &OVERFLOW), Some(1.0));
        let reason = match total {
            true => Refusal::RegistryFull,
            false => Refusal::FamilyFull,
        };
        let refused: Vec<_> = registry
            .stats()
            .families
            .into_iter()
            .map(|f| f.refused)
            .collect();
        assert_eq!(refused, [vec![(reason, 1)], vec![]]);
    }
}
