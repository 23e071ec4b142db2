//! Counters found by three labels: lookup and addition.
//!
//! The series exist before the clock starts, and have been added to often enough that libraries
//! which treat busy series differently do so. Each library gets the labels in the form that its
//! documentation shows for speed; strings live as long as the program, so no library must copy one.

use std::collections::HashMap;
use std::sync::LazyLock;

use barograph_core::labels::LabelSet;
use barograph_core::registry::Registry;
use lasso::{Rodeo, RodeoReader};
use measured::label::StaticLabelSet;
use measured::{CounterVec, LabelGroup};
use metrics::{Key, Label, Recorder};
use metrics_exporter_prometheus::PrometheusBuilder;
use opentelemetry::KeyValue;
use paracord::ParaCord;

use crate::measure::{Done, Ops, Threads, Work, expect};
use crate::page::values_by_labels;
use crate::row::{Contender, Row};
use crate::rows::counters::METADATA;
use crate::rows::otel::{Otel, attributes};
use crate::rows::ours;
use crate::rows::oxtel::Oxtel;
use crate::workload::{
    LabelTable, METHODS, Method, NAMES_3, SERIES_10K, SERIES_80, STATUSES, Status, Typed3, Values3,
};

pub(crate) const ROWS: &[Row] = &[
    Row::new(
        "counter_labels3_80",
        "ns",
        "method, route, status looked up, 80 series",
        || strings(Threads::One, &SERIES_80, ours::registry),
    ),
    Row::new(
        "counter_labels3_80_portable",
        "ns",
        "ours without wide instructions",
        || strings(Threads::One, &SERIES_80, ours::portable_registry),
    ),
    Row::new(
        "counter_labels3_10k",
        "ns",
        "the same with 10,000 series",
        || strings(Threads::One, &SERIES_10K, ours::registry),
    ),
    Row::new(
        "counter_labels3_80_2t",
        "ns",
        "80 series from two threads at once",
        || strings(Threads::Two, &SERIES_80, ours::registry),
    ),
    Row::new(
        "counter_typed_labels3_80",
        "ns",
        "method and status as enums, 80 series",
        typed,
    ),
];

fn strings(
    threads: Threads,
    table: &'static LabelTable,
    registry: fn() -> Registry,
) -> Vec<Contender> {
    vec![
        Contender::ours(threads.run(ours(registry(), table))),
        Contender::peer("prometheus", threads.run(prometheus(table))),
        Contender::peer("prometheus-client", threads.run(prometheus_client(table))),
        Contender::peer("fastmetrics", threads.run(fastmetrics(table))),
        Contender::peer("measured", threads.run(measured(table))),
        Contender::peer("metrics", threads.run(metrics_macro(table))),
        Contender::peer("oxtel", threads.run(oxtel_macro(table))),
        Contender::peer("otel", threads.run(otel(table))),
        Contender::shown(
            "measured, values fixed at start",
            threads.run(measured_fixed(table)),
        ),
    ]
}

fn typed() -> Vec<Contender> {
    let (threads, table) = (Threads::One, LazyLock::force(&SERIES_80));
    vec![
        Contender::ours(threads.run(ours_typed(table))),
        Contender::peer("prometheus", threads.run(prometheus_typed(table))),
        Contender::peer(
            "prometheus-client",
            threads.run(prometheus_client_typed(table)),
        ),
        Contender::peer("fastmetrics", threads.run(fastmetrics_typed(table))),
        Contender::peer("measured", threads.run(measured_typed(table))),
        Contender::peer("oxtel", threads.run(oxtel_typed(table))),
        Contender::peer("otel", threads.run(otel_typed(table))),
    ]
}

fn ours(registry: Registry, table: &'static LabelTable) -> impl Work {
    let family = registry
        .counter("orders")
        .build_with_label_names(NAMES_3)
        .expect("the only family");
    for labels in table.all() {
        (0..BUSY).for_each(|_| family.with(&labels).inc());
    }
    Ops::new(
        family,
        move |family, at| family.with(&table.at(at)).inc(),
        move |family, done| {
            let count = |labels| family.with(&labels).get() as f64;
            expect_each(table, done, BUSY, table.all().map(count))
        },
    )
}

fn ours_typed(table: &'static LabelTable) -> impl Work {
    let registry = ours::registry();
    let family = registry
        .counter("orders")
        .build_with_labels::<OurLabels<'_>>()
        .expect("the only family");
    for labels in table.all_typed() {
        (0..BUSY).for_each(|_| family.with(&labels.into()).inc());
    }
    Ops::new(
        family,
        move |family, at| family.with(&table.typed_at(at).into()).inc(),
        move |family, done| {
            let count = |labels: Typed3| family.with(&labels.into()).get() as f64;
            expect_each(table, done, BUSY, table.all_typed().map(count))
        },
    )
}

