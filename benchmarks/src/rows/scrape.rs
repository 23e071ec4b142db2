//! A scrape: from live series to the bytes of a text page.
//!
//! Each library reuses the buffer of the previous scrape if its API permits it, as if the response
//! could be reused. barograph passes its chunks on one by one, as to a socket.

use barograph_encode::prometheus::Compression;
use barograph_model::bounds::Bounds;
use fastmetrics::derive::LabelSet;
use measured::metric::MetricFamilyEncoding;
use measured::metric::histogram::Thresholds;
use measured::metric::name::MetricName;
use measured::text::BufferedTextEncoder;
use measured::{CounterVec, HistogramVec, LabelGroup};
use metrics::{Key, Label, Recorder};
use metrics_exporter_prometheus::PrometheusBuilder;
use opentelemetry::KeyValue;
use paracord::ParaCord;
use prometheus::TextEncoder;
use prometheus_client::encoding::EncodeLabelSet;

use crate::measure::{Page, Rendered, Sink, Subject, gzipped};
use crate::page::Expected;
use crate::row::{Contender, Row};
use crate::rows::counters::METADATA;
use crate::rows::otel::Otel;
use crate::rows::ours;
use crate::rows::oxtel::Oxtel;
use crate::workload::{BOUNDS_11, METHODS, STATUSES};

pub(crate) const ROWS: &[Row] = &[
    Row::new(
        "scrape_10k",
        "ns/line",
        "10,000 counters of 5 labels as text 0.0.4",
        || counters(10_000, Encoding::Identity),
    ),
    Row::new(
        "scrape_1m",
        "ns/line",
        "a million counters of 5 labels as text 0.0.4",
        || counters(1_000_000, Encoding::Identity),
    )
    .with_at_most_rounds(5),
    Row::new(
        "scrape_1m_gzip",
        "ns/line",
        "the same page, compressed: gzip, level 1",
        || counters(1_000_000, Encoding::Gzip),
    )
    .with_at_most_rounds(5),
    Row::new(
        "scrape_histograms_1k",
        "ns/line",
        "1,000 histograms of 11 bounds, 5 labels",
        histograms,
    ),
];

/// The content encoding of the page.
#[derive(Clone, Copy)]
enum Encoding {
    Identity,
    Gzip,
}

fn counters(series: usize, encoding: Encoding) -> Vec<Contender> {
    let mut expected = Expected::default();
    for at in 0..series {
        let labels = Labels::of(at);
        expected.add("http_requests_total", &labels.pairs(), count_of(at) as f64);
    }
    let subject = |page: Page| encoding.subject(page, expected);
    vec![
        Contender::ours(Box::new(Rendered::new(
            ours_counters(series, encoding),
            expected,
        ))),
        Contender::peer("prometheus", subject(prometheus_counters(series))),
        Contender::peer(
            "prometheus-client",
            subject(prometheus_client_counters(series)),
        ),
        Contender::peer("fastmetrics", subject(fastmetrics_counters(series))),
        Contender::peer("measured", subject(measured_counters(series))),
        Contender::peer("metrics", subject(metrics_counters(series))),
        Contender::peer("oxtel", subject(oxtel_counters(series))),
        Contender::peer("otel", subject(otel_counters(series))),
    ]
}

fn histograms() -> Vec<Contender> {
    let mut expected = Expected::default();
    (0..HISTOGRAMS).for_each(|at| expect_histogram(&mut expected, at));
    let subject = |page: Page| Encoding::Identity.subject(page, expected);
    vec![
        Contender::ours(subject(ours_histograms())),
        Contender::peer("prometheus", subject(prometheus_histograms())),
        Contender::peer("prometheus-client", subject(prometheus_client_histograms())),
        Contender::peer("fastmetrics", subject(fastmetrics_histograms())),
        Contender::peer("measured", subject(measured_histograms())),
        Contender::peer("metrics", subject(metrics_histograms())),
        Contender::peer("oxtel", subject(oxtel_histograms())),
        Contender::peer("otel", subject(otel_histograms())),
    ]
}

impl Encoding {
    /// Returns a peer's page, compressed outside the library if the row requires it.
    fn subject(self, page: Page, expected: Expected) -> Box<dyn Subject> {
        match self {
            Self::Identity => Box::new(Rendered::new(page, expected)),
            Self::Gzip => Box::new(Rendered::new(gzipped(page), expected)),
        }
    }
}

