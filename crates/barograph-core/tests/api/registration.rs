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
        .register()
        .unwrap();
    let second = registry.counter("orders").register().unwrap();
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
        .labels(["k"])
        .unwrap();
    check(
        registry.counter("x").register(),
        "already registered with another type, histogram and not counter",
    );
    let error = registry.counter("x").register().err().unwrap().to_string();
    assert_eq!(error.matches("registration.rs:").count(), 2, "{error}");
    check(
        registry.histogram("x").with_unit("By").labels(["k"]),
        r#"another unit, "s" and not "By""#,
    );
    check(
        registry.histogram("x").labels(["j"]),
        r#"other labels, ["k"] and not ["j"]"#,
    );
    check(registry.histogram("x").free_form(), "other labels");
    check(
        registry
            .histogram("x")
            .with_bounds(Bounds::sizes())
            .labels(["k"]),
        "other bucket bounds",
    );
    check(
        registry.observable_gauge("x").observe(|_| ()),
        "observed and not recorded",
    );
    check(registry.info("x").register(), "observed and not recorded");
    let _counter = registry.counter("n").register().unwrap();
    check(
        registry.counter_f64("n").register(),
        "another type of number",
    );
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
    check(registry.counter("").register(), r#"invalid name """#);
    check(
        registry.counter("a\nb").register(),
        "expected no control character",
    );
    check(registry.counter("a").labels([""]), r#"invalid label """#);
    check(registry.counter("a").labels(["le"]), "reserved");
    check(
        registry.counter("a").labels(["k", "k"]),
        r#"label "k" is given twice"#,
    );
    check(
        registry.counter("a").labels(["region"]),
        r#"label "region" is given twice"#,
    );
    check(
        registry.counter("a").labels(["user_id"]),
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
        |builder: barograph_core::registry::Builder<'_, barograph_core::histogram::Histogram>| {
            let _histogram = builder.register().unwrap();
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
    registry.counter("orders").register().unwrap().inc();
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
    let counter = registry.counter_f64("c").register().unwrap();
    let histogram = registry.histogram("h").register().unwrap();
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
