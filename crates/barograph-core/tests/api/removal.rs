//! Removal: series leave snapshots and limits, and come back at zero.

use std::time::Duration;

use barograph_core::clock::ManualClock;
use barograph_core::registry::Registry;
use barograph_model::snapshot::{Source, Value};

/// Start times in seconds, by the value of the label `k`.
fn starts(registry: &Registry) -> Vec<(String, u64)> {
    let mut all = Vec::new();
    for family in registry.collect() {
        family.read(0, &mut |point| {
            let label = point.labels.iter().next().map_or("", |(_, v)| v).to_owned();
            all.push((label, point.start_unix_nano.unwrap() / 1_000_000_000));
        });
    }
    all
}

fn registry(clock: &ManualClock) -> Registry {
    Registry::builder()
        .with_clock(clock.clone())
        .build()
        .unwrap()
}

#[test]
fn a_removed_series_comes_back_at_zero_with_a_new_start_time() {
    let clock = ManualClock::at(10_000_000_000);
    let registry = registry(&clock);
    let family = registry
        .counter("hits")
        .build_with_label_names(["k"])
        .unwrap();
    let handle = family.bind(&["a"]);
    handle.add(5);
    let labels = [("k", "a")];
    assert_eq!(starts(&registry), [("a".to_owned(), 10)]);

    clock.advance(Duration::from_secs(10));
    assert!(family.remove(&["a"]));
    assert!(!family.remove(&["a"]), "it is gone already");
    assert_eq!(registry.value("hits", &labels), None);
    assert_eq!(family.len(), 0);

    clock.advance(Duration::from_secs(10));
    assert_eq!(registry.value("hits", &labels), None);
    handle.add(2);
    assert_eq!(
        registry.value("hits", &labels),
        Some(2.0),
        "through an old handle too"
    );
    // It counts from when it was last seen unchanged.
    assert_eq!(starts(&registry), [("a".to_owned(), 30)]);
    assert_eq!(family.len(), 1);

    family.remove(&["a"]);
    family.with(&["a"]).inc();
    assert_eq!(
        registry.value("hits", &labels),
        Some(1.0),
        "and a second time"
    );
    assert_eq!(handle.get(), 1);
}

#[test]
fn histograms_gauges_and_float_counters_come_back_empty_too() {
    let registry = Registry::new();
    let histograms = registry
        .histogram("h")
        .build_with_label_names(["k"])
        .unwrap();
    let gauges = registry.gauge("g").build_with_label_names(["k"]).unwrap();
    let floats = registry
        .counter_f64("f")
        .build_with_label_names(["k"])
        .unwrap();
    let (histogram, gauge, float) = (
        histograms.bind(&["a"]),
        gauges.bind(&["a"]),
        floats.bind(&["a"]),
    );
    for value in [1.0, 2.0, 400.0] {
        histogram.observe(value);
        gauge.add(value);
        float.add(value);
    }
    histograms.remove(&["a"]);
    gauges.remove(&["a"]);
    floats.remove(&["a"]);
    assert!(registry.collect().iter().all(|family| {
        let mut shown = 0;
        family.read(0, &mut |_| shown += 1);
        shown == 0
    }));
    histogram.observe(8.0);
    gauge.add(8.0);
    float.add(8.0);
    let labels = [("k", "a")];
    assert_eq!(registry.value("h", &labels), Some(1.0));
    assert_eq!(registry.value("g", &labels), Some(8.0));
    assert_eq!(registry.value("f", &labels), Some(8.0));
    let mut sum = 0.0;
    registry.collect()[0].read(0, &mut |point| {
        if let Value::Histogram(histogram) = point.value {
            sum = histogram.sum;
        }
    });
    assert_eq!(sum, 8.0);
}

#[test]
fn series_that_nobody_holds_make_room_for_others() {
    let registry = Registry::builder().with_family_limit(4).build().unwrap();
    let counters = registry.counter("c").build_with_label_names(["k"]).unwrap();
    let histograms = registry
        .histogram("h")
        .build_with_label_names(["k"])
        .unwrap();
    // Far more label sets than four times the limit, one after the other.
    for round in 0..200 {
        let label = format!("a label of round {round}, too long for a line of a cache");
        // Each release may have to wait for the threads of other tests.
        let has_room = (0..100_000).any(|_| {
            std::thread::yield_now();
            registry.collect();
            counters.try_with(&[&label]).is_ok() && histograms.try_with(&[&label]).is_ok()
        });
        assert!(has_room, "{round}");
        for _ in 0..1500 {
            counters.with(&[&label]).inc();
        }
        histograms.with(&[&label]).observe(1.0);
        assert_eq!(
            registry.value("c", &[("k", &label)]),
            Some(1500.0),
            "{round}"
        );
        assert_eq!(registry.value("h", &[("k", &label)]), Some(1.0), "{round}");
        assert!(counters.remove(&[&label]) && histograms.remove(&[&label]));
    }
}

