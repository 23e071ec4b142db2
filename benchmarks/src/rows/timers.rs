//! The duration of an operation, measured and recorded in a histogram with 11 bounds.
//!
//! The operation does nothing: the figure is the cost of two clock reads and the observation.

use std::hint::black_box;
use std::time::Instant;

use barograph_model::bounds::Bounds;

use crate::measure::{Ops, Threads, Work};
use crate::page::value_of;
use crate::row::{Contender, Row};
use crate::rows::otel::Otel;
use crate::rows::ours;
use crate::rows::oxtel::Oxtel;
use crate::workload::BOUNDS_11;

pub(crate) const ROWS: &[Row] = &[Row::new(
    "timer",
    "ns",
    "the time of an operation that is over at once, in a held histogram",
    || {
        vec![
            Contender::ours(Threads::One.run(ours())),
            Contender::peer("prometheus", Threads::One.run(prometheus())),
            Contender::peer("oxtel", Threads::One.run(oxtel())),
            Contender::peer("otel-bound", Threads::One.run(otel_bound())),
        ]
    },
)];

fn ours() -> impl Work {
    let registry = ours::registry();
    let histogram = registry
        .histogram("took")
        .with_bounds(Bounds::new(BOUNDS_11).expect("bounds that rise"))
        .build()
        .expect("the only family");
    Ops::new(
        (histogram, registry),
        |(histogram, _), _| drop(black_box(histogram.start_timer())),
        |(_, registry), done| {
            done.expect_total(1.0, value_of(&ours::text(registry), "took_count")?)
        },
    )
}

fn prometheus() -> impl Work {
    let options = prometheus::HistogramOpts::new("took", "Time.").buckets(BOUNDS_11.to_vec());
    let histogram = prometheus::Histogram::with_opts(options).expect("valid options");
    Ops::new(
        histogram,
        |histogram, _| drop(black_box(histogram.start_timer())),
        |histogram, done| done.expect_total(1.0, histogram.get_sample_count() as f64),
    )
}

/// `metrics` has no timer; its users write this.
fn oxtel() -> impl Work {
    let oxtel = Oxtel::new();
    Ops::new(
        (oxtel.histogram("took"), oxtel),
        |(histogram, _), _| {
            let start = black_box(Instant::now());
            histogram.record(start.elapsed());
        },
        |(_, oxtel), done| done.expect_total(1.0, value_of(&oxtel.page(), "took_count")?),
    )
}

/// The library has no timer; its users write this.
fn otel_bound() -> impl Work {
    let otel = Otel::new();
    let meter = otel.meter();
    let histogram = meter
        .f64_histogram("took")
        .with_boundaries(BOUNDS_11.to_vec())
        .build()
        .bind(&[]);
    Ops::new(
        (histogram, otel),
        |(histogram, _), _| {
            let start = black_box(Instant::now());
            histogram.record(start.elapsed().as_secs_f64());
        },
        |(_, otel), done| done.expect_total(1.0, value_of(&otel.page(), "took_count")?),
    )
}
