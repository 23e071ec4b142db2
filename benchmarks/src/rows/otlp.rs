//! An OTLP push: from live series to the bytes of OTLP requests in protobuf.
//!
//! barograph makes requests of 10,000 points. The SDK makes a single request, and so does oxtel;
//! receivers would refuse it. Both collect into one set of structs, convert them to those of the schema
//! and encode these.

use std::sync::{Arc, Weak};
use std::time::{Duration, SystemTime};

use barograph_encode::otlp::MetricReader;
use barograph_model::resource::Resource;
use barograph_model::snapshot::Source;
use metrics::Key;
use opentelemetry::metrics::MeterProvider;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::metrics::v1::{metric, number_data_point};
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::metrics::data::ResourceMetrics;
use opentelemetry_sdk::metrics::reader::MetricReader as SdkReader;
use opentelemetry_sdk::metrics::{
    Instrument, InstrumentKind, ManualReader, Pipeline, SdkMeterProvider, Stream, Temporality,
};
use prost::Message;

use crate::measure::{Allocations, Page, Rendered, Sink};
use crate::page::Expected;
use crate::row::{Contender, Row};
use crate::rows::ours;
use crate::rows::oxtel::{self, Oxtel};
use crate::rows::scrape::{Labels, NAMES, count_of};

pub(crate) const ROWS: &[Row] = &[
    Row::new(
        "otlp_encode_10k",
        "ns/point",
        "10,000 counters of 5 labels, collected and encoded for OTLP",
        || encode(10_000),
    ),
    Row::new(
        "otlp_encode_1m",
        "ns/point",
        "a million counters of 5 labels, collected and encoded for OTLP",
        || encode(1_000_000),
    )
    .with_at_most_rounds(5),
    Row::new(
        "otlp_allocs_per_point",
        "1/point",
        "allocations for each of 100,000 points, collected and encoded",
        allocations,
    )
    .with_at_most_rounds(3),
];

fn encode(series: usize) -> Vec<Contender> {
    let [ours, oxtel, otel] = all(series);
    vec![
        Contender::ours(Box::new(ours)),
        Contender::peer("oxtel", Box::new(oxtel)),
        Contender::peer("otel", Box::new(otel)),
    ]
}

fn allocations() -> Vec<Contender> {
    let [ours, oxtel, otel] = all(100_000);
    vec![
        Contender::ours(Box::new(Allocations::new(ours))),
        Contender::peer("oxtel", Box::new(Allocations::new(oxtel))),
        Contender::peer("otel", Box::new(Allocations::new(otel))),
    ]
}

fn all(series: usize) -> [Rendered; 3] {
    let mut expected = Expected::default();
    for at in 0..series {
        expected.add(NAME, &Labels::of(at).pairs(), count_of(at) as f64);
    }
    let pages = [
        our_requests(series),
        oxtel_request(series),
        otel_request(series),
    ];
    pages.map(|page| {
        Rendered::checked(
            page,
            expected.lines(),
            Box::new(move |body| check(body, expected)),
        )
    })
}

fn our_requests(series: usize) -> Page {
    let registry = ours::registry();
    let family = registry
        .counter(NAME)
        .build_with_label_names(NAMES)
        .expect("the only family");
    for at in 0..series {
        family.with(&Labels::of(at).values()).add(count_of(at));
    }
    let source: Arc<dyn Source> = Arc::new(registry);
    let mut reader = MetricReader::new(&Resource::new(), [source]);
    Box::new(move |sink: Sink<'_>| {
        reader.begin(SystemTime::now());
        while let Some(request) = reader.next_request() {
            sink(&request.body);
            reader.ack();
        }
    })
}

/// Encodes a request of oxtel with the calls that its exporter makes before it sends one.
fn oxtel_request(series: usize) -> Page {
    let oxtel = Oxtel::with_limit(2 * series);
    for at in 0..series {
        let key = Key::from_parts(NAME, Labels::of(at).into_labels());
        oxtel.counter(key).increment(count_of(at));
    }
    let resource = oxtel::resource();
    Box::new(move |sink: Sink<'_>| {
        let families = oxtel.provider().collect();
        let request = oxtel_otlp::transform::metrics_request(&families, &resource);
        sink(&request.encode_to_vec());
    })
}

fn otel_request(series: usize) -> Page {
    let reader = Shared(Arc::new(ManualReader::builder().build()));
    let limit = move |_: &Instrument| {
        Stream::builder()
            .with_cardinality_limit(2 * series)
            .build()
            .ok()
    };
    let provider = SdkMeterProvider::builder()
        .with_reader(reader.clone())
        .with_view(limit)
        .build();
    let counter = provider.meter("benchmarks").u64_counter(NAME).build();
    for at in 0..series {
        counter.add(count_of(at), &Labels::of(at).into_attributes());
    }
    let mut collected = ResourceMetrics::default();
    let mut body = Vec::new();
    Box::new(move |sink: Sink<'_>| {
        // The provider must live as long as the page is rendered.
        let _provider = &provider;
        reader.collect(&mut collected).expect("it is not shut down");
        let request = ExportMetricsServiceRequest::from(&collected);
        body.clear();
        request
            .encode(&mut body)
            .expect("a vector takes all that is written");
        sink(&body);
    })
}

/// A reader that is shared by the provider and the row.
#[derive(Clone, Debug)]
struct Shared(Arc<ManualReader>);

impl SdkReader for Shared {
    fn register_pipeline(&self, pipeline: Weak<Pipeline>) {
        self.0.register_pipeline(pipeline);
    }

    fn collect(&self, metrics: &mut ResourceMetrics) -> OTelSdkResult {
        self.0.collect(metrics)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.0.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.0.shutdown_with_timeout(timeout)
    }

    fn temporality(&self, kind: InstrumentKind) -> Temporality {
        self.0.temporality(kind)
    }
}

/// Concatenated requests decode as one request that has everything, since protobuf messages merge.
fn check(body: &[u8], expected: Expected) -> Result<(), String> {
    let request = ExportMetricsServiceRequest::decode(body).map_err(|error| error.to_string())?;
    let mut found = Expected::default();
    let scopes = request
        .resource_metrics
        .iter()
        .flat_map(|r| &r.scope_metrics);
    for metric in scopes.flat_map(|scope| &scope.metrics) {
        let Some(metric::Data::Sum(sum)) = &metric.data else {
            return Err(format!("{} is no sum", metric.name));
        };
        for point in &sum.data_points {
            let labels: Vec<(&str, &str)> = point
                .attributes
                .iter()
                .map(|pair| {
                    let value = pair.value.as_ref().and_then(|value| value.value.as_ref());
                    match value {
                        Some(Value::StringValue(text)) => (&*pair.key, &**text),
                        _ => (&*pair.key, ""),
                    }
                })
                .collect();
            let value = match point.value {
                Some(number_data_point::Value::AsInt(value)) => value as f64,
                Some(number_data_point::Value::AsDouble(value)) => value,
                None => f64::NAN,
            };
            found.add(&metric.name, &labels, value);
        }
    }
    match found == expected {
        true => Ok(()),
        false => Err(format!(
            "requests hold {} points, {} expected",
            found.lines(),
            expected.lines()
        )),
    }
}

const NAME: &str = "http_requests";
