//! The memory per series, once it exists and was recorded to.
//!
//! Two of the three labels are different for each series, so that a library gains little by
//! interning strings. What the caller allocates for its labels and drops is not counted; what a
//! library keeps is counted, including its tables and their spare capacity.

use fastmetrics::derive::LabelSet;
use measured::text::BufferedTextEncoder;
use measured::{CounterVec, LabelGroup};
use metrics::{Key, Label, Recorder};
use metrics_exporter_prometheus::PrometheusBuilder;
use opentelemetry::KeyValue;
use paracord::ParaCord;
use prometheus::TextEncoder;
use prometheus_client::encoding::EncodeLabelSet;

use crate::measure::{Bytes, Subject};
use crate::page::Expected;
use crate::row::{Contender, Row};
use crate::rows::counters::METADATA;
use crate::rows::otel::Otel;
use crate::rows::ours;
use crate::rows::oxtel::Oxtel;
use crate::workload::METHODS;

pub(crate) const ROWS: &[Row] = &[Row::new(
    "bytes_per_counter_series",
    "bytes",
    "100,000 counters of 3 labels, mostly distinct values",
    counters,
)
.with_at_most_rounds(3)];

fn counters() -> Vec<Contender> {
    vec![
        Contender::ours(ours()),
        Contender::peer("prometheus", prometheus()),
        Contender::peer("prometheus-client", prometheus_client()),
        Contender::peer("fastmetrics", fastmetrics()),
        Contender::peer("metrics", metrics_keys()),
        Contender::peer("oxtel", oxtel_keys()),
        Contender::peer("otel", otel()),
        Contender::shown("measured (it interns)", measured()),
    ]
}

fn ours() -> Box<dyn Subject> {
    let build = || {
        let registry = ours::registry();
        let family = registry
            .counter("orders")
            .build_with_label_names(NAMES)
            .expect("the only family");
        all().for_each(|labels| family.with(&labels.values()).inc());
        (family, registry)
    };
    subject(build, |(_, registry)| Ok(ours::text(registry)))
}

fn prometheus() -> Box<dyn Subject> {
    let build = || {
        let options = prometheus::Opts::new("orders_total", "Orders.");
        let family = prometheus::IntCounterVec::new(options, &NAMES).expect("valid names");
        let registry = prometheus::Registry::new();
        registry
            .register(Box::new(family.clone()))
            .expect("the only family");
        for labels in all() {
            family.with_label_values(&labels.values()).inc();
        }
        (family, registry)
    };
    subject(build, |(_, registry)| {
        let mut text = String::new();
        TextEncoder::new()
            .encode_utf8(&registry.gather(), &mut text)
            .map_err(text_of)?;
        Ok(text)
    })
}

fn prometheus_client() -> Box<dyn Subject> {
    use prometheus_client::metrics::counter::Counter;
    use prometheus_client::metrics::family::Family;
    let build = || {
        let family = Family::<Labels, Counter>::default();
        all().for_each(|labels| {
            family.get_or_create(&labels).inc();
        });
        family
    };
    subject(build, |family| {
        let mut registry = prometheus_client::registry::Registry::default();
        registry.register("orders", "Orders.", family.clone());
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).map_err(text_of)?;
        Ok(text)
    })
}

fn fastmetrics() -> Box<dyn Subject> {
    use fastmetrics::format::text::{TextProfile, encode};
    use fastmetrics::metrics::counter::Counter;
    use fastmetrics::metrics::family::Family;
    let build = || {
        let family = Family::<Labels, Counter>::default();
        all().for_each(|labels| family.with_or_new(&labels, |counter| counter.inc()));
        family
    };
    subject(build, |family| {
        let mut registry = fastmetrics::registry::Registry::default();
        registry
            .register("orders_total", "Orders.", family.clone())
            .map_err(text_of)?;
        let mut text = String::new();
        encode(&mut text, &registry, TextProfile::PrometheusV0_0_4).map_err(text_of)?;
        Ok(text)
    })
}

