//! Recording into an existing series allocates nothing, wherever its cells are.

use barograph_core::registry::Registry;
use barograph_core::{counter, current};
use barograph_model::context::TraceContext;

fn allocations(f: impl FnOnce()) -> u64 {
    allocation_counter::measure(f).count_total
}

#[test]
fn recording_allocates_nothing() {
    // The check sees an allocation.
    assert_eq!(allocations(|| drop(Box::new(1))), 1);

    let registry = Registry::new();
    let counter = registry.counter("c").build().unwrap();
    let float = registry.counter_f64("f").build().unwrap();
    let gauge = registry.gauge("g").build().unwrap();
    let histogram = registry.histogram("h").with_unit("s").build().unwrap();
    let family = registry
        .counter("l")
        .build_with_label_names(["method", "route"])
        .unwrap();
    let header = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let trace = TraceContext::parse_traceparent(header).unwrap();
    let route = String::from("/orders/{id}");
    let record = || {
        counter.inc();
        float.add(0.5);
        gauge.add(1.0);
        histogram.observe(0.2);
        family.with(&["GET", &route]).inc();
        counter!("allocations.constant", k = "v").inc();
        counter!("allocations.looked_up", k = route, code = 200).inc();
        float.add(-1.0);
    };
    // The first recordings make series, exemplars and, once they are busy, cells.
    let warm_up = || {
        for _ in 0..20_000 {
            record();
        }
        let _guard = current::enter(trace);
        record();
    };
    warm_up();
    let again = allocations(|| {
        for _ in 0..5_000 {
            record();
        }
        for _ in 0..5_000 {
            let _guard = current::enter(trace);
            record();
        }
    });
    assert_eq!(again, 0);
}
