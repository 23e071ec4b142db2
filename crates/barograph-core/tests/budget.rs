//! Past the budget of bytes threads share cells, and nothing is lost. The budget belongs to the
//! process, so this test has its own process.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use barograph_core::registry::{Registry, set_thread_cell_budget};

const THREADS: u64 = 8;
const EACH: u64 = 20_000;

/// Records in many threads at once and returns the bytes of thread-owned cells after it.
fn record(registry: &Registry, name: &str) -> u64 {
    let counters = registry
        .counter(name)
        .build_with_label_names(["k"])
        .unwrap();
    let histogram = registry.histogram(&format!("{name}.h")).build().unwrap();
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                for i in 0..EACH {
                    counters.with(&[["a", "b"][(i % 2) as usize]]).inc();
                    histogram.observe(1.0);
                }
            });
        }
    });
    let half = Some((THREADS * EACH / 2) as f64);
    assert_eq!(registry.value(name, &[("k", "a")]), half);
    assert_eq!(registry.value(name, &[("k", "b")]), half);
    let observed = registry.value(&format!("{name}.h"), &[]);
    assert_eq!(observed, Some((THREADS * EACH) as f64));
    registry.stats().thread_cell_bytes
}

#[test]
fn past_the_budget_threads_share_cells_and_lose_nothing() {
    let registry = Registry::new();
    set_thread_cell_budget(0);
    assert_eq!(record(&registry, "without"), 0);
    set_thread_cell_budget(16 << 10);
    let little = record(&registry, "little");
    assert!(little > 0 && little <= 16 << 10, "{little}");
    set_thread_cell_budget(64 << 20);
    assert!(record(&registry, "plenty") > little);
}