fn metrics_keys() -> Box<dyn Subject> {
    let build = || {
        let recorder = PrometheusBuilder::new().build_recorder();
        for labels in all() {
            recorder
                .register_counter(&labels.into_key(), &METADATA)
                .increment(1);
        }
        recorder
    };
    subject(build, |recorder| Ok(recorder.handle().render()))
}

fn oxtel_keys() -> Box<dyn Subject> {
    let build = || {
        let oxtel = Oxtel::with_limit(2 * SERIES);
        for labels in all() {
            oxtel.counter(labels.into_key()).increment(1);
        }
        oxtel
    };
    subject(build, |oxtel| Ok(oxtel.page()))
}

fn otel() -> Box<dyn Subject> {
    let build = || {
        let otel = Otel::with_limit(2 * SERIES);
        let counter = otel.meter().u64_counter("orders").build();
        for labels in all() {
            let attributes = labels
                .into_strings()
                .map(|(name, value)| KeyValue::new(name, value));
            counter.add(1, &attributes.collect::<Vec<_>>());
        }
        (counter, otel)
    };
    subject(build, |(_, otel)| Ok(otel.page()))
}

fn measured() -> Box<dyn Subject> {
    use measured::metric::MetricFamilyEncoding;
    use measured::metric::name::MetricName;
    let build = || {
        let set = LearnedSet {
            client: ParaCord::default(),
            method: ParaCord::default(),
            route: ParaCord::default(),
        };
        let family = CounterVec::with_label_set(set);
        for labels in all() {
            let [client, method, route] = labels.values();
            family.inc(Learned {
                client,
                method,
                route,
            });
        }
        family
    };
    subject(build, |family| {
        let mut encoder = BufferedTextEncoder::new();
        let Ok(()) = family.collect_family_into(MetricName::from_str("orders_total"), &mut encoder);
        String::from_utf8(encoder.finish().to_vec()).map_err(text_of)
    })
}

/// Builds with `build`, and checks that all series are on the page that `render` returns.
fn subject<T: 'static>(
    build: impl Fn() -> T + 'static,
    render: impl Fn(&T) -> Result<String, String> + 'static,
) -> Box<dyn Subject> {
    let check = move |built: &T| {
        let mut expected = Expected::default();
        for labels in all() {
            let values = labels.values();
            let pairs: Vec<_> = NAMES.into_iter().zip(values).collect();
            expected.add("orders_total", &pairs, 1.0);
        }
        expected.check(render(built)?.as_bytes())
    };
    Box::new(Bytes::new(SERIES, build, check))
}

fn text_of(error: impl std::fmt::Display) -> String {
    error.to_string()
}

fn all() -> impl Iterator<Item = Labels> {
    (0..SERIES).map(|at| Labels {
        client: format!("c{at:07}"),
        method: METHODS[at % 8].into(),
        route: format!("/api/v1/res{at}"),
    })
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet, LabelSet)]
struct Labels {
    client: String,
    method: String,
    route: String,
}

impl Labels {
    fn values(&self) -> [&str; 3] {
        [&self.client, &self.method, &self.route]
    }

    fn into_strings(self) -> impl Iterator<Item = (&'static str, String)> {
        NAMES
            .into_iter()
            .zip([self.client, self.method, self.route])
    }

    fn into_key(self) -> Key {
        let labels = self
            .into_strings()
            .map(|(name, value)| Label::new(name, value));
        Key::from_parts("orders_total", labels.collect::<Vec<_>>())
    }
}

#[derive(LabelGroup)]
#[label(set = LearnedSet)]
struct Learned<'a> {
    #[label(dynamic_with = ParaCord)]
    client: &'a str,
    #[label(dynamic_with = ParaCord)]
    method: &'a str,
    #[label(dynamic_with = ParaCord)]
    route: &'a str,
}

const NAMES: [&str; 3] = ["client", "method", "route"];
const SERIES: usize = 100_000;
