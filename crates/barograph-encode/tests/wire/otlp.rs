//! Tests of OTLP requests, decoded with types generated from the schema by others.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use barograph_encode::otlp::{Encoding, MetricReader, Request, Temporalities};
use barograph_model::bounds::Bounds;
use barograph_model::context::{TraceContext, TraceFlags};
use barograph_model::descriptor::{Descriptor, Kind, Scope};
use barograph_model::exemplar::Exemplar;
use barograph_model::resource::Resource;
use barograph_model::snapshot::{FamilyView, Source};
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value as Number;
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, Gauge, Histogram, HistogramDataPoint, Metric, NumberDataPoint,
    ResourceMetrics, ScopeMetrics, Sum, exemplar, metric,
};
use proptest::collection::vec;
use proptest::prelude::*;
use prost::Message as _;

use crate::hostile::family;
use crate::table::{Cell, Family, Row, RowLabels, Table};

fn at(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(seconds)
}

fn resource() -> Resource {
    Resource::new().with("service.name", "shop")
}

/// Returns all requests of an export cycle, each acknowledged.
fn round(reader: &mut MetricReader, now: SystemTime) -> Vec<Request> {
    reader.begin(now);
    std::iter::from_fn(|| {
        let request = reader.next_request()?;
        reader.ack();
        Some(request)
    })
    .collect()
}

fn requests(table: &Table, with: impl Fn(MetricReader) -> MetricReader) -> Vec<Request> {
    let source = Arc::new(table.clone()) as Arc<dyn Source>;
    let mut reader = with(MetricReader::new(&resource(), [source]));
    round(&mut reader, at(100))
}

fn decode(request: &Request) -> ExportMetricsServiceRequest {
    match request.encoding {
        Encoding::Protobuf => ExportMetricsServiceRequest::decode(&*request.body).unwrap(),
        Encoding::Json => serde_json::from_slice(&request.body)
            .unwrap_or_else(|error| panic!("{error}: {:?}", request.body)),
    }
}

fn pair(key: &str, value: Any) -> KeyValue {
    KeyValue {
        key: key.into(),
        value: Some(AnyValue { value: Some(value) }),
        ..KeyValue::default()
    }
}

fn text(key: &str, value: &str) -> KeyValue {
    pair(key, Any::StringValue(value.into()))
}

const SECOND: u64 = 1_000_000_000;

fn point(attributes: Vec<KeyValue>, value: Number) -> NumberDataPoint {
    NumberDataPoint {
        attributes,
        start_time_unix_nano: 7 * SECOND,
        time_unix_nano: 100 * SECOND,
        value: Some(value),
        ..NumberDataPoint::default()
    }
}

