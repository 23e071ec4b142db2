//! Counters that are held by their handle: the cost of one addition.

use metrics::Recorder;
use metrics_exporter_prometheus::PrometheusBuilder;

use crate::measure::{Ops, Threads, Work};
use crate::page::value_of;
use crate::row::{Contender, Row};
use crate::rows::otel::Otel;
use crate::rows::ours;
use crate::rows::oxtel::Oxtel;

pub(crate) const ROWS: &[Row] = &[
    Row::new(
        "counter_bound_1t",
        "ns",
        "a held counter of whole numbers, plus one",
        || whole(Threads::One),
    ),
    Row::new(
        "counter_bound_2t",
        "ns",
        "the same counter from two threads at once",
        || whole(Threads::Two),
    ),
    Row::new(
        "counter_f64_bound_1t",
        "ns",
        "a held counter of floats, plus 1.5",
        || float(Threads::One),
    ),
];

fn whole(threads: Threads) -> Vec<Contender> {
    vec![
        Contender::ours(threads.run(ours_whole())),
        Contender::peer("prometheus", threads.run(prometheus_whole())),
        Contender::peer("prometheus-client", threads.run(prometheus_client_whole())),
        Contender::peer("fastmetrics", threads.run(fastmetrics_whole())),
        Contender::peer("measured", threads.run(measured_whole())),
        Contender::peer("metrics", threads.run(metrics_whole())),
        Contender::peer("oxtel", threads.run(oxtel_whole())),
        Contender::peer("otel-bound", threads.run(otel_bound_whole())),
        Contender::peer("otel", threads.run(otel_whole())),
        Contender::shown(
            "contatori (16 KB a counter, no labels)",
            threads.run(contatori_whole()),
        ),
    ]
}

fn float(threads: Threads) -> Vec<Contender> {
    vec![
        Contender::ours(threads.run(ours_float())),
        Contender::peer("prometheus", threads.run(prometheus_float())),
        Contender::peer("prometheus-client", threads.run(prometheus_client_float())),
        Contender::peer("fastmetrics", threads.run(fastmetrics_float())),
        Contender::peer("otel-bound", threads.run(otel_bound_float())),
        Contender::peer("otel", threads.run(otel_float())),
    ]
}

fn ours_whole() -> impl Work {
    let counter = ours::registry()
        .counter("orders")
        .build()
        .expect("the only family");
    Ops::new(
        counter,
        |counter, _| counter.inc(),
        |counter, done| done.expect_total(1.0, counter.get() as f64),
    )
}

fn ours_float() -> impl Work {
    let counter = ours::registry()
        .counter_f64("cost")
        .build()
        .expect("the only family");
    Ops::new(
        counter,
        |counter, _| counter.add(STEP),
        |counter, done| done.expect_total(STEP, counter.get()),
    )
}

fn prometheus_whole() -> impl Work {
    let counter = prometheus::IntCounter::new("orders_total", "Orders.").expect("a valid name");
    Ops::new(
        counter,
        |counter, _| counter.inc(),
        |counter, done| done.expect_total(1.0, counter.get() as f64),
    )
}

fn prometheus_float() -> impl Work {
    let counter = prometheus::Counter::new("cost_total", "Cost.").expect("a valid name");
    Ops::new(
        counter,
        |counter, _| counter.inc_by(STEP),
        |counter, done| done.expect_total(STEP, counter.get()),
    )
}

fn prometheus_client_whole() -> impl Work {
    let counter = prometheus_client::metrics::counter::Counter::<u64>::default();
    Ops::new(
        counter,
        |counter, _| {
            counter.inc();
        },
        |counter, done| done.expect_total(1.0, counter.get() as f64),
    )
}

fn prometheus_client_float() -> impl Work {
    use std::sync::atomic::AtomicU64;
    let counter = prometheus_client::metrics::counter::Counter::<f64, AtomicU64>::default();
    Ops::new(
        counter,
        |counter, _| {
            counter.inc_by(STEP);
        },
        |counter, done| done.expect_total(STEP, counter.get()),
    )
}

