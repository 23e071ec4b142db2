//! Exemplars are taken automatically, from sampled traces only, one for each collection.
//!
//! The epochs in which a slot takes one exemplar are counted for the whole process, and each collection
//! begins one. A test of which measurement is kept therefore needs a process in which nothing else
//! collects: this one, whose tests run one after the other.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use barograph_core::current::{self, Current};
use barograph_core::exemplar::{Candidate, ExemplarFilter};
use barograph_core::registry::Registry;
use barograph_model::context::{TraceContext, TraceFlags};
use barograph_model::exemplar::Exemplar;
use barograph_model::snapshot::Source;

/// Lets one test at a time collect.
fn alone() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::new(());
    ONE.lock().unwrap_or_else(PoisonError::into_inner)
}

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
    let _alone = alone();
    let registry = Registry::new();
    let counter = registry.counter("c").build().unwrap();
    let histogram = registry.histogram("h").with_unit("s").build().unwrap();
    // Both when cold and when each thread has its own cell.
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
    let _alone = alone();
    let registry = Registry::new();
    let counter = registry.counter("c").build().unwrap();
    counter.inc();
    {
        let _guard = current::enter(trace(1, false));
        counter.inc();
    }
    {
        let _guard = current::enter(trace(2, true));
        // A spawned thread inherits nothing.
        std::thread::scope(|scope| {
            scope.spawn(|| counter.inc());
        });
    }
    assert_eq!(current::context(), None);
    assert_eq!(ids(&registry), []);
}

#[test]
fn filters_and_exemplars_by_hand() {
    let _alone = alone();
    let registry = Registry::new();
    let counter = registry.counter("c").build().unwrap();
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

/// A trace that agrees a limited number of times.
struct Agrees(AtomicU32);

impl Candidate for Agrees {
    fn choose(&self) -> bool {
        let one_less = |left: u32| left.checked_sub(1);
        let order = Ordering::Relaxed;
        self.0.fetch_update(order, order, one_less).is_ok()
    }
}

#[test]
fn a_trace_that_is_not_sampled_leaves_one_if_it_agrees() {
    let _alone = alone();
    let registry = Registry::new();
    let counter = registry.counter("c").build().unwrap();
    let histogram = registry.histogram("h").with_unit("s").build().unwrap();
    for cold in [true, false] {
        for _ in 0..if cold { 0 } else { 3000 } {
            counter.inc();
            histogram.observe(0.003);
        }
        assert_eq!(registry.collect().len(), 2);
        let trace_id = 1 + u128::from(cold);
        let agrees = Arc::new(Agrees(2.into()));
        let root = Current::from(trace(trace_id, false)).with_candidate(agrees.clone());
        {
            let _guard = current::enter(root.clone());
            counter.inc();
            counter.inc();
            // A child, on a thread that was given the context.
            let child = Current::capture().with_trace(trace(trace_id, false));
            std::thread::scope(|scope| {
                scope.spawn(|| {
                    let _guard = current::enter(child);
                    histogram.observe(0.003);
                    histogram.observe(3.0);
                });
            });
        }
        let (first, others) = (ids(&registry)[..2].to_vec(), ids(&registry)[2..].to_vec());
        assert_eq!(first, [trace_id; 2]);
        assert!(!others.contains(&trace_id), "the third was refused");
        // A refused exemplar leaves its place to others of this epoch, also on the same thread.
        let _guard = current::enter(root);
        histogram.observe(30.0);
        let _inner = current::enter(Current::capture().with_trace(trace(9, true)));
        histogram.observe(30.0);
        assert!(ids(&registry).contains(&9));
    }
}

#[test]
fn only_the_trace_of_a_candidate_asks_it() {
    let _alone = alone();
    let registry = Registry::new();
    let counter = registry.counter("c").build().unwrap();
    let agrees = Arc::new(Agrees(9.into()));
    let asked = || 9 - agrees.0.load(Ordering::Relaxed);
    let current = Current::from(trace(1, false)).with_candidate(agrees.clone());
    for (context, times) in [
        // First another trace begins; then a span of this one is sampled; then a span is not.
        (trace(2, false), 0),
        (trace(1, true), 0),
        (trace(1, false), 1),
    ] {
        registry.collect();
        let _guard = current::enter(current.clone().with_trace(context));
        counter.inc();
        assert_eq!(asked(), times, "{context:?}");
    }
    registry.collect();
    registry.set_exemplar_filter(ExemplarFilter::AlwaysOff);
    let _guard = current::enter(current);
    counter.inc();
    assert_eq!(asked(), 1);
    registry.collect();
    registry.set_exemplar_filter(ExemplarFilter::AlwaysOn);
    counter.inc();
    assert_eq!(asked(), 2, "it is exported where it can be");
}