fn one_of_each() -> (Table, Vec<Metric>) {
    let traced = Exemplar {
        value: 2.0,
        time_unix_nano: Some(9 * SECOND),
        context: TraceContext::new(0xabc, 0xdef, TraceFlags::SAMPLED),
        labels: vec![("user".into(), "ann".into())],
    };
    let exemplar = exemplar_message;
    let row = |labels: &[&str], cell| Row {
        start: Some(7 * SECOND),
        ..Row::new(
            RowLabels::Values(labels.iter().map(|l| (*l).into()).collect()),
            cell,
        )
    };
    let named = |name, kind, labels: &[&str]| {
        let mut descriptor = Descriptor::new(name, kind);
        descriptor.label_names = labels.iter().map(|l| (*l).into()).collect();
        Family {
            promises_unique_labels: true,
            ..Family::new(descriptor)
        }
    };
    let mut orders = named("orders", Kind::Counter, &["method", "route"]);
    orders.descriptor.help = "Orders.".into();
    orders.descriptor.unit = "{order}".into();
    orders.descriptor.constant_labels = Arc::new([("region".into(), "eu".into())]);
    let long = "/a/route/that/is/longer/than/a/hundred/and/twenty/seven/bytes/".repeat(4);
    let orders = orders
        .with(row(&["GET", "/é"], Cell::U64(3)))
        .with(Row {
            exemplars: vec![traced.clone()],
            ..row(&["PUT", ""], Cell::U64(u64::MAX))
        })
        .with(row(&["PUT", &long], Cell::U64(5)))
        .with(Row {
            is_overflow: true,
            exemplars: vec![traced.clone()],
            ..row(&["", ""], Cell::U64(1))
        });
    let queue = named("queue", Kind::UpDownCounter, &[]).with(row(&[], Cell::I64(-4)));
    let heat = named("heat", Kind::Gauge, &["room"]).with(row(&["x"], Cell::F64(-0.5)));
    let bounds = Bounds::new([1.0, 2.5]).unwrap();
    let took = named("took", Kind::Histogram, &["room"]).with(Row {
        exemplars: vec![traced],
        ..row(
            &["x"],
            Cell::Buckets {
                bounds,
                buckets: vec![1, 0, 300],
                sum: 9000.5,
            },
        )
    });
    let build = named("build", Kind::Info, &["version"]).with(row(&["1.2"], Cell::Info));
    let mut door = named("door", Kind::StateSet, &[]);
    door.descriptor.states = ["open".into(), "shut".into()].into();
    let door = door.with(row(&[], Cell::States(0b10)));
    let foreign = named("foreign", Kind::Unknown, &[]).with(row(&[], Cell::U64(1)));

    let sum = |points, is_monotonic| {
        metric::Data::Sum(Sum {
            data_points: points,
            aggregation_temporality: AggregationTemporality::Cumulative.into(),
            is_monotonic,
        })
    };
    let metric = |name: &str, data| Metric {
        name: name.into(),
        data: Some(data),
        ..Metric::default()
    };
    let eu = || text("region", "eu");
    let expected = vec![
        Metric {
            description: "Orders.".into(),
            unit: "{order}".into(),
            ..metric(
                "orders",
                sum(
                    vec![
                        point(
                            vec![eu(), text("method", "GET"), text("route", "/é")],
                            Number::AsInt(3),
                        ),
                        NumberDataPoint {
                            exemplars: vec![exemplar(exemplar::Value::AsDouble(2.0))],
                            ..point(
                                vec![eu(), text("method", "PUT")],
                                Number::AsDouble(u64::MAX as f64),
                            )
                        },
                        point(
                            vec![eu(), text("method", "PUT"), text("route", &long)],
                            Number::AsInt(5),
                        ),
                        NumberDataPoint {
                            exemplars: vec![exemplar(exemplar::Value::AsInt(2))],
                            ..point(
                                vec![eu(), pair("otel.metric.overflow", Any::BoolValue(true))],
                                Number::AsInt(1),
                            )
                        },
                    ],
                    true,
                ),
            )
        },
        metric("queue", sum(vec![point(vec![], Number::AsInt(-4))], false)),
        metric(
            "heat",
            metric::Data::Gauge(Gauge {
                data_points: vec![point(vec![text("room", "x")], Number::AsDouble(-0.5))],
            }),
        ),
        metric(
            "took",
            metric::Data::Histogram(Histogram {
                data_points: vec![HistogramDataPoint {
                    attributes: vec![text("room", "x")],
                    start_time_unix_nano: 7 * SECOND,
                    time_unix_nano: 100 * SECOND,
                    count: 301,
                    sum: Some(9000.5),
                    bucket_counts: vec![1, 0, 300],
                    explicit_bounds: vec![1.0, 2.5],
                    exemplars: vec![exemplar(exemplar::Value::AsDouble(2.0))],
                    ..HistogramDataPoint::default()
                }],
                aggregation_temporality: AggregationTemporality::Cumulative.into(),
            }),
        ),
        metric(
            "build_info",
            sum(
                vec![point(vec![text("version", "1.2")], Number::AsInt(1))],
                false,
            ),
        ),
        metric(
            "door",
            sum(
                vec![
                    point(vec![text("door", "open")], Number::AsInt(0)),
                    point(vec![text("door", "shut")], Number::AsInt(1)),
                ],
                false,
            ),
        ),
        metric(
            "foreign",
            metric::Data::Gauge(Gauge {
                data_points: vec![point(vec![], Number::AsInt(1))],
            }),
        ),
    ];
    let families = vec![orders, queue, heat, took, build, door, foreign];
    (Table { families }, expected)
}

