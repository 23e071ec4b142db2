//! Reports for people, each made once.

use std::sync::{Mutex, Once, PoisonError};

use barograph_core::registry::Registry;
use barograph_core::report;
use barograph_core::{counter, gauge};
use barograph_model::bounds::Bounds;

static REPORTS: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// Collects all reports from now on. It may be called several times: when it returns, the reports kept
/// until then have arrived.
pub(crate) fn hear() {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        report::set_hook(|report| {
            let mut reports = REPORTS.lock().unwrap_or_else(PoisonError::into_inner);
            reports.push(report.message.clone());
        });
    });
}

/// Returns the reports about families whose names have this prefix. Other tests of the process report
/// as well.
fn reports_about(start: &str) -> Vec<String> {
    let mut reports = reports_with(&format!("\"{start}"));
    reports.retain(|report| report.starts_with('"'));
    reports
}

/// Returns the reports that contain this text.
pub(crate) fn reports_with(text: &str) -> Vec<String> {
    let reports = REPORTS.lock().unwrap_or_else(PoisonError::into_inner);
    let with = reports.iter().filter(|report| report.contains(text));
    with.cloned().collect()
}

#[test]
fn a_histogram_of_times_without_a_unit_is_reported_once() {
    hear();
    let registry = Registry::new();
    registry.describe("times.described.latency", "s", "");
    for _ in 0..3 {
        registry.histogram("times.of.duration").build().unwrap();
        registry.histogram("times_wait").build().unwrap();
        for (name, unit) in [("times.a.duration", "s"), ("times.b.duration", "ms")] {
            registry.histogram(name).with_unit(unit).build().unwrap();
        }
        registry
            .histogram("times.bound.duration")
            .with_bounds(Bounds::latency())
            .build()
            .unwrap();
        for name in ["times.size", "times.duration_seconds", "times.lifetime"] {
            registry.histogram(name).build().unwrap();
        }
        registry
            .histogram("times.described.latency")
            .build()
            .unwrap();
        registry.gauge("times.gauge.duration").build().unwrap();
    }
    let reports = reports_about("times");
    assert_eq!(reports.len(), 2, "{reports:?}");
    assert!(
        reports[0].starts_with("\"times.of.duration\" has no unit"),
        "{reports:?}"
    );
    assert!(reports[0].contains("reports.rs:"), "{reports:?}");
    assert!(reports[1].starts_with("\"times_wait\""), "{reports:?}");
}

#[test]
fn a_unit_that_comes_too_late_for_the_bounds_is_reported() {
    hear();
    let registry = Registry::new();
    registry.histogram("late.work").build().unwrap();
    for _ in 0..2 {
        registry.describe("late.work", "s", "");
    }
    let reports = reports_about("late");
    assert_eq!(reports.len(), 1, "{reports:?}");
    assert!(reports[0].contains("after its first use"), "{reports:?}");
}

#[test]
fn the_first_negative_observation_of_a_family_is_reported() {
    hear();
    let registry = Registry::new();
    let lags = registry
        .histogram("below.zero")
        .build_with_label_names(["k"])
        .unwrap();
    let intended = registry
        .histogram("below.intended")
        .with_bounds(Bounds::new([-1.0, 1.0]).unwrap());
    let intended = intended.build().unwrap();
    for _ in 0..2 {
        lags.with(&["a"]).observe(-0.5);
        lags.with(&["b"]).observe(-2.0);
        intended.observe(-2.0);
    }
    let reports = reports_about("below");
    assert_eq!(reports.len(), 1, "{reports:?}");
    assert!(
        reports[0].starts_with("\"below.zero\" observed -0.5"),
        "{reports:?}"
    );
}

#[test]
fn a_family_that_conflicts_with_another_one_reports_nothing_about_its_series() {
    hear();
    counter!("reports.conflict", a = "1").inc();
    for b in ["1", "2"] {
        counter!("reports.conflict", b = b).inc();
        gauge!("reports.conflict").set(1.0);
    }
    let reports = reports_about("reports.conflict");
    let about_series = reports.iter().filter(|report| report.contains("series"));
    assert_eq!(about_series.count(), 0, "{reports:?}");
}
