//! Metrics of a tokio runtime, as its stable API reports them.
//!
//! | metric | kind | unit | labels |
//! |---|---|---|---|
//! | `tokio.runtime.workers` | gauge | `{worker}` | |
//! | `tokio.runtime.tasks.alive` | gauge | `{task}` | |
//! | `tokio.runtime.global_queue.depth` | gauge | `{task}` | |
//! | `tokio.runtime.worker.busy_time` | counter | `s` | `worker` |
//! | `tokio.runtime.worker.parks` | counter | `{park}` | `worker` |
//!
//! They are read when they are collected, and cost nothing in between.
//!
//! Source: `tokio::runtime::RuntimeMetrics`.

use barograph_core::RegisterError;
use barograph_core::registry::Registry;
use tokio::runtime::Handle;

/// Returns a source of the metrics of a runtime. It does not keep the runtime running.
pub(crate) fn source(runtime: &Handle) -> Registry {
    let registry = Registry::new();
    register(&registry, runtime).expect("the names are valid, and nobody else has them");
    registry
}

fn register(registry: &Registry, runtime: &Handle) -> Result<(), RegisterError> {
    let metrics = runtime.metrics();
    let workers = metrics.num_workers();
    registry
        .observable_gauge_i64("tokio.runtime.workers")
        .with_unit("{worker}")
        .with_help("Number of worker threads.")
        .observe(move |observer| observer.observe(count(workers), &[]))?;
    let metrics = runtime.metrics();
    registry
        .observable_gauge_i64("tokio.runtime.tasks.alive")
        .with_unit("{task}")
        .with_help("Number of tasks that have been spawned and have not ended.")
        .observe(move |observer| observer.observe(count(metrics.num_alive_tasks()), &[]))?;
    let metrics = runtime.metrics();
    registry
        .observable_gauge_i64("tokio.runtime.global_queue.depth")
        .with_unit("{task}")
        .with_help("Number of tasks that wait in the queue that all workers share.")
        .observe(move |observer| observer.observe(count(metrics.global_queue_depth()), &[]))?;
    let metrics = runtime.metrics();
    registry
        .observable_counter_f64("tokio.runtime.worker.busy_time")
        .with_unit("s")
        .with_help("Time that a worker thread was not parked.")
        .observe(move |observer| {
            for worker in 0..workers {
                let busy = metrics.worker_total_busy_duration(worker).as_secs_f64();
                observer.observe(busy, &[("worker", &worker.to_string())]);
            }
        })?;
    let metrics = runtime.metrics();
    registry
        .observable_counter("tokio.runtime.worker.parks")
        .with_unit("{park}")
        .with_help("Number of times that a worker thread had nothing to do and parked.")
        .observe(move |observer| {
            for worker in 0..workers {
                let parks = metrics.worker_park_count(worker);
                observer.observe(parks, &[("worker", &worker.to_string())]);
            }
        })
}

fn count(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
