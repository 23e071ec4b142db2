//! Histograms with 11 bounds that are held by their handle.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};

use barograph_core::registry::Registry;
use barograph_model::bounds::Bounds;
use metrics::Recorder;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};

use crate::measure::{Done, Ops, Threads, Work, expect};
use crate::page::value_of;
use crate::row::{Contender, Row};
use crate::rows::counters::METADATA;
use crate::rows::otel::Otel;
use crate::rows::ours;
use crate::rows::oxtel::Oxtel;
use crate::workload::{BOUNDS_11, Values, sum_of_values};

pub(crate) const ROWS: &[Row] = &[
    Row::new(
        "histogram11_bound_1t",
        "ns",
        "a held histogram of 11 bounds observes a value",
        || observe(Threads::One),
    ),
    Row::new(
        "histogram11_bound_2t",
        "ns",
        "the same histogram from two threads at once",
        || observe(Threads::Two),
    ),
];

fn observe(threads: Threads) -> Vec<Contender> {
    vec![
        Contender::ours(threads.run(ours_with_registry(ours::registry()))),
        Contender::peer("prometheus", threads.run(prometheus())),
        Contender::peer("prometheus-client", threads.run(prometheus_client())),
        Contender::peer("fastmetrics", threads.run(fastmetrics())),
        Contender::peer("measured", threads.run(measured())),
        Contender::peer("metrics", threads.run(Drained::new())),
        Contender::peer("oxtel", threads.run(oxtel_with(Oxtel::new()))),
        Contender::peer("otel-bound", threads.run(otel_bound())),
        Contender::peer("otel", threads.run(otel())),
    ]
}

/// A histogram of this registry; also used by the rows that compare it in different contexts.
pub(crate) fn ours_with_registry(registry: Registry) -> impl Work {
    let builder = registry.histogram("took");
    let bounds = Bounds::new(BOUNDS_11).expect("bounds that rise");
    let histogram = builder
        .with_bounds(bounds)
        .build()
        .expect("the only family");
    let values = Values::get();
    Ops::new(
        (histogram, registry),
        move |(histogram, _), at| histogram.observe(values.at(at)),
        |(_, registry), done| expect_page(done, &ours::text(registry)),
    )
}

fn prometheus() -> impl Work {
    let options = prometheus::HistogramOpts::new("took", "Time.").buckets(BOUNDS_11.to_vec());
    let histogram = prometheus::Histogram::with_opts(options).expect("valid options");
    let values = Values::get();
    Ops::new(
        histogram,
        move |histogram, at| histogram.observe(values.at(at)),
        |histogram, done| {
            expect_all(
                done,
                histogram.get_sample_count() as f64,
                histogram.get_sample_sum(),
            )
        },
    )
}

fn prometheus_client() -> impl Work {
    let histogram = prometheus_client::metrics::histogram::Histogram::new(BOUNDS_11);
    let mut registry = prometheus_client::registry::Registry::default();
    registry.register("took", "Time.", histogram.clone());
    let values = Values::get();
    Ops::new(
        (histogram, registry),
        move |(histogram, _), at| histogram.observe(values.at(at)),
        |(_, registry), done| {
            let mut text = String::new();
            prometheus_client::encoding::text::encode(&mut text, registry)
                .map_err(|error| error.to_string())?;
            expect_page(done, &text)
        },
    )
}

fn fastmetrics() -> impl Work {
    let histogram = fastmetrics::metrics::histogram::Histogram::new(BOUNDS_11);
    let values = Values::get();
    Ops::new(
        histogram,
        move |histogram, at| histogram.observe(values.at(at)),
        |histogram, done| {
            histogram.with_snapshot(|found| expect_all(done, found.count() as f64, found.sum()))
        },
    )
}

fn measured() -> impl Work {
    use measured::metric::histogram::Thresholds;
    let histogram = measured::Histogram::with_metadata(Thresholds::with_buckets(BOUNDS_11));
    let values = Values::get();
    Ops::new(
        histogram,
        move |histogram, at| histogram.observe(values.at(at)),
        |histogram, done| {
            use Ordering::Relaxed;
            let metric = histogram.get_metric();
            let inner = metric.inner.read();
            let finite: u64 = inner
                .buckets
                .iter()
                .map(|bucket| bucket.load(Relaxed))
                .sum();
            expect_all(
                done,
                (finite + inner.inf.load(Relaxed)) as f64,
                inner.sum.get(),
            )
        },
    )
}

/// A histogram of this provider; also used by the rows that compare it in different contexts.
pub(crate) fn oxtel_with(oxtel: Oxtel) -> impl Work {
    let values = Values::get();
    Ops::new(
        (oxtel.histogram("took"), oxtel),
        move |(histogram, _), at| histogram.record(values.at(at)),
        |(_, oxtel), done| expect_page(done, &oxtel.page()),
    )
}

fn otel_bound() -> impl Work {
    let otel = Otel::new();
    let meter = otel.meter();
    let histogram = meter
        .f64_histogram("took")
        .with_boundaries(BOUNDS_11.to_vec())
        .build()
        .bind(&[]);
    let values = Values::get();
    Ops::new(
        (histogram, otel),
        move |(histogram, _), at| histogram.record(values.at(at)),
        |(_, otel), done| expect_page(done, &otel.page()),
    )
}

fn otel() -> impl Work {
    let otel = Otel::new();
    let histogram = otel
        .meter()
        .f64_histogram("took")
        .with_boundaries(BOUNDS_11.to_vec())
        .build();
    let values = Values::get();
    Ops::new(
        (histogram, otel),
        move |(histogram, _), at| histogram.record(values.at(at), &[]),
        |(_, otel), done| expect_page(done, &otel.page()),
    )
}

/// A histogram of `metrics`, whose exporter keeps raw samples until they are drained.
///
/// Its documentation asks for that at an interval, so draining is part of the cost of an
/// observation, and is done here by the observing thread.
struct Drained {
    histogram: metrics::Histogram,
    page: PrometheusHandle,
    draining: AtomicBool,
}

impl Drained {
    fn new() -> Self {
        let builder = PrometheusBuilder::new()
            .set_buckets(&BOUNDS_11)
            .expect("there are bounds");
        let recorder = builder.build_recorder();
        let histogram = recorder.register_histogram(&"took".into(), &METADATA);
        Self {
            histogram,
            page: recorder.handle(),
            draining: AtomicBool::new(false),
        }
    }
}

impl Work for Drained {
    fn run(&self, range: Range<u64>) {
        let values = Values::get();
        for at in range {
            std::hint::black_box(&self.histogram).record(values.at(at));
            // Only one thread drains, as with a timer.
            if at % UPKEEP == 0 && !self.draining.swap(true, Ordering::Acquire) {
                self.page.run_upkeep();
                self.draining.store(false, Ordering::Release);
            }
        }
    }

    fn check(&self, done: &Done) -> Result<(), String> {
        expect_page(done, &self.page.render())
    }
}

/// Checks that the page has all observations of the histogram `took`.
pub(crate) fn expect_page(done: &Done, text: &str) -> Result<(), String> {
    expect_all(
        done,
        value_of(text, "took_count")?,
        value_of(text, "took_sum")?,
    )
}

/// Checks that the count and the sum include all observations.
fn expect_all(done: &Done, count: f64, sum: f64) -> Result<(), String> {
    expect("count", done.operations() as f64, count)?;
    expect("sum", sum_of_values(&done.0), sum)
}

/// The number of samples between two drains: what accumulates in a busy second. Beyond this number,
/// the fixed cost of a drain per sample is negligible.
const UPKEEP: u64 = 65_536;