fn exemplar_message(value: exemplar::Value) -> opentelemetry_proto::tonic::metrics::v1::Exemplar {
    opentelemetry_proto::tonic::metrics::v1::Exemplar {
        filtered_attributes: vec![text("user", "ann")],
        time_unix_nano: 9 * SECOND,
        span_id: 0xdef_u64.to_be_bytes().into(),
        trace_id: 0xabc_u128.to_be_bytes().into(),
        value: Some(value),
    }
}

#[test]
fn every_field_is_decoded_unchanged() {
    let (table, metrics) = one_of_each();
    for encoding in [Encoding::Protobuf, Encoding::Json] {
        let requests = requests(&table, |reader| reader.with_encoding(encoding));
        assert_eq!(requests.len(), 1);
        assert_eq!(requests[0].items, 11);
        assert_eq!(requests[0].newest_unix_nano(), Some(100_000_000_000));
        let resource = opentelemetry_proto::tonic::resource::v1::Resource {
            attributes: vec![text("service.name", "shop")],
            ..Default::default()
        };
        let expected = ExportMetricsServiceRequest {
            resource_metrics: vec![ResourceMetrics {
                resource: Some(resource),
                scope_metrics: vec![ScopeMetrics {
                    metrics: metrics.clone(),
                    ..ScopeMetrics::default()
                }],
                ..ResourceMetrics::default()
            }],
        };
        assert_eq!(decode(&requests[0]), expected, "{encoding:?}");
    }
}

#[test]
fn families_are_grouped_by_scope() {
    let scope = |name: &str| Scope {
        name: name.into(),
        version: "1".into(),
        schema_url: "https://example.com/1".into(),
        attributes: vec![("k".into(), "v".into())],
    };
    let scoped = |name: &str, scope: Option<Scope>| {
        let mut descriptor = Descriptor::new(name, Kind::Gauge);
        descriptor.scope = scope.map(Arc::new);
        Family::new(descriptor).with_pairs(&[], Cell::U64(1))
    };
    let table = Table {
        families: vec![
            scoped("a", Some(scope("x"))),
            scoped("b", Some(scope("x"))),
            scoped("a", Some(scope("y"))),
            scoped("a", Some(scope("x"))),
            scoped("a", None),
        ],
    };
    for encoding in [Encoding::Protobuf, Encoding::Json] {
        let requests = requests(&table, |reader| reader.with_encoding(encoding));
        let scopes = &decode(&requests[0]).resource_metrics[0].scope_metrics;
        let seen: Vec<(Option<&str>, usize)> = scopes
            .iter()
            .map(|s| (s.scope.as_ref().map(|s| &*s.name), s.metrics.len()))
            .collect();
        // The second `a` of `x` is left out.
        assert_eq!(seen, [(Some("x"), 2), (Some("y"), 1), (None, 1)]);
        assert_eq!(
            scopes[0].scope,
            Some(InstrumentationScope {
                name: "x".into(),
                version: "1".into(),
                attributes: vec![text("k", "v")],
                ..InstrumentationScope::default()
            })
        );
        assert_eq!(scopes[0].schema_url, "https://example.com/1");
        assert_eq!(requests[0].items, 4);
    }
}

/// Returns the attributes of each point of a metric.
fn points(metric: &Metric) -> Vec<&[KeyValue]> {
    match metric.data.as_ref().unwrap() {
        metric::Data::Gauge(gauge) => gauge.data_points.iter().map(|p| &*p.attributes).collect(),
        metric::Data::Sum(sum) => sum.data_points.iter().map(|p| &*p.attributes).collect(),
        metric::Data::Histogram(h) => h.data_points.iter().map(|p| &*p.attributes).collect(),
        other => panic!("{other:?}"),
    }
}