/// Series are identified by an unverified hash of the concatenated values.
fn prometheus(table: &'static LabelTable) -> impl Work {
    let family = prometheus_family();
    let add = |family: &prometheus::IntCounterVec, labels: Values3| {
        family.with_label_values(&labels).inc();
    };
    table.all().for_each(|labels| add(&family, labels));
    Ops::new(
        family,
        move |family, at| add(family, table.at(at)),
        move |family, done| {
            let count = |labels: Values3| family.with_label_values(&labels).get() as f64;
            expect_each(table, done, 1, table.all().map(count))
        },
    )
}

/// The library supports strings only: a program with enums passes their text.
fn prometheus_typed(table: &'static LabelTable) -> impl Work {
    let family = prometheus_family();
    let add = |family: &prometheus::IntCounterVec, (method, route, status): Typed3| {
        family
            .with_label_values(&[method.as_str(), route, status.as_str()])
            .inc();
    };
    table.all_typed().for_each(|labels| add(&family, labels));
    Ops::new(
        family,
        move |family, at| add(family, table.typed_at(at)),
        move |family, done| {
            let count = |labels: Values3| family.with_label_values(&labels).get() as f64;
            expect_each(table, done, 1, table.all().map(count))
        },
    )
}

fn prometheus_family() -> prometheus::IntCounterVec {
    let options = prometheus::Opts::new("orders_total", "Orders.");
    prometheus::IntCounterVec::new(options, &NAMES_3).expect("valid names")
}

/// The label set that is the fastest for strings in the library's own benchmark.
fn prometheus_client(table: &'static LabelTable) -> impl Work {
    use prometheus_client::metrics::counter::Counter;
    use prometheus_client::metrics::family::Family;
    type Labels = [(&'static str, &'static str); 3];
    let named = |[method, route, status]: Values3| {
        [
            (NAMES_3[0], method),
            (NAMES_3[1], route),
            (NAMES_3[2], status),
        ]
    };
    let family = Family::<Labels, Counter>::default();
    let add = move |family: &Family<Labels, Counter>, labels| {
        family.get_or_create(&named(labels)).inc();
    };
    table.all().for_each(|labels| add(&family, labels));
    Ops::new(
        family,
        move |family, at| add(family, table.at(at)),
        move |family, done| {
            let count = |labels| family.get_or_create(&named(labels)).get() as f64;
            expect_each(table, done, 1, table.all().map(count))
        },
    )
}

fn prometheus_client_typed(table: &'static LabelTable) -> impl Work {
    use prometheus_client::metrics::counter::Counter;
    use prometheus_client::metrics::family::Family;
    let family = Family::<TypedLabels, Counter>::default();
    let add = |family: &Family<TypedLabels, Counter>, labels| {
        family.get_or_create(&TypedLabels::from(labels)).inc();
    };
    table.all_typed().for_each(|labels| add(&family, labels));
    Ops::new(
        family,
        move |family, at| add(family, table.typed_at(at)),
        move |family, done| {
            let count = |labels| family.get_or_create(&TypedLabels::from(labels)).get() as f64;
            expect_each(table, done, 1, table.all_typed().map(count))
        },
    )
}

fn fastmetrics(table: &'static LabelTable) -> impl Work {
    use fastmetrics::metrics::counter::Counter;
    use fastmetrics::metrics::family::Family;
    let family = Family::<StringLabels, Counter>::default();
    let add = |family: &Family<StringLabels, Counter>, labels| {
        family.with_or_new(&StringLabels::from(labels), |counter| counter.inc());
    };
    table.all().for_each(|labels| add(&family, labels));
    Ops::new(
        family,
        move |family, at| add(family, table.at(at)),
        move |family, done| {
            let count = |labels| {
                family
                    .with(&StringLabels::from(labels), |counter| {
                        counter.total() as f64
                    })
                    .unwrap_or(0.0)
            };
            expect_each(table, done, 1, table.all().map(count))
        },
    )
}

fn fastmetrics_typed(table: &'static LabelTable) -> impl Work {
    use fastmetrics::metrics::counter::Counter;
    use fastmetrics::metrics::family::Family;
    let family = Family::<TypedLabels, Counter>::default();
    let add = |family: &Family<TypedLabels, Counter>, labels| {
        family.with_or_new(&TypedLabels::from(labels), |counter| counter.inc());
    };
    table.all_typed().for_each(|labels| add(&family, labels));
    Ops::new(
        family,
        move |family, at| add(family, table.typed_at(at)),
        move |family, done| {
            let count = |labels| {
                family
                    .with(&TypedLabels::from(labels), |counter| counter.total() as f64)
                    .unwrap_or(0.0)
            };
            expect_each(table, done, 1, table.all_typed().map(count))
        },
    )
}

