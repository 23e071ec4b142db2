//! Histograms that observe negative values.

use std::sync::atomic::{AtomicBool, Ordering};

use barograph_core::registry::Registry;
use barograph_model::snapshot::{Source as _, Value};

/// Returns the sum of the only series of the first family: all of it, and the part that may be shown as
/// a counter.
fn sums(registry: &Registry) -> (f64, Option<f64>) {
    let mut sums = None;
    registry.collect()[0].read(0, &mut |point| {
        if let Value::Histogram(histogram) = point.value {
            sums = Some((histogram.sum, histogram.growing_sum()));
        }
    });
    sums.unwrap()
}

#[test]
fn a_negative_observation_ends_the_growing_sum_for_good() {
    let registry = Registry::new();
    let histogram = registry.histogram("lag").build().unwrap();
    for value in [0.0, -0.0, 20.0, f64::NAN, f64::NEG_INFINITY] {
        histogram.observe(value);
    }
    assert_eq!(sums(&registry), (20.0, Some(20.0)), "nothing was negative");
    for (value, sum) in [(-1.0, 19.0), (-30.0, -11.0), (31.0, 20.0)] {
        histogram.observe(value);
        assert_eq!(sums(&registry), (sum, None));
    }
    assert_eq!(registry.value("lag", &[]), Some(6.0), "all are counted");
}

#[test]
fn what_threads_observed_that_are_gone_stays_known() {
    let registry = Registry::new();
    let histogram = registry.histogram("lag").build().unwrap();
    // Enough of them for the threads' own rows.
    for _ in 0..2000 {
        histogram.observe(1.0);
    }
    std::thread::scope(|scope| {
        scope.spawn(|| (0..2000).for_each(|_| histogram.observe(1.0)));
        scope.spawn(|| histogram.observe(-f64::MIN_POSITIVE));
    });
    for _ in 0..3 {
        std::thread::scope(|scope| {
            scope.spawn(|| histogram.observe(1.0));
        });
        assert_eq!(sums(&registry).1, None);
    }
}

#[test]
fn a_series_that_comes_back_knows_it_and_one_made_anew_does_not() {
    let registry = Registry::new();
    let histograms = registry
        .histogram("lag")
        .build_with_label_names(["k"])
        .unwrap();
    let held = histograms.bind(&["a"]);
    held.observe(-1.0);
    assert!(histograms.remove(&["a"]));
    held.observe(5.0);
    assert_eq!(sums(&registry), (5.0, None));
    drop(held);
    assert!(histograms.remove(&["a"]));
    // It is released once all threads, also those of other tests, were seen without a pin.
    let is_anew = (0..100_000).any(|_| {
        registry.collect();
        histograms.with(&["a"]).observe(5.0);
        let is_anew = sums(&registry) == (5.0, Some(5.0));
        histograms.remove(&["a"]);
        is_anew
    });
    assert!(is_anew);
}

#[test]
fn no_reader_sees_a_sum_that_has_fallen_concurrently() {
    for _ in 0..20 {
        let registry = Registry::new();
        let histogram = registry.histogram("lag").build().unwrap();
        let is_over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            for thread in 0..3 {
                let histogram = &histogram;
                scope.spawn(move || {
                    for n in 0..2000 {
                        histogram.observe(if n == 1000 + thread { -1e6 } else { 1.0 });
                    }
                });
            }
            scope.spawn(|| {
                let mut last = 0.0;
                while !is_over.load(Ordering::Relaxed) {
                    let (all, shown) = sums(&registry);
                    assert!(all >= 0.0 || shown.is_none(), "{all}");
                    if let Some(sum) = shown {
                        assert!(sum >= last, "{sum} after {last}");
                        last = sum;
                    }
                    if registry.value("lag", &[]) == Some(6000.0) {
                        is_over.store(true, Ordering::Relaxed);
                    }
                }
            });
        });
        assert_eq!(sums(&registry), (6000.0 - 3.0 - 3e6, None));
    }
}