#[test]
fn what_is_held_is_not_given_to_others() {
    let registry = Registry::builder().with_family_limit(2).build().unwrap();
    let family = registry.counter("c").build_with_label_names(["k"]).unwrap();
    let mut handles = Vec::new();
    for i in 0..8 {
        let label = format!("held {i}");
        let handle = family.bind(&[&label]);
        handle.inc();
        family.remove(&[&label]);
        handles.push(handle);
        registry.collect();
    }
    // Four times the limit is held: there is no room, and that is reported.
    family.with(&["new"]).inc();
    assert_eq!(
        registry.value("c", &[("otel.metric.overflow", "true")]),
        Some(1.0)
    );
    assert_eq!(
        registry.stats().families[0].refused[0].0.as_str(),
        "awaiting_release"
    );
    drop(handles);
    // Released once each thread of the process was seen without a pin; other tests have threads too.
    let released = (0..100_000).any(|_| {
        registry.collect();
        family.try_with(&["new"]).is_ok()
    });
    assert!(released);
    family.with(&["new"]).inc();
    assert_eq!(registry.value("c", &[("k", "new")]), Some(1.0));
}

#[test]
fn a_reference_held_in_a_loop_holds_up_the_release_and_loses_nothing() {
    let registry = Registry::builder().with_family_limit(1).build().unwrap();
    let family = registry.counter("c").build_with_label_names(["k"]).unwrap();
    let held = family.with(&["a"]);
    held.inc();
    family.remove(&["a"]);
    for i in 0..8 {
        registry.collect();
        family.with(&[&format!("b{i}")]).inc();
        family.remove(&[&format!("b{i}")]);
    }
    held.inc();
    drop(held);
    assert_eq!(registry.value("c", &[("k", "a")]), Some(1.0));
}

#[test]
fn retain_goes_by_labels() {
    let registry = Registry::new();
    let family = registry.counter("c").build_with_label_names(["k"]).unwrap();
    for i in 0..100 {
        family.with(&[&i.to_string()]).inc();
    }
    family.retain(|labels| labels.iter().any(|(_, value)| value.ends_with('7')));
    assert_eq!(family.len(), 10);
    assert_eq!(registry.value("c", &[("k", "17")]), Some(1.0));
    assert_eq!(registry.value("c", &[("k", "18")]), None);
}

#[test]
fn a_rule_may_record_remove_and_collect() {
    let registry = Registry::new();
    let family = registry.counter("c").build_with_label_names(["k"]).unwrap();
    for label in ["a", "b", "c"] {
        family.with(&[label]).inc();
    }
    let mut asked = Vec::new();
    family.retain(|labels| {
        asked.extend(labels.iter().map(|(_, value)| value.to_owned()));
        family.with(&["new"]).inc();
        family.remove(&["c"]);
        registry.collect();
        false
    });
    assert_eq!(asked, ["a", "b", "c"]);
    assert_eq!(starts(&registry).len(), 1);
    assert_eq!(registry.value("c", &[("k", "new")]), Some(3.0));
    assert_eq!(family.len(), 1);
}

#[test]
fn a_series_that_comes_back_while_another_is_made_is_counted() {
    let has_room = (0..100_000).any(|_| {
        let registry = Registry::builder().with_family_limit(2).build().unwrap();
        let family = registry.counter("c").build_with_label_names(["k"]).unwrap();
        let mut handles = Vec::new();
        for i in 0..8 {
            let label = i.to_string();
            handles.push(family.bind(&[&label]));
            family.remove(&[&label]);
        }
        handles.truncate(1);
        handles[0].inc();
        // Makes room by a release, and finds the series that was recorded into.
        let has_room = family.try_with(&["new"]).is_ok();
        assert_eq!(family.len(), 1 + usize::from(has_room));
        // The threads of other tests may delay the release.
        has_room
    });
    assert!(has_room);
}

#[test]
fn idle_series_leave_and_busy_ones_stay() {
    let clock = ManualClock::at(0);
    let registry = registry(&clock);
    let family = registry
        .counter("c")
        .with_idle_time_to_live(Duration::from_secs(60))
        .build_with_label_names(["k"])
        .unwrap();
    for step in 0..10 {
        family.with(&["busy"]).inc();
        if step == 0 {
            family.with(&["idle"]).inc();
        }
        registry.collect();
        clock.advance(Duration::from_secs(20));
    }
    assert_eq!(registry.value("c", &[("k", "busy")]), Some(10.0));
    assert_eq!(registry.value("c", &[("k", "idle")]), None);
    family.with(&["idle"]).add(3);
    assert_eq!(registry.value("c", &[("k", "idle")]), Some(3.0));
}
