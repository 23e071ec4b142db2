//! Macros: the global registry, conflicts, descriptions.

use barograph_core::registry::Registry;
use barograph_core::{
    counter, counter_f64, describe, gauge, gauge_i64, histogram, up_down_counter,
};
use barograph_model::snapshot::Source;

#[test]
fn every_macro_records_in_the_global_registry() {
    let zone = String::from("north");
    for _ in 0..2 {
        counter!("sites.counter", zone = &zone, code = 7).inc();
        counter_f64!("sites.float", zone = "north").add(0.5);
        up_down_counter!("sites.updown").dec();
        gauge!("sites.gauge", zone = zone).add(1.5);
        gauge_i64!("sites.whole").set(4);
        histogram!("sites.seconds", "k.l" => 'x').observe(0.3);
    }
    let value = |name, labels: &[(&str, &str)]| Registry::global().value(name, labels);
    assert_eq!(
        value("sites.counter", &[("zone", "north"), ("code", "7")]),
        Some(2.0)
    );
    assert_eq!(value("sites.float", &[("zone", "north")]), Some(1.0));
    assert_eq!(value("sites.updown", &[]), Some(-2.0));
    assert_eq!(value("sites.gauge", &[("zone", "north")]), Some(3.0));
    assert_eq!(value("sites.whole", &[]), Some(4.0));
    assert_eq!(value("sites.seconds", &[("k.l", "x")]), Some(2.0));
}

#[test]
fn a_site_in_conflict_records_nowhere_and_is_counted_once() {
    let before = Registry::global().stats().conflicts;
    counter!("sites.conflict", a = "1").inc();
    for _ in 0..3 {
        counter!("sites.conflict", b = "1").inc();
        let b = "2";
        gauge!("sites.conflict", b = b).set(1.0);
    }
    assert_eq!(Registry::global().stats().conflicts, before + 2);
    let value = Registry::global().value("sites.conflict", &[("a", "1")]);
    assert_eq!(value, Some(1.0));
}

#[test]
fn a_description_comes_before_or_after() {
    describe!("sites.before", unit = "s", help = "Told before.");
    histogram!("sites.before").observe(1.0);
    counter!("sites.after").inc();
    describe!("sites.after", unit = "{thing}", help = "Told after.");
    let families = Registry::global().collect();
    let find = |name: &str| {
        let found = families.iter().find(|f| *f.descriptor().name == *name);
        found.unwrap().descriptor()
    };
    let (before, after) = (find("sites.before"), find("sites.after"));
    assert_eq!((&*before.unit, &*before.help), ("s", "Told before."));
    let seconds = barograph_model::bounds::Bounds::http_seconds();
    assert_eq!(before.bounds, Some(seconds));
    assert_eq!((&*after.unit, &*after.help), ("{thing}", "Told after."));
}

#[test]
fn the_macros_accept_and_refuse_what_they_should() {
    let cases = trybuild::TestCases::new();
    cases.pass("tests/macros/pass/*.rs");
    cases.compile_fail("tests/macros/fail/*.rs");
}
