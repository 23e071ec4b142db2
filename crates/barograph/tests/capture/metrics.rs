//! Metrics of macros, handles and operations.

use std::sync::LazyLock;

use barograph::testing::Capture;
use barograph::{
    Counter, LabelSet, LabelValue, Registry, assert_telemetry, counter, counter_f64, describe,
    gauge, gauge_i64, histogram, up_down_counter,
};

#[test]
fn every_macro_records_into_the_capture() {
    let record = |zone: &str| {
        describe!("m.duration", unit = "s", help = "Time.");
        counter!("m.counter", zone = "north", code = 7).inc();
        counter!("m.computed", zone = zone, code = 7).add(2);
        counter_f64!("m.float").add(0.1);
        up_down_counter!("m.updown").dec();
        gauge!("m.gauge", zone = zone).set(1.5);
        gauge_i64!("m.whole").set(4);
        histogram!("m.duration", "k.l" => 'x').observe(0.25);
    };
    let capture = Capture::new();
    capture.run(|| {
        record("south");
        record("south");
    });
    assert_telemetry!(
        capture,
        r#"
            counter m.computed{code="7", zone="south"} 4
            counter m.counter{code="7", zone="north"} 2
            histogram m.duration{k.l="x"} count=2 sum=0.5 unit=s
            counter m.float{} 0.2
            gauge m.gauge{zone="south"} 1.5
            up_down_counter m.updown{} -2
            gauge m.whole{} 4
        "#
    );
    let north = [("zone", "north"), ("code", "7")];
    assert_eq!(Registry::global().value("m.counter", &north), None);
    record("south");
    assert_eq!(Registry::global().value("m.counter", &north), Some(1.0));
    assert_eq!(capture.value("m.counter", &north), Some(2.0));
}

fn visit() {
    counter!("m.visits").inc();
}

#[test]
fn a_callsite_that_is_bound_already_records_into_each_capture() {
    visit();
    let before = Registry::global().value("m.visits", &[]);
    let (first, second) = (Capture::new(), Capture::new());
    for _ in 0..3 {
        first.run(visit);
        second.run(visit);
        first.run(visit);
    }
    assert_telemetry!(first, "counter m.visits{} 6");
    assert_telemetry!(second, "counter m.visits{} 3");
    assert_eq!(Registry::global().value("m.visits", &[]), before);
}

#[derive(LabelValue)]
enum Kind {
    Web,
}

#[derive(LabelSet)]
struct Order<'a> {
    kind: Kind,
    region: &'a str,
}

#[test]
fn handles_of_the_current_registry_are_captured() {
    let capture = Capture::new();
    capture.run(|| {
        let orders = Registry::current().counter("m.orders");
        let orders = orders.build_with_labels::<Order<'_>>().unwrap();
        let region = String::from("eu");
        orders
            .with(&Order {
                kind: Kind::Web,
                region: &region,
            })
            .add(2);
    });
    // Without the scope: the registry itself is passed on.
    capture.registry().gauge("m.open").build().unwrap().inc();
    assert_telemetry!(
        capture,
        r#"
            gauge m.open{} 1
            counter m.orders{kind="web", region="eu"} 2
        "#
    );
    assert!(std::ptr::eq(Registry::current(), Registry::global()));
}

#[test]
fn an_instrument_in_a_static_stays_in_its_registry() {
    static KEPT: LazyLock<Counter> = LazyLock::new(|| {
        let kept = Registry::global().counter("m.kept");
        kept.build().unwrap()
    });
    let capture = Capture::new();
    capture.run(|| KEPT.inc());
    assert_telemetry!(capture, "");
    assert_eq!(Registry::global().value("m.kept", &[]), Some(1.0));
}

#[test]
fn a_registry_with_prefixes_and_the_values_of_callbacks_are_captured() {
    let registry = Registry::builder().with_namespace("shop").build().unwrap();
    let capture = Capture::of(registry);
    capture.run(|| {
        counter!("m.prefixed").inc();
        let queue = Registry::current().observable_gauge_i64("m.queue");
        queue.observe(|observer| observer.observe(3, &[])).unwrap();
    });
    assert_telemetry!(
        capture,
        "
            counter shop_m.prefixed{} 1
            gauge shop_m.queue{} 3
        "
    );
}

#[test]
fn names_that_differ_by_kind_are_refused_in_one_capture_only() {
    let (first, second) = (Capture::new(), Capture::new());
    first.run(|| counter!("m.either").inc());
    second.run(|| gauge!("m.either").set(2.0));
    first.run(|| gauge!("m.either").set(2.0));
    assert_telemetry!(first, "counter m.either{} 1");
    assert_telemetry!(second, "gauge m.either{} 2");
    assert_eq!(first.registry().stats().conflicts, 1);
}
