//! Exemplars come by themselves, from sampled traces only, one for each collection.

use barograph_core::current;
use barograph_core::exemplar::ExemplarFilter;
use barograph_core::registry::Registry;
use barograph_model::context::{TraceContext, TraceFlags};
use barograph_model::exemplar::Exemplar;
use barograph_model::snapshot::Source;

fn trace(id: u128, sampled: bool) -> TraceContext {
    TraceContext::new(id, 7, TraceFlags::from_bits(u8::from(sampled))).unwrap()
}

fn exemplars(registry: &Registry) -> Vec<Exemplar> {
    let mut all = Vec::new();
    for family in registry.collect() {
        family.read(0, &mut |point| all.extend_from_slice(point.exemplars));
    }
    all
}

fn ids(registry: &Registry) -> Vec<u128> {
    let id = |e: Exemplar| e.context.map_or(0, |c| c.trace_id().get());
    exemplars(registry).into_iter().map(id).collect()
}

#[test]
fn a_sampled_trace_leaves_an_exemplar_on_counters_and_buckets() {
    let registry = Registry::new();
    let counter = registry.counter("c").register().unwrap();
    let histogram = registry.histogram("h").with_unit("s").register().unwrap();
    // Both when cold and when each thread has a cell of its own.
    for round in 1..=3u128 {
        for _ in 0..3000 {
            counter.inc();
            histogram.observe(0.003);
        }
        assert_eq!(ids(&registry).len(), if round == 1 { 0 } else { 3 });
        {
            let _guard = current::enter(trace(round, true));
            counter.add(2);
            histogram.observe(0.003);
            histogram.observe(3.0);
            // The gate is closed until the next collection.
            let _later = current::enter(trace(99, true));
            counter.inc();
            histogram.observe(0.003);
        }
        assert_eq!(ids(&registry), [round, round, round]);
    }
    let values: Vec<f64> = exemplars(&registry).iter().map(|e| e.value).collect();
    assert_eq!(values, [2.0, 0.003, 3.0]);
    assert_eq!(counter.get(), 9009);
}

#[test]
fn other_traces_leave_none() {
    let registry = Registry::new();
    let counter = registry.counter("c").register().unwrap();
    counter.inc();
    {
        let _guard = current::enter(trace(1, false));
        counter.inc();
    }
    {
        let _guard = current::enter(trace(2, true));
        // A thread that is spawned inherits nothing.
        std::thread::scope(|scope| {
            scope.spawn(|| counter.inc());
        });
    }
    assert_eq!(current::context(), None);
    assert_eq!(ids(&registry), []);
}

#[test]
fn filters_and_exemplars_by_hand() {
    let registry = Registry::new();
    let counter = registry.counter("c").register().unwrap();
    for _ in 0..3000 {
        counter.inc();
    }
    registry.set_exemplar_filter(ExemplarFilter::AlwaysOn);
    counter.inc();
    assert_eq!(ids(&registry), [0], "without a trace");
    registry.set_exemplar_filter(ExemplarFilter::AlwaysOff);
    {
        let _guard = current::enter(trace(5, true));
        counter.inc();
    }
    assert_eq!(ids(&registry), [0]);
    counter.add_with_exemplar(3, trace(8, false));
    assert_eq!(ids(&registry), [8]);
    registry.set_exemplar_filter(ExemplarFilter::TraceBased);
    {
        let _guard = current::enter(trace(9, true));
        counter.inc();
    }
    assert_eq!(ids(&registry), [9]);
    assert_eq!(counter.get(), 3006);
}