proptest! {
    #[test]
    fn requests_are_valid_for_any_source(
        families in vec(family(), 0..5),
        most in 1..8_u64,
        deltas in any::<bool>(),
    ) {
        let mut table = Table { families };
        // The reference decoder's JSON cannot represent these.
        for row in table.families.iter_mut().flat_map(|family| &mut family.rows) {
            if let Cell::F64(value) = &mut row.cell && !value.is_finite() {
                *value = 0.1;
            }
            if let Cell::Buckets { sum, .. } = &mut row.cell && !sum.is_finite() {
                *sum = 0.1;
            }
        }
        let with = |encoding| {
            let temporalities = if deltas { Temporalities::DELTA } else { Temporalities::CUMULATIVE };
            requests(&table, |reader| {
                reader
                    .with_encoding(encoding)
                    .with_temporalities(temporalities)
                    .with_points_per_request(most)
            })
        };
        let requests = with(Encoding::Protobuf);
        let in_json: Vec<_> = with(Encoding::Json).iter().map(decode).collect();
        let decoded: Vec<_> = requests.iter().map(decode).collect();
        prop_assert_eq!(&decoded, &in_json);
        let mut series = HashSet::new();
        for (request, decoded) in requests.iter().zip(&decoded) {
            let mut count = 0;
            let resources = &decoded.resource_metrics;
            prop_assert_eq!(resources.len(), 1);
            for scope in &resources[0].scope_metrics {
                for metric in &scope.metrics {
                    prop_assert!(!metric.name.is_empty());
                    for attributes in points(metric) {
                        let keys: HashSet<_> = attributes.iter().map(|a| &a.key).collect();
                        prop_assert_eq!(keys.len(), attributes.len());
                        count += 1;
                        let id = format!("{:?} {} {attributes:?}", scope.scope, metric.name);
                        prop_assert!(series.insert(id));
                    }
                }
            }
            prop_assert_eq!(count, request.items);
            prop_assert!(count > 0 && count <= most);
        }
    }

    /// However cycles fail, the acknowledged deltas add up to the count.
    #[test]
    fn acknowledged_deltas_add_up(
        steps in vec((vec((0..6_usize, 0..9_u64), 0..6), vec(any::<bool>(), 12)), 1..12),
        most in 1..5_u64,
    ) {
        let live = Live::default();
        let mut reader = MetricReader::new(&resource(), [Arc::new(live.clone()) as Arc<dyn Source>])
            .with_temporalities(Temporalities::DELTA)
            .with_points_per_request(most);
        let mut exported = [(0_i64, [0_u64; 3], 0.0); 6];
        let mut ends = [0; 6];
        let all_acked = (vec![], vec![true; 12]);
        let rounds = steps.iter().chain([&all_acked]).enumerate();
        for (i, (recorded, acks)) in rounds {
            for (series, n) in recorded {
                live.record(*series, *n);
            }
            let now = 100 + i as u64;
            reader.begin(at(now));
            for acked in acks {
                let Some(request) = reader.next_request() else { break };
                if !acked {
                    continue;
                }
                reader.ack();
                for metric in &decode(&request).resource_metrics[0].scope_metrics[0].metrics {
                    match metric.data.as_ref().unwrap() {
                        metric::Data::Sum(sum) => for point in &sum.data_points {
                            let series = series_of(&point.attributes);
                            let Some(Number::AsInt(n)) = point.value else { panic!("{point:?}") };
                            exported[series].0 += n;
                            prop_assert!(n > 0);
                            // The interval of a delta begins where that of the previous one ended.
                            if ends[series] > 0 {
                                prop_assert_eq!(point.start_time_unix_nano, ends[series]);
                            }
                            prop_assert_eq!(point.time_unix_nano, now * SECOND);
                            ends[series] = point.time_unix_nano;
                        },
                        metric::Data::Histogram(h) => for point in &h.data_points {
                            let series = series_of(&point.attributes);
                            for (exported, n) in exported[series].1.iter_mut().zip(&point.bucket_counts) {
                                *exported += n;
                            }
                            exported[series].2 += point.sum.unwrap();
                            prop_assert!(point.count > 0);
                        },
                        other => panic!("{other:?}"),
                    }
                }
            }
        }
        let counted = live.0.lock().unwrap();
        for (series, (n, buckets, sum)) in exported.into_iter().enumerate() {
            prop_assert_eq!(n, counted[series].0.cast_signed());
            prop_assert_eq!(buckets, counted[series].1);
            prop_assert_eq!(sum, counted[series].2);
        }
    }
}

fn series_of(attributes: &[KeyValue]) -> usize {
    match attributes[0]
        .value
        .as_ref()
        .unwrap()
        .value
        .as_ref()
        .unwrap()
    {
        Any::StringValue(text) => text.parse().unwrap(),
        other => panic!("{other:?}"),
    }
}