/// Values are learned at run time, through the interner that the library's own benchmarks use.
fn measured(table: &'static LabelTable) -> impl Work {
    let set = LearnedSet {
        method: ParaCord::default(),
        route: ParaCord::default(),
        status: ParaCord::default(),
    };
    let family = CounterVec::with_label_set(set);
    table
        .all()
        .for_each(|labels| family.inc(Learned::from(labels)));
    Ops::new(
        family,
        move |family, at| family.inc(Learned::from(table.at(at))),
        move |family, done| {
            let count = |labels| measured_count(family, Learned::from(labels));
            expect_each(table, done, 1, table.all().map(count))
        },
    )
}

/// All values are known at start, and others are refused: an index instead of a lookup.
fn measured_fixed(table: &'static LabelTable) -> impl Work {
    let set = FixedSet {
        method: Rodeo::from_iter(METHODS).into_reader(),
        route: Rodeo::from_iter(table.routes()).into_reader(),
        status: Rodeo::from_iter(STATUSES).into_reader(),
    };
    let family = CounterVec::with_label_set(set);
    table
        .all()
        .for_each(|labels| family.inc(Fixed::from(labels)));
    Ops::new(
        family,
        move |family, at| family.inc(Fixed::from(table.at(at))),
        move |family, done| {
            let count = |labels| measured_count(family, Fixed::from(labels));
            expect_each(table, done, 1, table.all().map(count))
        },
    )
}

/// Method and status are enums, as the library recommends; the route is learned at run time.
fn measured_typed(table: &'static LabelTable) -> impl Work {
    let set = HalfFixedSet {
        method: StaticLabelSet::new(),
        route: ParaCord::default(),
        status: StaticLabelSet::new(),
    };
    let family = CounterVec::with_label_set(set);
    table
        .all_typed()
        .for_each(|labels| family.inc(HalfFixed::from(labels)));
    Ops::new(
        family,
        move |family, at| family.inc(HalfFixed::from(table.typed_at(at))),
        move |family, done| {
            let count = |labels| measured_count(family, HalfFixed::from(labels));
            expect_each(table, done, 1, table.all_typed().map(count))
        },
    )
}

fn measured_count<L: measured::label::LabelGroupSet>(
    family: &CounterVec<L>,
    labels: L::Group<'_>,
) -> f64 {
    let metric = family.get_metric(family.with_labels(labels));
    metric.count.load(std::sync::atomic::Ordering::Relaxed) as f64
}

fn metrics_macro(table: &'static LabelTable) -> impl Work {
    let recorder = PrometheusBuilder::new().build_recorder();
    table.all().for_each(|labels| count(&recorder, labels));
    Ops::new(
        recorder,
        move |recorder, at| count(recorder, table.at(at)),
        move |recorder, done| expect_on_page(table, done, &recorder.handle().render()),
    )
}

fn oxtel_macro(table: &'static LabelTable) -> impl Work {
    let oxtel = Oxtel::with_limit(2 * table.series());
    table
        .all()
        .for_each(|labels| count(oxtel.recorder(), labels));
    Ops::new(
        oxtel,
        move |oxtel, at| count(oxtel.recorder(), table.at(at)),
        move |oxtel, done| expect_on_page(table, done, &oxtel.page()),
    )
}

/// `metrics` supports strings only: a program with enums passes their text.
fn oxtel_typed(table: &'static LabelTable) -> impl Work {
    let oxtel = Oxtel::with_limit(2 * table.series());
    let add = |oxtel: &Oxtel, (method, route, status): Typed3| {
        count(oxtel.recorder(), [method.as_str(), route, status.as_str()]);
    };
    table.all_typed().for_each(|labels| add(&oxtel, labels));
    Ops::new(
        oxtel,
        move |oxtel, at| add(oxtel, table.typed_at(at)),
        move |oxtel, done| expect_on_page(table, done, &oxtel.page()),
    )
}

/// The expansion of `counter!("orders_total", "method" => m, ..).increment(1)`, without the lookup
/// of the installed recorder.
#[inline(always)]
fn count(recorder: &impl Recorder, [method, route, status]: Values3) {
    let labels = vec![
        Label::new(NAMES_3[0], method),
        Label::new(NAMES_3[1], route),
        Label::new(NAMES_3[2], status),
    ];
    let key = Key::from_parts("orders_total", labels);
    recorder.register_counter(&key, &METADATA).increment(1);
}

