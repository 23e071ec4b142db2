//! Gauges that are held by their handle.

use std::ops::Range;
use std::sync::atomic::AtomicU64;

use metrics::Recorder;
use metrics_exporter_prometheus::PrometheusBuilder;

use crate::measure::{Done, OneThread, Ops, Subject, Work, expect};
use crate::page::value_of;
use crate::row::{Contender, Row};
use crate::rows::counters::METADATA;
use crate::rows::otel::Otel;
use crate::rows::ours;
use crate::rows::oxtel::Oxtel;
use crate::workload::Values;

pub(crate) const ROWS: &[Row] = &[Row::new(
    "gauge_set",
    "ns",
    "a held gauge of floats, set to a new value each time",
    set,
)];

fn set() -> Vec<Contender> {
    vec![
        Contender::ours(run(ours_f64())),
        Contender::peer("prometheus", run(prometheus())),
        Contender::peer("prometheus-client", run(prometheus_client())),
        Contender::peer("fastmetrics", run(fastmetrics())),
        Contender::peer("measured", run(measured())),
        Contender::peer("metrics", run(metrics_handle())),
        Contender::peer("oxtel", run(oxtel())),
        Contender::peer("otel-bound", run(otel_bound())),
        Contender::peer("otel", run(otel())),
    ]
}

fn run(work: impl Work + 'static) -> Box<dyn Subject> {
    Box::new(OneThread::new(work))
}

fn ours_f64() -> impl Work {
    let gauge = ours::registry()
        .gauge("depth")
        .build()
        .expect("the only family");
    let values = Values::get();
    Ops::new(
        gauge,
        move |gauge, at| gauge.set(values.at(at)),
        |gauge, done| expect_last(done, gauge.get()),
    )
}

fn prometheus() -> impl Work {
    let gauge = prometheus::Gauge::new("depth", "Depth.").expect("a valid name");
    let values = Values::get();
    Ops::new(
        gauge,
        move |gauge, at| gauge.set(values.at(at)),
        |gauge, done| expect_last(done, gauge.get()),
    )
}

fn prometheus_client() -> impl Work {
    let gauge = prometheus_client::metrics::gauge::Gauge::<f64, AtomicU64>::default();
    let values = Values::get();
    Ops::new(
        gauge,
        move |gauge, at| {
            gauge.set(values.at(at));
        },
        |gauge, done| expect_last(done, gauge.get()),
    )
}

fn fastmetrics() -> impl Work {
    let gauge = fastmetrics::metrics::gauge::Gauge::<f64>::default();
    let values = Values::get();
    Ops::new(
        gauge,
        move |gauge, at| gauge.set(values.at(at)),
        |gauge, done| expect_last(done, gauge.get()),
    )
}

fn measured() -> impl Work {
    let gauge = measured::FloatGauge::new();
    let values = Values::get();
    Ops::new(
        gauge,
        move |gauge, at| gauge.set(values.at(at)),
        |gauge, done| expect_last(done, gauge.get_metric().count.get()),
    )
}

fn metrics_handle() -> impl Work {
    let recorder = PrometheusBuilder::new().build_recorder();
    let gauge = recorder.register_gauge(&"depth".into(), &METADATA);
    let values = Values::get();
    Ops::new(
        (gauge, recorder.handle()),
        move |(gauge, _), at| gauge.set(values.at(at)),
        |(_, page), done| expect_last(done, value_of(&page.render(), "depth")?),
    )
}

fn oxtel() -> impl Work {
    let oxtel = Oxtel::new();
    let values = Values::get();
    Ops::new(
        (oxtel.gauge("depth"), oxtel),
        move |(gauge, _), at| gauge.set(values.at(at)),
        |(_, oxtel), done| expect_last(done, value_of(&oxtel.page(), "depth")?),
    )
}

fn otel_bound() -> impl Work {
    let otel = Otel::new();
    let gauge = otel.meter().f64_gauge("depth").build().bind(&[]);
    let values = Values::get();
    Ops::new(
        (gauge, otel),
        move |(gauge, _), at| gauge.record(values.at(at)),
        |(_, otel), done| expect_last(done, value_of(&otel.page(), "depth")?),
    )
}

fn otel() -> impl Work {
    let otel = Otel::new();
    let gauge = otel.meter().f64_gauge("depth").build();
    let values = Values::get();
    Ops::new(
        (gauge, otel),
        move |(gauge, _), at| gauge.record(values.at(at), &[]),
        |(_, otel), done| expect_last(done, value_of(&otel.page(), "depth")?),
    )
}

/// Checks that the gauge has the value of the last operation.
fn expect_last(Done(ranges): &Done, found: f64) -> Result<(), String> {
    let last = ranges.last().map_or(0, |Range { end, .. }| end - 1);
    expect("gauge", Values::get().at(last), found)
}
