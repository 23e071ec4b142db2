//! Exact totals while threads and series come and go, and readers read.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use barograph_core::Counter;
use barograph_core::registry::Registry;
use barograph_model::snapshot::{Source, Value};

fn random(state: &mut u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state
}

/// Records once more after the other thread-locals of its thread were dropped.
struct Late(Counter<u64>);

impl Drop for Late {
    fn drop(&mut self) {
        self.0.inc();
    }
}

thread_local! {
    static LATE: std::cell::RefCell<Option<Late>> = const { std::cell::RefCell::new(None) };
}

#[test]
fn short_lived_threads_count_exactly_concurrently() {
    const COUNTERS: usize = 40;
    let registry = Registry::new();
    let family = registry.counter("c").build_with_label_names(["k"]).unwrap();
    let histogram = registry.histogram("h").with_unit("s").build().unwrap();
    let handles: Vec<_> = (0..COUNTERS)
        .map(|i| family.bind(&[&i.to_string()]))
        .collect();
    let truth: Arc<Vec<AtomicU64>> = Arc::new((0..COUNTERS).map(|_| AtomicU64::new(0)).collect());
    let observed = AtomicU64::new(0);
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut last = [0; COUNTERS];
            let mut reads = 0u64;
            while !done.load(Ordering::Relaxed) {
                for (last, handle) in last.iter_mut().zip(&handles) {
                    let now = handle.get();
                    assert!(now >= *last, "a counter went back from {last} to {now}");
                    *last = now;
                }
                for family in registry.collect() {
                    family.read(0, &mut |point| {
                        if let Value::Histogram(histogram) = point.value {
                            let sum = histogram.count() as f64 * 0.25;
                            assert!((histogram.sum - sum).abs() < 1e-6, "a torn histogram");
                        }
                    });
                }
                reads += 1;
            }
            reads
        });
        for round in 0..60u64 {
            std::thread::scope(|threads| {
                let spawn = |k: u64| {
                    let (handles, truth, family) = (&handles, truth.clone(), &family);
                    let (histogram, observed) = (&histogram, &observed);
                    threads.spawn(move || {
                        let mut state = round * 977 + k * 31 + 1;
                        if k.is_multiple_of(3) {
                            let i = random(&mut state) as usize % COUNTERS;
                            let late = Late(handles[i].clone());
                            LATE.with(|slot| *slot.borrow_mut() = Some(late));
                            truth[i].fetch_add(1, Ordering::Relaxed);
                        }
                        for _ in 0..3000 {
                            let i = random(&mut state) as usize % COUNTERS;
                            // A few are busy, and get their own cells.
                            let i = i * i / COUNTERS;
                            let n = 1 + (i as u64 & 1);
                            if n == 1 {
                                handles[i].add(n);
                            } else {
                                family.with(&[&i.to_string()]).add(n);
                            }
                            truth[i].fetch_add(n, Ordering::Relaxed);
                            histogram.observe(0.25);
                            observed.fetch_add(1, Ordering::Relaxed);
                        }
                    })
                };
                let spawned: Vec<_> = (0..8).map(spawn).collect();
                for thread in spawned {
                    // The end of the scope would wait for the closures of the threads, but not for the
                    // destructors of their thread-locals.
                    thread.join().unwrap();
                }
            });
        }
        done.store(true, Ordering::Relaxed);
        assert!(reader.join().unwrap() > 0);
    });
    for (i, (handle, truth)) in handles.iter().zip(&*truth).enumerate() {
        assert_eq!(handle.get(), truth.load(Ordering::Relaxed), "counter {i}");
    }
    let count = registry.value("h", &[]).unwrap();
    assert_eq!(count, observed.load(Ordering::Relaxed) as f64);
}

/// Several threads make, record into, remove and release series; the last value shown of each life, and
/// what came after it, add up to what was recorded.
#[test]
fn series_that_come_and_go_lose_nothing_concurrently() {
    const LABELS: u64 = 24;
    let registry = Registry::builder().with_family_limit(64).build().unwrap();
    let family = registry.counter("c").build_with_label_names(["k"]).unwrap();
    let recorded = AtomicU64::new(0);
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let remover = scope.spawn(|| {
            let mut state = 5;
            while !done.load(Ordering::Relaxed) {
                let label = (random(&mut state) % LABELS).to_string();
                family.remove(&[&label]);
                registry.collect();
            }
        });
        let recorders: Vec<_> = (1..=3u64)
            .map(|seed| {
                let (family, recorded) = (&family, &recorded);
                scope.spawn(move || {
                    let mut state = seed;
                    for _ in 0..60_000 {
                        let label = (random(&mut state) % LABELS).to_string();
                        family.with(&[&label]).inc();
                        recorded.fetch_add(1, Ordering::Relaxed);
                    }
                })
            })
            .collect();
        for recorder in recorders {
            recorder.join().unwrap();
        }
        done.store(true, Ordering::Relaxed);
        remover.join().unwrap();
    });
    // Nothing is left in the wrong series: remove all, record a known number, and read it back.
    for label in 0..LABELS {
        family.remove(&[&label.to_string()]);
    }
    for label in 0..LABELS {
        for _ in 0..=label {
            family.with(&[&label.to_string()]).inc();
        }
    }
    for label in 0..LABELS {
        let value = registry.value("c", &[("k", &label.to_string())]);
        assert_eq!(value, Some((label + 1) as f64), "label {label}");
    }
    assert_eq!(recorded.load(Ordering::Relaxed), 180_000);
    assert!(registry.stats().families[0].refused.is_empty());
}

#[test]
fn dropped_registries_give_their_cells_back() {
    let used = |registry: &Registry| registry.stats().thread_cell_bytes;
    let mut after_first = None;
    for round in 0..50 {
        let registry = Registry::new();
        let family = registry
            .histogram("h")
            .with_unit("s")
            .build_with_label_names(["k"])
            .unwrap();
        for k in 0..20 {
            for _ in 0..3000 {
                family.with(&[&k.to_string()]).observe(1.0);
            }
            assert_eq!(
                registry.value("h", &[("k", &k.to_string())]),
                Some(3000.0),
                "{round}"
            );
        }
        let now = used(&registry);
        // Other tests of this process take some too, but not fifty times as much.
        let first = *after_first.get_or_insert(now);
        assert!(now < first + (2 << 20), "{first} became {now}");
    }
}
