//! Registration: an equal one returns the same family, any other is an error with the source location.

use barograph_core::registry::Registry;
use barograph_model::bounds::Bounds;
use barograph_model::snapshot::Source;

#[track_caller]
fn check<T>(result: Result<T, impl std::error::Error>, expected: &str) {
    let message = match result {
        Ok(_) => panic!("expected an error"),
        Err(error) => error.to_string(),
    };
    assert!(message.contains(expected), "{message}");
}

#[test]
fn the_same_family_is_found_again() {
    let registry = Registry::new();
    let first = registry
        .counter("orders")
        .with_unit("{order}")
        .build()
        .unwrap();
    let second = registry.counter("orders").build().unwrap();
    first.inc();
    second.inc();
    assert_eq!(first.get(), 2);
    assert_eq!(registry.collect().len(), 1);
}

#[test]
fn anything_else_is_refused_and_names_both_places() {
    let registry = Registry::new();
    let _first = registry
        .histogram("x")
        .with_unit("s")
        .build_with_label_names(["k"])
        .unwrap();
    check(
        registry.counter("x").build(),
        "already registered with another type, histogram and not counter",
    );
    let error = registry.counter("x").build().err().unwrap().to_string();
    assert_eq!(error.matches("registration.rs:").count(), 2, "{error}");
    check(
        registry
            .histogram("x")
            .with_unit("By")
            .build_with_label_names(["k"]),
        r#"another unit, "s" and not "By""#,
    );
    check(
        registry.histogram("x").build_with_label_names(["j"]),
        r#"other labels, ["k"] and not ["j"]"#,
    );
    check(
        registry.histogram("x").build_with_any_labels(),
        "other labels",
    );
    check(
        registry
            .histogram("x")
            .with_bounds(Bounds::sizes())
            .build_with_label_names(["k"]),
        "other bucket bounds",
    );
    check(
        registry.observable_gauge("x").observe(|_| ()),
        "observed and not recorded",
    );
    check(registry.info("x").build(), "observed and not recorded");
    let _counter = registry.counter("n").build().unwrap();
    check(registry.counter_f64("n").build(), "another type of number");
    assert_eq!(registry.stats().conflicts, 9);
    assert_eq!(registry.collect().len(), 2);
}

#[test]
fn what_no_reader_could_show_is_refused() {
    let registry = Registry::builder()
        .with_constant_label("region", "eu")
        .with_forbidden_labels(&["user_id"])
        .build()
        .unwrap();
    check(registry.counter("").build(), r#"invalid name """#);
    check(
        registry.counter("a\nb").build(),
        "expected no control character",
    );
    check(
        registry.counter("a").build_with_label_names([""]),
        r#"invalid label """#,
    );
    check(
        registry.counter("a").build_with_label_names(["le"]),
        "reserved",
    );
    check(
        registry.counter("a").build_with_label_names(["k", "k"]),
        r#"label "k" is given twice"#,
    );
    check(
        registry.counter("a").build_with_label_names(["region"]),
        r#"label "region" is given twice"#,
    );
    check(
        registry.counter("a").build_with_label_names(["user_id"]),
        "is forbidden in this registry",
    );
    check(
        Registry::builder().with_constant_label("le", "1").build(),
        "reserved",
    );
}

#[test]
fn bounds_follow_the_unit() {
    let registry = Registry::new();
    let bounds =
        |builder: barograph_core::registry::MetricBuilder<'_, barograph_core::Histogram>| {
            let _histogram = builder.build().unwrap();
            let families = registry.collect();
            families[families.len() - 1]
                .descriptor()
                .bounds
                .clone()
                .unwrap()
        };
    assert_eq!(
        bounds(registry.histogram("a").with_unit("s")),
        Bounds::http_seconds()
    );
    assert_eq!(
        bounds(registry.histogram("b_seconds")),
        Bounds::http_seconds()
    );
    assert_eq!(
        bounds(registry.histogram("c").with_unit("By")),
        Bounds::otel_default()
    );
    assert_eq!(
        bounds(registry.histogram("d").with_bounds(Bounds::sizes())),
        Bounds::sizes()
    );
}

#[test]
fn prefixes_and_constant_labels_are_on_every_family() {
    let registry = Registry::builder()
        .with_namespace("shop")
        .with_subsystem("http")
        .with_constant_label("region", "eu")
        .build()
        .unwrap();
    registry.counter("orders").build().unwrap().inc();
    let descriptor = registry.collect()[0].descriptor();
    assert_eq!(&*descriptor.name, "shop_http_orders");
    assert_eq!(
        *descriptor.constant_labels,
        [("region".into(), "eu".into())]
    );
    assert_eq!(registry.value("shop_http_orders", &[]), Some(1.0));
}

#[test]
fn a_callback_that_panics_harms_no_other() {
    let registry = Registry::new();
    registry
        .observable_gauge("bad")
        .observe(|_| panic!("as it happens"))
        .unwrap();
    registry
        .observable_counter("good")
        .observe(|observer| {
            observer.observe(1, &[("k", "a")]);
            observer.observe(2, &[("k", "b")]);
        })
        .unwrap();
    assert_eq!(registry.value("good", &[("k", "b")]), Some(2.0));
    assert_eq!(registry.stats().callback_panics, 1);
}

#[test]
fn what_a_counter_cannot_take_is_dropped_and_counted() {
    let registry = Registry::new();
    let counter = registry.counter_f64("c").build().unwrap();
    let histogram = registry.histogram("h").build().unwrap();
    for value in [1.5, -1.0, f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -0.0] {
        counter.add(value);
        histogram.observe(value);
    }
    assert_eq!(counter.get(), 1.5);
    assert_eq!(registry.value("h", &[]), Some(3.0));
    let rejected: Vec<_> = registry
        .stats()
        .families
        .iter()
        .map(|f| {
            f.rejected
                .iter()
                .map(|(r, n)| (r.as_str(), *n))
                .collect::<Vec<_>>()
        })
        .collect();
    assert_eq!(
        rejected,
        [
            vec![("negative", 1), ("not_finite", 3)],
            vec![("not_finite", 3)]
        ]
    );
}