/// Six counters and six histograms that can be recorded to.
#[derive(Clone, Default)]
struct Live(Arc<Mutex<[Recorded; 6]>>);

/// A count, and the buckets and the sum of a histogram.
type Recorded = (u64, [u64; 3], f64);

impl Live {
    fn record(&self, series: usize, n: u64) {
        let (count, buckets, sum) = &mut self.0.lock().unwrap()[series];
        *count += n;
        buckets[n as usize % 3] += 1;
        *sum += (n % 3) as f64;
    }
}

impl Source for Live {
    fn collect(&self) -> Vec<Arc<dyn FamilyView>> {
        let named = |name, kind| {
            let mut descriptor = Descriptor::new(name, kind);
            descriptor.label_names = ["series".into()].into();
            Family {
                promises_unique_labels: true,
                ..Family::new(descriptor)
            }
        };
        let mut counters = named("n", Kind::Counter);
        let mut histograms = named("h", Kind::Histogram);
        for (i, (count, buckets, sum)) in self.0.lock().unwrap().iter().enumerate() {
            counters = counters.with_values(&[&i.to_string()], Cell::U64(*count));
            let cell = Cell::Buckets {
                bounds: Bounds::new([0.5, 1.5]).unwrap(),
                buckets: buckets.to_vec(),
                sum: *sum,
            };
            histograms = histograms.with_values(&[&i.to_string()], cell);
        }
        Table {
            families: vec![counters, histograms],
        }
        .collect()
    }
}

#[test]
fn requests_stay_below_their_limit_of_bytes() {
    let mut descriptor = Descriptor::new("n", Kind::Counter);
    descriptor.label_names = ["a".into(), "b".into()].into();
    let mut family = Family::new(descriptor);
    family.promises_unique_labels = true;
    for i in 0..3000 {
        let long = "x".repeat(i % 300);
        family = family.with_values(&[&i.to_string(), &long], Cell::U64(i as u64));
    }
    let table = Table {
        families: vec![family],
    };
    for encoding in [Encoding::Protobuf, Encoding::Json] {
        let requests = requests(&table, |reader| {
            reader
                .with_encoding(encoding)
                .with_bytes_per_request(16 << 10)
        });
        assert!(requests.len() > 20);
        assert_eq!(requests.iter().map(|r| r.items).sum::<u64>(), 3000);
        for request in &requests {
            assert!(request.body.len() < 16 << 10);
            decode(request);
        }
        // Each request holds as many points as fit.
        let least = requests.iter().rev().skip(1).map(|r| r.body.len()).min();
        assert!(least > Some(14 << 10), "{least:?}");
    }
}

#[test]
fn two_readers_are_independent() {
    let live = Live::default();
    let source = || [Arc::new(live.clone()) as Arc<dyn Source>];
    let mut cumulative = MetricReader::new(&resource(), source());
    let mut one = MetricReader::new(&resource(), source()).with_temporalities(Temporalities::DELTA);
    let mut other =
        MetricReader::new(&resource(), source()).with_temporalities(Temporalities::LOW_MEMORY);
    let first = |requests: Vec<Request>| -> Option<i64> {
        let decoded = decode(requests.first()?);
        let metric = &decoded.resource_metrics[0].scope_metrics[0].metrics[0];
        let Some(metric::Data::Sum(sum)) = &metric.data else {
            panic!("{metric:?}");
        };
        match sum.data_points[0].value {
            Some(Number::AsInt(n)) => Some(n),
            _ => panic!("{sum:?}"),
        }
    };
    live.record(0, 5);
    assert_eq!(first(round(&mut one, at(1))), Some(5));
    live.record(0, 2);
    assert_eq!(first(round(&mut one, at(2))), Some(2));
    assert_eq!(first(round(&mut other, at(2))), Some(7));
    assert_eq!(first(round(&mut cumulative, at(2))), Some(7));
    assert_eq!(first(round(&mut one, at(3))), None);
    live.record(0, 1);
    assert_eq!(first(round(&mut one, at(4))), Some(1));
    assert_eq!(first(round(&mut other, at(4))), Some(1));
    assert_eq!(first(round(&mut cumulative, at(4))), Some(8));
}