fn ours_counters(series: usize, encoding: Encoding) -> Page {
    let registry = ours::registry();
    let builder = registry.counter("http_requests").with_help(HELP);
    let family = builder
        .build_with_label_names(NAMES)
        .expect("the only family");
    for at in 0..series {
        family.with(&Labels::of(at).values()).add(count_of(at));
    }
    let compression = match encoding {
        Encoding::Identity => Compression::Identity,
        Encoding::Gzip => Compression::Gzip,
    };
    ours::page(&registry, compression)
}

fn ours_histograms() -> Page {
    let registry = ours::registry();
    let bounds = Bounds::new(BOUNDS_11).expect("bounds that rise");
    let builder = registry
        .histogram("took_seconds")
        .with_help(HELP)
        .with_bounds(bounds);
    let family = builder
        .build_with_label_names(NAMES)
        .expect("the only family");
    for at in 0..HISTOGRAMS {
        let labels = Labels::of(at);
        observed_by(at).for_each(|value| family.with(&labels.values()).observe(value));
    }
    ours::page(&registry, Compression::Identity)
}

fn prometheus_counters(series: usize) -> Page {
    let options = prometheus::Opts::new("http_requests_total", HELP);
    let family = prometheus::IntCounterVec::new(options, &NAMES).expect("valid names");
    let registry = prometheus::Registry::new();
    registry
        .register(Box::new(family.clone()))
        .expect("the only family");
    for at in 0..series {
        family
            .with_label_values(&Labels::of(at).values())
            .inc_by(count_of(at));
    }
    prometheus_page(registry)
}

fn prometheus_histograms() -> Page {
    let options = prometheus::HistogramOpts::new("took_seconds", HELP).buckets(BOUNDS_11.to_vec());
    let family = prometheus::HistogramVec::new(options, &NAMES).expect("valid names");
    let registry = prometheus::Registry::new();
    registry
        .register(Box::new(family.clone()))
        .expect("the only family");
    for at in 0..HISTOGRAMS {
        let histogram = family.with_label_values(&Labels::of(at).values());
        observed_by(at).for_each(|value| histogram.observe(value));
    }
    prometheus_page(registry)
}

fn prometheus_page(registry: prometheus::Registry) -> Page {
    page(move |text| {
        TextEncoder::new()
            .encode_utf8(&registry.gather(), text)
            .expect("a string takes all that is written");
    })
}

fn prometheus_client_counters(series: usize) -> Page {
    use prometheus_client::metrics::counter::Counter;
    use prometheus_client::metrics::family::Family;
    let family = Family::<Labels, Counter>::default();
    for at in 0..series {
        family.get_or_create(&Labels::of(at)).inc_by(count_of(at));
    }
    let mut registry = prometheus_client::registry::Registry::default();
    registry.register("http_requests", HELP, family);
    prometheus_client_page(registry)
}

fn prometheus_client_histograms() -> Page {
    use prometheus_client::metrics::family::Family;
    use prometheus_client::metrics::histogram::Histogram;
    let family = Family::<Labels, Histogram>::new_with_constructor(|| Histogram::new(BOUNDS_11));
    for at in 0..HISTOGRAMS {
        let histogram = family.get_or_create(&Labels::of(at));
        observed_by(at).for_each(|value| histogram.observe(value));
    }
    let mut registry = prometheus_client::registry::Registry::default();
    registry.register("took_seconds", HELP, family);
    prometheus_client_page(registry)
}

fn prometheus_client_page(registry: prometheus_client::registry::Registry) -> Page {
    page(move |text| {
        prometheus_client::encoding::prometheus_text::encode(text, &registry)
            .expect("a string takes all that is written");
    })
}

fn fastmetrics_counters(series: usize) -> Page {
    use fastmetrics::metrics::counter::Counter;
    use fastmetrics::metrics::family::Family;
    let family = Family::<Labels, Counter>::default();
    for at in 0..series {
        family.with_or_new(&Labels::of(at), |counter| counter.inc_by(count_of(at)));
    }
    let mut registry = fastmetrics::registry::Registry::default();
    registry
        .register("http_requests_total", HELP, family)
        .expect("the only family");
    fastmetrics_page(registry)
}

