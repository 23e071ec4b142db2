//! Callbacks that do more than observe.

use std::sync::OnceLock;
use std::sync::mpsc::channel;
use std::time::Duration;

use barograph_core::registry::Registry;
use barograph_core::{Difference, RegisterError};
use barograph_model::snapshot::Source;

/// Fails instead of waiting forever.
fn in_time(test: impl FnOnce() + Send + 'static) {
    let (done, is_done) = channel();
    std::thread::spawn(move || {
        test();
        let _ = done.send(());
    });
    let result = is_done.recv_timeout(Duration::from_secs(120));
    result.expect("it panicked, or waits for itself");
}

/// Returns a static registry, which its own callbacks may hold: an owned one would hold itself, and
/// never be freed.
fn for_ever(registry: &'static OnceLock<Registry>) -> &'static Registry {
    registry.get_or_init(Registry::new)
}

#[test]
fn a_callback_may_collect_register_and_ask_for_statistics() {
    in_time(|| {
        static REGISTRY: OnceLock<Registry> = OnceLock::new();
        let registry = for_ever(&REGISTRY);
        let counter = registry.counter("c").build_with_label_names(["k"]).unwrap();
        registry
            .observable_gauge("g")
            .observe(move |observer| {
                counter.with(&["a"]).inc();
                counter.remove(&["b"]);
                let shown = registry.value("c", &[("k", "a")]).unwrap();
                assert_eq!(registry.value("g", &[]), None, "what runs has no value yet");
                assert!(!registry.stats().families.is_empty());
                registry.observable_gauge("g").observe(|_| ()).unwrap();
                registry.gauge("another").build().unwrap();
                observer.observe(shown, &[]);
            })
            .unwrap();
        for collection in 1..4 {
            assert_eq!(registry.value("g", &[]), Some(f64::from(collection)));
        }
        assert_eq!(registry.stats().callback_panics, 0);
    });
}

#[test]
fn a_callback_that_waits_for_a_thread_that_collects_ends() {
    in_time(|| {
        static REGISTRY: OnceLock<Registry> = OnceLock::new();
        let registry = for_ever(&REGISTRY);
        registry.counter("c").build().unwrap().inc();
        registry
            .observable_gauge("g")
            .observe(move |observer| {
                let other = std::thread::spawn(|| registry.value("c", &[]));
                assert_eq!(other.join().unwrap(), Some(1.0));
                observer.observe(7.0, &[]);
            })
            .unwrap();
        assert_eq!(registry.value("g", &[]), Some(7.0));
        let stats = registry.stats();
        assert_eq!((stats.callback_panics, stats.callback_timeouts), (0, 1));
    });
}

#[test]
fn two_callbacks_that_collect_do_not_wait_for_each_other_concurrently() {
    in_time(|| {
        static REGISTRY: OnceLock<Registry> = OnceLock::new();
        let registry = for_ever(&REGISTRY);
        for name in ["a", "b", "c"] {
            registry
                .observable_gauge(name)
                .observe(move |observer| {
                    std::thread::yield_now();
                    registry.stats();
                    observer.observe(registry.collect().len() as f64, &[]);
                })
                .unwrap();
        }
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..500 {
                        registry.collect();
                        registry.stats();
                    }
                });
            }
        });
        assert_eq!(registry.value("b", &[]), Some(3.0));
    });
}

#[test]
fn callbacks_of_one_name_observe_one_kind_of_number() {
    let registry = Registry::new();
    registry.observable_gauge("g").observe(|_| ()).unwrap();
    let error = registry.observable_gauge_i64("g").observe(|_| ());
    let Err(RegisterError::AlreadyRegistered { difference, .. }) = error else {
        panic!("{error:?}");
    };
    assert_eq!(difference, Difference::Number);
}
