//! Lookups: every form of labels finds the same series, whatever the processor supports.

use barograph_core::labels::{LabelSet, LabelValue};
use barograph_core::registry::Registry;
use barograph_model::snapshot::Source as _;
use proptest::prelude::*;

#[derive(Clone, Copy, Debug, LabelValue)]
enum Kind {
    Web,
    App,
}

#[derive(LabelSet)]
struct Text<'a> {
    route: &'a str,
    kind: &'a str,
}

#[derive(LabelSet)]
struct Mixed<'a> {
    kind: Kind,
    route: &'a str,
}

#[test]
fn one_family_is_reached_by_structs_arrays_and_enums_alike() {
    let registry = Registry::new();
    let text = registry
        .counter("hits")
        .build_with_labels::<Text<'_>>()
        .unwrap();
    let mixed = registry
        .counter("hits")
        .build_with_labels::<Mixed<'_>>()
        .unwrap();
    let sorted = registry
        .counter("hits")
        .build_with_label_names(["kind", "route"])
        .unwrap();
    let turned = registry
        .counter("hits")
        .build_with_label_names(["route", "kind"])
        .unwrap();
    for _ in 0..2 {
        text.with(&Text {
            route: "/a",
            kind: "web",
        })
        .inc();
        mixed
            .with(&Mixed {
                kind: Kind::Web,
                route: "/a",
            })
            .inc();
        sorted.with(&["web", "/a"]).inc();
        turned.with(&["/a", "web"]).inc();
    }
    mixed
        .with(&Mixed {
            kind: Kind::App,
            route: "/a",
        })
        .inc();
    let value = |kind| registry.value("hits", &[("kind", kind), ("route", "/a")]);
    assert_eq!((value("web"), value("app")), (Some(8.0), Some(1.0)));
    assert_eq!(mixed.len(), 2);
}

#[derive(LabelSet)]
struct Dense {
    kind: Kind,
    cached: bool,
}

#[test]
fn enums_alone_are_an_index() {
    let registry = Registry::new();
    let family = registry
        .counter("hits")
        .build_with_labels::<Dense>()
        .unwrap();
    for (kind, cached, n) in [
        (Kind::Web, false, 1),
        (Kind::Web, true, 2),
        (Kind::App, false, 3),
        (Kind::App, true, 4),
    ] {
        family.with(&Dense { kind, cached }).add(n);
        family.with(&Dense { kind, cached }).add(n);
    }
    for (kind, cached, n) in [
        ("web", "false", 2.0),
        ("web", "true", 4.0),
        ("app", "false", 6.0),
        ("app", "true", 8.0),
    ] {
        let labels = [("kind", kind), ("cached", cached)];
        assert_eq!(registry.value("hits", &labels), Some(n));
    }
}

#[derive(LabelSet)]
struct Numbers<'a> {
    code: u16,
    delta: i64,
    route: &'a str,
    zone: String,
}

#[test]
fn numbers_are_told_apart_and_written_as_text() {
    let registry = Registry::new();
    let family = registry
        .counter("hits")
        .build_with_labels::<Numbers<'_>>()
        .unwrap();
    for code in 0..300 {
        for delta in [-1, 0, i64::MIN] {
            let labels = Numbers {
                code,
                delta,
                route: "/r",
                zone: "z".into(),
            };
            family.with(&labels).inc();
            family.with(&labels).inc();
        }
    }
    let labels = [
        ("code", "7"),
        ("delta", "-1"),
        ("route", "/r"),
        ("zone", "z"),
    ];
    assert_eq!(registry.value("hits", &labels), Some(2.0));
    assert_eq!(family.len(), 900);
}