fn fastmetrics_histograms() -> Page {
    use fastmetrics::metrics::family::Family;
    use fastmetrics::metrics::histogram::Histogram;
    let family = Family::<Labels, Histogram>::new(|| Histogram::new(BOUNDS_11));
    for at in 0..HISTOGRAMS {
        family.with_or_new(&Labels::of(at), |histogram| {
            observed_by(at).for_each(|value| histogram.observe(value));
        });
    }
    let mut registry = fastmetrics::registry::Registry::default();
    registry
        .register("took_seconds", HELP, family)
        .expect("the only family");
    fastmetrics_page(registry)
}

fn fastmetrics_page(registry: fastmetrics::registry::Registry) -> Page {
    use fastmetrics::format::text::{TextProfile, encode};
    page(move |text| {
        encode(text, &registry, TextProfile::PrometheusV0_0_4)
            .expect("a string takes all that is written");
    })
}

fn measured_counters(series: usize) -> Page {
    let family = CounterVec::with_label_set(learned_set());
    for at in 0..series {
        let labels = Labels::of(at);
        family.inc_by(labels.learned(), count_of(at));
    }
    let mut encoder = BufferedTextEncoder::new();
    Box::new(move |sink: Sink<'_>| {
        let name = MetricName::from_str("http_requests_total");
        let Ok(()) = family.collect_family_into(name, &mut encoder);
        sink(&encoder.finish());
    })
}

fn measured_histograms() -> Page {
    let bounds = Thresholds::with_buckets(BOUNDS_11);
    let family = HistogramVec::with_label_set_and_metadata(learned_set(), bounds);
    for at in 0..HISTOGRAMS {
        let labels = Labels::of(at);
        observed_by(at).for_each(|value| family.observe(labels.learned(), value));
    }
    let mut encoder = BufferedTextEncoder::new();
    Box::new(move |sink: Sink<'_>| {
        let Ok(()) = family.collect_family_into(MetricName::from_str("took_seconds"), &mut encoder);
        sink(&encoder.finish());
    })
}