fn otel(table: &'static LabelTable) -> impl Work {
    let otel = Otel::with_limit(2 * table.series());
    let counter = otel.meter().u64_counter("orders").build();
    table
        .all()
        .for_each(|labels| counter.add(1, &attributes(labels)));
    Ops::new(
        (counter, otel),
        move |(counter, _), at| counter.add(1, &attributes(table.at(at))),
        move |(_, otel), done| expect_on_page(table, done, &otel.page()),
    )
}

fn otel_typed(table: &'static LabelTable) -> impl Work {
    let otel = Otel::with_limit(2 * table.series());
    let counter = otel.meter().u64_counter("orders").build();
    let attributes = |(method, route, status): Typed3| {
        [
            KeyValue::new(NAMES_3[0], method.as_str()),
            KeyValue::new(NAMES_3[1], route),
            KeyValue::new(NAMES_3[2], status.as_str()),
        ]
    };
    table
        .all_typed()
        .for_each(|labels| counter.add(1, &attributes(labels)));
    Ops::new(
        (counter, otel),
        move |(counter, _), at| counter.add(1, &attributes(table.typed_at(at))),
        move |(_, otel), done| expect_on_page(table, done, &otel.page()),
    )
}

/// Checks that each series has the additions that created it, `before`, and the measured ones.
fn expect_each(
    table: &LabelTable,
    Done(done): &Done,
    before: u64,
    found: impl Iterator<Item = f64>,
) -> Result<(), String> {
    for ((labels, expected), found) in table.all().zip(table.counts(done)).zip(found) {
        expect(&format!("{labels:?}"), (expected + before) as f64, found)?;
    }
    Ok(())
}

fn expect_on_page(table: &LabelTable, done: &Done, text: &str) -> Result<(), String> {
    let values: HashMap<_, _> = values_by_labels(text, "orders_total", &NAMES_3)?;
    let value = |labels: Values3| *values.get(&labels.map(String::from)[..]).unwrap_or(&0.0);
    expect_each(table, done, 1, table.all().map(value))
}

/// The number of additions to each series before the clock starts, which makes a series of
/// barograph busy. The other libraries treat all series alike, and get one addition.
const BUSY: u64 = 1_100;

#[derive(LabelSet)]
struct OurLabels<'a> {
    method: Method,
    route: &'a str,
    status: Status,
}

impl From<Typed3> for OurLabels<'static> {
    #[inline(always)]
    fn from((method, route, status): Typed3) -> Self {
        Self {
            method,
            route,
            status,
        }
    }
}

#[derive(Clone, PartialEq, Eq, Hash)]
struct StringLabels {
    method: &'static str,
    route: &'static str,
    status: &'static str,
}

impl From<Values3> for StringLabels {
    #[inline(always)]
    fn from([method, route, status]: Values3) -> Self {
        Self {
            method,
            route,
            status,
        }
    }
}

#[derive(Clone, PartialEq, Eq, Hash)]
struct TypedLabels {
    method: Method,
    route: &'static str,
    status: Status,
}

impl From<Typed3> for TypedLabels {
    #[inline(always)]
    fn from((method, route, status): Typed3) -> Self {
        Self {
            method,
            route,
            status,
        }
    }
}

#[derive(LabelGroup)]
#[label(set = LearnedSet)]
struct Learned<'a> {
    #[label(dynamic_with = ParaCord)]
    method: &'a str,
    #[label(dynamic_with = ParaCord)]
    route: &'a str,
    #[label(dynamic_with = ParaCord)]
    status: &'a str,
}

impl From<Values3> for Learned<'static> {
    #[inline(always)]
    fn from([method, route, status]: Values3) -> Self {
        Self {
            method,
            route,
            status,
        }
    }
}

#[derive(LabelGroup)]
#[label(set = FixedSet)]
struct Fixed<'a> {
    #[label(fixed_with = RodeoReader)]
    method: &'a str,
    #[label(fixed_with = RodeoReader)]
    route: &'a str,
    #[label(fixed_with = RodeoReader)]
    status: &'a str,
}

impl From<Values3> for Fixed<'static> {
    #[inline(always)]
    fn from([method, route, status]: Values3) -> Self {
        Self {
            method,
            route,
            status,
        }
    }
}

#[derive(LabelGroup)]
#[label(set = HalfFixedSet)]
struct HalfFixed<'a> {
    method: Method,
    #[label(dynamic_with = ParaCord)]
    route: &'a str,
    status: Status,
}

impl From<Typed3> for HalfFixed<'static> {
    #[inline(always)]
    fn from((method, route, status): Typed3) -> Self {
        Self {
            method,
            route,
            status,
        }
    }
}