#[test]
fn free_labels_are_a_set() {
    let registry = Registry::new();
    let family = registry.counter("hits").build_with_any_labels().unwrap();
    family.with(&[("a", "1"), ("b", "2")]).inc();
    family.with(&[("b", "2"), ("a", "1")]).inc();
    // If a name occurs twice, the last value counts.
    family.with(&[("b", "0"), ("b", "2"), ("a", "1")]).inc();
    family.with(&[("a", "1")]).inc();
    family.with(&[]).inc();
    assert_eq!(registry.value("hits", &[("a", "1"), ("b", "2")]), Some(3.0));
    assert_eq!(registry.value("hits", &[("a", "1")]), Some(1.0));
    assert_eq!(registry.value("hits", &[]), Some(1.0));
}

#[test]
fn bound_handles_and_their_clones_share_a_series() {
    let registry = Registry::new();
    let family = registry
        .counter("hits")
        .build_with_label_names(["k"])
        .unwrap();
    let bound = family.bind(&["v"]);
    let clone = bound.clone();
    drop(family);
    bound.inc();
    clone.inc();
    assert_eq!(bound.get(), 2);
    // Handles continue to work after their registry.
    drop(registry);
    clone.inc();
    assert_eq!(bound.get(), 3);
}

proptest! {
    /// Text of any length and content, with wide loads and without.
    #[test]
    fn any_text_finds_its_own_series(
        sets in prop::collection::vec([".{0,40}", "[ab]{0,3}", "(x|y{16}|z{31}|w{32}|v{33}|u{70}){0,2}"], 1..60)
    ) {
        for builder in [Registry::builder(), Registry::builder().with_portable_lookup()] {
            let registry = builder.build().unwrap();
            let family = registry.counter("hits").build_with_label_names(["a", "b", "c"]).unwrap();
            let mut model = std::collections::BTreeMap::new();
            for _ in 0..2 {
                for [a, b, c] in &sets {
                    family.with(&[a, b, c]).inc();
                    *model.entry([a, b, c]).or_insert(0.0) += 1.0;
                }
            }
            prop_assert_eq!(family.len(), model.len());
            for ([a, b, c], count) in model {
                let labels = [("a", &**a), ("b", &**b), ("c", &**c)];
                prop_assert_eq!(registry.value("hits", &labels), Some(count));
            }
        }
    }

    #[test]
    fn five_labels_are_five_labels(sets in prop::collection::vec(["[ab]{0,2}", "[ab]{0,2}", "a?", "b?", "[ab]{0,9}"], 1..60)) {
        let registry = Registry::new();
        let family = registry.counter("hits").build_with_label_names(["a", "b", "c", "d", "e"]).unwrap();
        let mut model = std::collections::BTreeSet::new();
        for [a, b, c, d, e] in &sets {
            family.with(&[a, b, c, d, e]).inc();
            model.insert([a, b, c, d, e]);
        }
        prop_assert_eq!(family.len(), model.len());
    }
}

/// Encoders resolve the names of a family once if they recognize them by their address.
#[test]
fn the_points_of_a_family_have_the_names_of_its_descriptor() {
    let registry = Registry::new();
    let family = registry.counter("hits").build_with_label_names(["kind"]);
    family.unwrap().with(&["web"]).inc();
    let mut points = 0;
    for view in registry.collect() {
        let descriptor = view.descriptor();
        view.read(0, &mut |point| {
            points += 1;
            let names = point.labels.names().unwrap();
            assert!(std::ptr::eq(names, &*descriptor.label_names));
        });
    }
    assert_eq!(points, 1);
}

#[test]
fn an_instrument_is_shown_as_its_series() {
    let registry = Registry::new();
    let family = registry.counter("hits").build_with_label_names(["kind"]);
    let family = family.unwrap();
    assert_eq!(
        format!("{:?}", family.bind(&["a\"b"])),
        r#"Counter(hits{kind="a\"b"})"#
    );
    let depth = registry.gauge("depth").build().unwrap();
    assert_eq!(format!("{depth:?}"), "Gauge(depth)");
    assert!(format!("{family:?}").contains("name: \"hits\""));
}
