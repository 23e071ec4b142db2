//! A service with every kind of instrument. `GET /load/{rounds}` writes to all of them this number
//! of times from each of several threads at once, one time in eight inside a sampled trace.
//!
//! All values that are summed are multiples of one eighth, so that the sum does not depend on the
//! order of the additions.

use std::{
    error::Error,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
};

use axum::{Router, extract::Path, routing::get};
use barograph::{
    Bounds, Counter, Family, Gauge, Histogram, RegisterError, Registry, StateSet, Telemetry,
    UpDownCounter,
    context::{TraceContext, TraceFlags},
    current,
};

const THREADS: u64 = 4;
/// One in `TRACED` rounds is inside a sampled trace.
const TRACED: u64 = 8;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let instruments = Arc::new(Instruments::register(Registry::global())?);
    let telemetry = Telemetry::builder("instruments").start()?;
    let load = async move |Path(rounds): Path<u64>| {
        let work = move || instruments.work(rounds);
        tokio::task::spawn_blocking(work)
            .await
            .map_or("failed", |()| "done")
    };
    let app = Router::new().route("/load/{rounds}", get(load));
    let address = std::env::var("HELLO_ADDR").unwrap_or("127.0.0.1:0".into());
    telemetry.serve(app, address).await?;
    Ok(())
}

/// One of each kind of synchronous instrument; some of them with labels too.
struct Instruments {
    orders: Counter<u64>,
    routed: Family<Counter<u64>, [&'static str; 2]>,
    cost: Counter<f64>,
    queue: UpDownCounter<i64>,
    balance: UpDownCounter<f64>,
    temperature: Gauge<f64>,
    workers: Gauge<i64>,
    wait: Histogram,
    size: Family<Histogram, [&'static str; 1]>,
    phase: StateSet,
    /// The value that the callbacks of the observable instruments report.
    seen: Arc<AtomicU64>,
}

impl Instruments {
    fn register(registry: &Registry) -> Result<Self, RegisterError> {
        let build = registry.info("build").with_help("What runs.").build()?;
        build.set(&[("version", "1.2.3"), ("odd", "a\\b\n\"c\"")]);
        let seen = Arc::new(AtomicU64::new(0));
        let tell = |seen: &Arc<AtomicU64>| {
            let seen = Arc::clone(seen);
            move || seen.load(Ordering::Relaxed)
        };
        let count = tell(&seen);
        registry
            .observable_counter("seen")
            .with_unit("{round}")
            .observe(move |observer| observer.observe(count(), &[("how", "whole")]))?;
        let count = tell(&seen);
        registry
            .observable_counter_f64("seen.time")
            .with_unit("s")
            .observe(move |observer| observer.observe(count() as f64 / 8.0, &[]))?;
        let count = tell(&seen);
        registry
            .observable_gauge("seen.share")
            .with_unit("1")
            .observe(move |observer| observer.observe(count() as f64 / 1024.0, &[]))?;
        let count = tell(&seen);
        registry
            .observable_gauge_i64("seen.last")
            .observe(move |observer| observer.observe(-count().cast_signed(), &[]))?;
        Ok(Self {
            orders: registry
                .counter("orders")
                .with_unit("{order}")
                .with_help("Orders placed.")
                .build()?,
            routed: registry
                .counter("routed")
                .build_with_label_names(["http.route", "ok"])?,
            cost: registry.counter_f64("cost").with_unit("s").build()?,
            queue: registry.up_down_counter("queue.length").build()?,
            balance: registry.up_down_counter_f64("balance").build()?,
            temperature: registry.gauge("temperature").build()?,
            workers: registry.gauge_i64("workers").build()?,
            wait: registry
                .histogram("wait")
                .with_unit("s")
                .with_help("Time spent in the queue.")
                .build()?,
            size: registry
                .histogram("size")
                .with_unit("By")
                .with_bounds(Bounds::exponential(1.0, 4.0, 7).expect("seven bounds that rise"))
                .build_with_label_names(["kind"])?,
            phase: registry
                .state_set("job.phase", ["waiting", "running", "done"])
                .build()?,
            seen,
        })
    }

    fn work(&self, rounds: u64) {
        thread::scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(|| {
                    for _ in 0..rounds {
                        self.round(self.seen.fetch_add(1, Ordering::Relaxed));
                    }
                });
            }
        });
    }

    fn round(&self, number: u64) {
        let traced = number.is_multiple_of(TRACED).then(|| {
            let (trace, span) = (0xba60 << 112 | u128::from(number), 0x5ba4 << 48 | number);
            TraceContext::new(trace, span, TraceFlags::SAMPLED).expect("ids that are not zero")
        });
        let _guard = traced.map(current::enter);
        let eighths = (number % 64) as f64 / 8.0;
        self.orders.inc();
        self.routed
            .with(&[["/a/{id}", "/b"][(number % 2) as usize], "true"])
            .add(2);
        self.cost.add(eighths);
        self.queue.add(3);
        self.queue.add(-2);
        self.balance.add(eighths);
        self.balance.add(-4.0);
        self.temperature.set(eighths);
        self.workers.set(-(number.cast_signed() % 7));
        self.wait.observe(eighths);
        self.size
            .with(&[["read", "write"][(number % 2) as usize]])
            .observe((number % 8192) as f64);
        self.phase
            .switch_to(["waiting", "running", "done"][(number % 3) as usize]);
    }
}