fn metrics_counters(series: usize) -> Page {
    let recorder = PrometheusBuilder::new().build_recorder();
    for at in 0..series {
        let key = Key::from_parts("http_requests_total", Labels::of(at).into_labels());
        recorder
            .register_counter(&key, &METADATA)
            .increment(count_of(at));
    }
    let handle = recorder.handle();
    Box::new(move |sink: Sink<'_>| sink(handle.render().as_bytes()))
}

fn metrics_histograms() -> Page {
    let builder = PrometheusBuilder::new()
        .set_buckets(&BOUNDS_11)
        .expect("there are bounds");
    let recorder = builder.build_recorder();
    for at in 0..HISTOGRAMS {
        let key = Key::from_parts("took_seconds", Labels::of(at).into_labels());
        let histogram = recorder.register_histogram(&key, &METADATA);
        observed_by(at).for_each(|value| histogram.record(value));
    }
    let handle = recorder.handle();
    Box::new(move |sink: Sink<'_>| sink(handle.render().as_bytes()))
}

fn oxtel_counters(series: usize) -> Page {
    let oxtel = Oxtel::with_limit(2 * series);
    for at in 0..series {
        let key = Key::from_parts("http_requests", Labels::of(at).into_labels());
        oxtel.counter(key).increment(count_of(at));
    }
    Box::new(move |sink: Sink<'_>| sink(oxtel.page().as_bytes()))
}

fn oxtel_histograms() -> Page {
    let oxtel = Oxtel::with_limit(2 * HISTOGRAMS);
    for at in 0..HISTOGRAMS {
        let key = Key::from_parts("took_seconds", Labels::of(at).into_labels());
        let histogram = oxtel.histogram(key);
        observed_by(at).for_each(|value| histogram.record(value));
    }
    Box::new(move |sink: Sink<'_>| sink(oxtel.page().as_bytes()))
}

fn otel_counters(series: usize) -> Page {
    let otel = Otel::with_limit(2 * series);
    let counter = otel.meter().u64_counter("http_requests").build();
    for at in 0..series {
        counter.add(count_of(at), &Labels::of(at).into_attributes());
    }
    otel_page(otel)
}

fn otel_histograms() -> Page {
    let otel = Otel::with_limit(2 * HISTOGRAMS);
    let meter = otel.meter();
    let histogram = meter
        .f64_histogram("took_seconds")
        .with_boundaries(BOUNDS_11.to_vec())
        .build();
    for at in 0..HISTOGRAMS {
        let attributes = Labels::of(at).into_attributes();
        observed_by(at).for_each(|value| histogram.record(value, &attributes));
    }
    otel_page(otel)
}

fn otel_page(otel: Otel) -> Page {
    page(move |text| otel.render(text))
}

/// A page that is rendered into one string, which is reused between scrapes.
fn page(mut render: impl FnMut(&mut String) + 'static) -> Page {
    let mut text = String::new();
    Box::new(move |sink: Sink<'_>| {
        text.clear();
        render(&mut text);
        sink(text.as_bytes());
    })
}

/// Five labels in alphabetical order: some libraries sort them, others write them as declared.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet, LabelSet)]
pub(super) struct Labels {
    code: String,
    host: String,
    method: String,
    path: String,
    zone: String,
}

impl Labels {
    pub(super) fn of(at: usize) -> Self {
        Self {
            code: STATUSES[at / 8 % 10].into(),
            host: format!("node-{}", at % 31),
            method: METHODS[at % 8].into(),
            path: format!("/api/v1/resource/{}", at / 80),
            zone: ZONES[at % 3].into(),
        }
    }

    pub(super) fn values(&self) -> [&str; 5] {
        [&self.code, &self.host, &self.method, &self.path, &self.zone]
    }

    pub(super) fn pairs(&self) -> Vec<(&'static str, &str)> {
        NAMES.into_iter().zip(self.values()).collect()
    }

    fn learned(&self) -> Learned<'_> {
        let [code, host, method, path, zone] = self.values();
        Learned {
            code,
            host,
            method,
            path,
            zone,
        }
    }

    fn into_strings(self) -> impl Iterator<Item = (&'static str, String)> {
        NAMES
            .into_iter()
            .zip([self.code, self.host, self.method, self.path, self.zone])
    }

    pub(super) fn into_labels(self) -> Vec<Label> {
        self.into_strings()
            .map(|(name, value)| Label::new(name, value))
            .collect()
    }

    pub(super) fn into_attributes(self) -> Vec<KeyValue> {
        self.into_strings()
            .map(|(name, value)| KeyValue::new(name, value))
            .collect()
    }
}

#[derive(LabelGroup)]
#[label(set = LearnedSet)]
struct Learned<'a> {
    #[label(dynamic_with = ParaCord)]
    code: &'a str,
    #[label(dynamic_with = ParaCord)]
    host: &'a str,
    #[label(dynamic_with = ParaCord)]
    method: &'a str,
    #[label(dynamic_with = ParaCord)]
    path: &'a str,
    #[label(dynamic_with = ParaCord)]
    zone: &'a str,
}

fn learned_set() -> LearnedSet {
    LearnedSet {
        code: ParaCord::default(),
        host: ParaCord::default(),
        method: ParaCord::default(),
        path: ParaCord::default(),
        zone: ParaCord::default(),
    }
}

/// Returns a counter's value with one to six digits.
pub(super) fn count_of(at: usize) -> u64 {
    (at as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32 & 0xf_ffff
}

/// Returns the values that a histogram observes. Their sums are exact in any order, so that all
/// libraries' pages have the same sum to the last digit.
fn observed_by(at: usize) -> impl Iterator<Item = f64> {
    (0..20).map(move |step| ((at * 7_919 + step * step * 613) % 11_264) as f64 / 1_024.0)
}

fn expect_histogram(expected: &mut Expected, at: usize) {
    let labels = Labels::of(at);
    let pairs = labels.pairs();
    let bounds = BOUNDS_11.into_iter().chain([f64::INFINITY]);
    for bound in bounds {
        let count = observed_by(at).filter(|value| *value <= bound).count();
        let le = bound.to_string();
        let with_bound: Vec<_> = pairs.iter().copied().chain([("le", &*le)]).collect();
        expected.add("took_seconds_bucket", &with_bound, count as f64);
    }
    expected.add("took_seconds_count", &pairs, observed_by(at).count() as f64);
    expected.add("took_seconds_sum", &pairs, observed_by(at).sum());
}

pub(super) const NAMES: [&str; 5] = ["code", "host", "method", "path", "zone"];
const ZONES: [&str; 3] = ["eu-west-1a", "eu-west-1b", "us-east-1c"];
const HELP: &str = "Measured here.";
const HISTOGRAMS: usize = 1_000;