fn fastmetrics_whole() -> impl Work {
    let counter = fastmetrics::metrics::counter::Counter::<u64>::default();
    Ops::new(
        counter,
        |counter, _| counter.inc(),
        |counter, done| done.expect_total(1.0, counter.total() as f64),
    )
}

fn fastmetrics_float() -> impl Work {
    let counter = fastmetrics::metrics::counter::Counter::<f64>::default();
    Ops::new(
        counter,
        |counter, _| counter.inc_by(STEP),
        |counter, done| done.expect_total(STEP, counter.total()),
    )
}

fn measured_whole() -> impl Work {
    let counter = measured::Counter::new();
    Ops::new(
        counter,
        |counter, _| counter.inc(),
        |counter, done| {
            let total = counter
                .get_metric()
                .count
                .load(std::sync::atomic::Ordering::Relaxed);
            done.expect_total(1.0, total as f64)
        },
    )
}

/// The handle that `counter!` returns; it counts integers only.
fn metrics_whole() -> impl Work {
    let recorder = PrometheusBuilder::new().build_recorder();
    let counter = recorder.register_counter(&"orders_total".into(), &METADATA);
    Ops::new(
        (counter, recorder.handle()),
        |(counter, _), _| counter.increment(1),
        |(_, page), done| done.expect_total(1.0, value_of(&page.render(), "orders_total")?),
    )
}

/// The same handle, of the recorder of oxtel.
fn oxtel_whole() -> impl Work {
    let oxtel = Oxtel::new();
    Ops::new(
        (oxtel.counter("orders"), oxtel),
        |(counter, _), _| counter.increment(1),
        |(_, oxtel), done| done.expect_total(1.0, value_of(&oxtel.page(), "orders_total")?),
    )
}

fn otel_bound_whole() -> impl Work {
    let otel = Otel::new();
    let counter = otel.meter().u64_counter("orders").build().bind(&[]);
    Ops::new(
        (counter, otel),
        |(counter, _), _| counter.add(1),
        |(_, otel), done| done.expect_total(1.0, value_of(&otel.page(), "orders_total")?),
    )
}

fn otel_whole() -> impl Work {
    let otel = Otel::new();
    let counter = otel.meter().u64_counter("orders").build();
    Ops::new(
        (counter, otel),
        |(counter, _), _| counter.add(1, &[]),
        |(_, otel), done| done.expect_total(1.0, value_of(&otel.page(), "orders_total")?),
    )
}

fn otel_bound_float() -> impl Work {
    let otel = Otel::new();
    let counter = otel.meter().f64_counter("cost").build().bind(&[]);
    Ops::new(
        (counter, otel),
        |(counter, _), _| counter.add(STEP),
        |(_, otel), done| done.expect_total(STEP, value_of(&otel.page(), "cost_total")?),
    )
}

fn otel_float() -> impl Work {
    let otel = Otel::new();
    let counter = otel.meter().f64_counter("cost").build();
    Ops::new(
        (counter, otel),
        |(counter, _), _| counter.add(STEP, &[]),
        |(_, otel), done| done.expect_total(STEP, value_of(&otel.page(), "cost_total")?),
    )
}

fn contatori_whole() -> impl Work {
    use contatori::counters::Observable;
    use contatori::counters::monotone::Monotone;
    Ops::new(
        Monotone::new(),
        |counter, _| counter.add(1),
        |counter, done| done.expect_total(1.0, counter.value().as_f64()),
    )
}

/// The metadata that the macros of `metrics` pass with each registration.
pub(crate) static METADATA: metrics::Metadata<'static> =
    metrics::Metadata::new("benchmarks", metrics::Level::INFO, Some("benchmarks"));

/// Sums of this step are exact in a float, in any order.
const STEP: f64 = 1.5;
