//! The reports at 80 % and 95 % of a limit: one line for each crossing.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use barograph_core::limits::Limits;
use barograph_core::registry::Registry;
use barograph_core::{Counter, Family};
use barograph_model::snapshot::Source;

use crate::reports::{hear, reports_with};

fn family(registry: &Registry, name: &str) -> Family<Counter, [&'static str; 1]> {
    let counter = registry.counter(name);
    counter.build_with_label_names(["k"]).unwrap()
}

/// Records into label sets until the family has this many series, and collects, twice.
fn fill(registry: &Registry, family: &Family<Counter, [&'static str; 1]>, series: usize) {
    for label in family.len()..series {
        family.with(&[&label.to_string()]).inc();
    }
    for _ in 0..2 {
        registry.collect();
    }
    // After the collection, which shows removed series that were recorded into.
    assert_eq!(family.len(), series);
}

/// Removes the series of these label sets.
fn remove(family: &Family<Counter, [&'static str; 1]>, labels: Range<usize>) {
    for label in labels {
        assert!(family.remove(&[&label.to_string()]));
    }
}

/// Returns the reports that a family is nearly full.
fn of_family(name: &str) -> Vec<String> {
    let mut reports = reports_with(&format!("family {name:?} has "));
    reports.retain(|report| report.starts_with("family"));
    reports
}

/// Returns the reports that a registry is nearly full, whose newest series is in this family.
fn of_registry(name: &str) -> Vec<String> {
    reports_with(&format!("the newest in family {name:?}"))
}

#[test]
fn a_family_is_reported_at_80_and_at_95_percent_of_its_limit() {
    hear();
    let registry = Registry::builder().with_family_limit(100).build().unwrap();
    let hits = family(&registry, "levels.hits");
    let counts = [
        (79, 0),
        (80, 1),
        (81, 1),
        (94, 1),
        (95, 2),
        (96, 2),
        (100, 2),
    ];
    for (series, reported) in counts {
        fill(&registry, &hits, series);
        assert_eq!(of_family("levels.hits").len(), reported, "{series}");
    }
    for more in 0..5 {
        hits.with(&[&format!("more {more}")]).inc();
    }
    let reports = of_family("levels.hits");
    assert_eq!(
        reports,
        [
            "family \"levels.hits\" has 80 series, 80 % of its limit of 100: past it new label sets go \
             to its overflow series; use labels with fewer values, remove series that have ended, or \
             raise the limit with `with_series_limit`",
            "family \"levels.hits\" has 95 series, 95 % of its limit of 100: past it new label sets go \
             to its overflow series; use labels with fewer values, remove series that have ended, or \
             raise the limit with `with_series_limit`",
        ]
    );
    let full = reports_with("\"levels.hits\": too many series");
    assert_eq!(
        full,
        [
            "\"levels.hits\": too many series in the family: 101, expected at most 100; measurements go \
             to the overflow series"
        ]
    );
}

#[test]
fn a_registry_is_reported_at_80_and_at_95_percent_of_its_limit() {
    hear();
    let limits = Limits::new().with_total_series(100);
    let registry = Registry::builder().with_limits(limits).build().unwrap();
    let (first, second) = (
        family(&registry, "levels.first"),
        family(&registry, "levels.second"),
    );
    fill(&registry, &first, 79);
    let reported = || of_registry("levels.second").len();
    for (series, expected) in [(0, 0), (1, 1), (2, 1), (15, 1), (16, 2), (17, 2), (21, 2)] {
        fill(&registry, &second, series);
        assert_eq!(reported(), expected, "79 and {series}");
    }
    assert_eq!(registry.stats().series, 100);
    first.with(&["another"]).inc();
    second.with(&["another"]).inc();
    let reports = of_registry("levels.second");
    assert!(
        reports[0].starts_with(
            "the registry has 80 series, 80 % of its limit of 100, the newest in family \
             \"levels.second\": past it new label sets go to the overflow series of their family"
        ),
        "{reports:?}"
    );
    assert!(reports[1].contains("has 95 series, 95 %"), "{reports:?}");
    assert!(of_registry("levels.first").is_empty());
    assert!(of_family("levels.first").is_empty(), "its limit is 2,000");
}

#[test]
fn a_level_is_reported_again_after_a_collection_saw_the_usage_10_points_lower() {
    hear();
    let registry = Registry::builder().with_family_limit(100).build().unwrap();
    let hits = family(&registry, "levels.again");
    fill(&registry, &hits, 96);
    let mut expected = 2;
    for (down, again) in [(71, 1), (69, 2), (86, 0), (84, 1), (0, 2)] {
        // Not yet collected: the usage may vary as fast as it wants.
        for _ in 0..3 {
            remove(&hits, down..96);
            for label in down..96 {
                hits.with(&[&label.to_string()]).inc();
            }
        }
        assert_eq!(of_family("levels.again").len(), expected, "{down}");
        remove(&hits, down..96);
        assert_eq!(hits.len(), down);
        registry.collect();
        fill(&registry, &hits, 96);
        expected += again;
        assert_eq!(of_family("levels.again").len(), expected, "{down}");
    }
}

#[test]
fn series_that_come_back_after_their_removal_cross_levels_too() {
    hear();
    let registry = Registry::builder().with_family_limit(100).build().unwrap();
    let hits = family(&registry, "levels.back");
    let handles: Vec<_> = (0..100)
        .map(|label| hits.bind(&[&label.to_string()]))
        .collect();
    assert_eq!(of_family("levels.back").len(), 2);
    hits.retain(|_| false);
    registry.collect();
    handles[..79].iter().for_each(Counter::inc);
    registry.collect();
    assert_eq!(of_family("levels.back").len(), 2);
    handles[79].inc();
    registry.collect();
    assert_eq!(of_family("levels.back").len(), 3);
    assert_eq!(registry.value("levels.back", &[("k", "79")]), Some(1.0));
}

#[test]
fn a_limit_that_is_lowered_reports_the_families_that_it_is_too_low_for() {
    hear();
    let registry = Registry::new();
    let (large, small) = (
        family(&registry, "levels.large"),
        family(&registry, "levels.small"),
    );
    fill(&registry, &large, 40);
    fill(&registry, &small, 3);
    registry.set_limits(Limits::new().with_family_series(50));
    registry.set_limits(Limits::new().with_family_series(50));
    assert_eq!(of_family("levels.large").len(), 1);
    registry.set_family_limit("levels.large", 41);
    registry.set_family_limit("levels.large", 39);
    let reports = of_family("levels.large");
    assert_eq!(reports.len(), 2, "{reports:?}");
    assert!(reports[1].contains("has 40 series, 97 % of its limit of 41"));
    assert!(of_family("levels.small").is_empty());
    // The series stay, and there are no new ones.
    large.with(&["0"]).inc();
    large.with(&["new"]).inc();
    assert_eq!(registry.value("levels.large", &[("k", "0")]), Some(2.0));
    assert_eq!(registry.value("levels.large", &[("k", "new")]), None);
    assert_eq!(large.len(), 40);
}

#[test]
fn a_family_without_labels_is_never_nearly_full() {
    hear();
    let registry = Registry::builder().with_family_limit(1).build().unwrap();
    registry.counter("levels.alone").build().unwrap().inc();
    let one = family(&registry, "levels.one");
    one.with(&["a"]).inc();
    for (name, labels) in [("levels.seen", &[][..]), ("levels.seen_one", &[("k", "a")])] {
        let gauge = registry.observable_gauge(name);
        let observe = gauge.observe(move |observer| observer.observe(1.0, labels));
        observe.unwrap();
    }
    registry.collect();
    for (name, expected) in [("alone", 0), ("one", 1), ("seen", 0), ("seen_one", 1)] {
        assert_eq!(
            of_family(&format!("levels.{name}")).len(),
            expected,
            "{name}"
        );
    }
    let families = registry.stats().families;
    let has_labels: Vec<_> = families.iter().map(|family| family.has_labels).collect();
    assert_eq!(has_labels, [false, true, false, true]);
}

#[test]
fn observed_label_sets_are_reported_at_80_and_at_95_percent() {
    hear();
    let registry = Registry::builder()
        .with_family_limit(100)
        .with_total_limit(1000)
        .build()
        .unwrap();
    let size = gauge_of_size(&registry, "levels.observed");
    let counts = [
        (79, 0),
        (80, 1),
        (81, 1),
        (94, 1),
        (95, 2),
        (96, 2),
        (200, 2),
    ];
    for (series, reported) in counts {
        size.store(series, Ordering::Relaxed);
        for _ in 0..2 {
            registry.collect();
        }
        assert_eq!(of_family("levels.observed").len(), reported, "{series}");
        let stats = registry.stats();
        assert_eq!(stats.families[0].series, series.min(100));
        assert_eq!(stats.series, series.min(100));
    }
    for (series, reported) in [(50, 2), (100, 3)] {
        size.store(series, Ordering::Relaxed);
        registry.collect();
        assert_eq!(of_family("levels.observed").len(), reported, "{series}");
    }
}

/// Registers an observable gauge with as many series as the number says.
pub(crate) fn gauge_of_size(registry: &Registry, name: &str) -> Arc<AtomicUsize> {
    let size = Arc::new(AtomicUsize::new(0));
    let observed = size.clone();
    registry
        .observable_gauge(name)
        .observe(move |observer| {
            for label in 0..observed.load(Ordering::Relaxed) {
                observer.observe(1.0, &[("k", &label.to_string())]);
            }
        })
        .unwrap();
    size
}
