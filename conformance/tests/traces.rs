//! Every exemplar refers to its trace: one request in a hundred is sampled, and the trace of each
//! exemplar on the page is complete in a real Jaeger, in a real Zipkin, and in the log lines of the
//! service.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use conformance::{
    account::Account,
    jaeger::{Jaeger, Span},
    lines::{ids, lines, saying},
    load,
    receiver::Transport,
    samples::Samples,
    service::{Service, Variables},
    zipkin::Zipkin,
};
use serde_json::Value;

/// With so many requests at 1 % it is practically impossible that none is sampled.
const ORDERS: u64 = 3000;

fn variables(name: &str, jaeger: &Jaeger, transport: Transport) -> Variables {
    let mut variables = jaeger.exporting(name, transport);
    variables.extend([
        ("OTEL_TRACES_SAMPLER", "parentbased_traceidratio".to_owned()),
        ("OTEL_TRACES_SAMPLER_ARG", "0.01".to_owned()),
        ("OTEL_BSP_SCHEDULE_DELAY", "100".to_owned()),
        ("RUST_LOG", "info".to_owned()),
    ]);
    variables
}

/// An exemplar on a page.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Exemplar {
    series: String,
    trace: String,
    span: String,
}

/// Sends orders while the page is scraped, and returns every exemplar that was ever on it.
fn load_and_scrape(service: &Service) -> Vec<Exemplar> {
    let is_over = AtomicBool::new(false);
    let mut exemplars = BTreeSet::new();
    let mut scrape = |page: Samples| {
        let seen = page.exemplars.into_iter();
        exemplars.extend(seen.map(|(series, (trace, span, _))| Exemplar {
            series,
            trace,
            span,
        }));
    };
    thread::scope(|scope| {
        scope.spawn(|| {
            load::send_bare(&service.url(), ORDERS);
            is_over.store(true, Ordering::Relaxed);
        });
        while !is_over.load(Ordering::Relaxed) {
            scrape(service.samples());
            thread::sleep(Duration::from_millis(50));
        }
    });
    scrape(service.samples());
    exemplars.into_iter().collect()
}

/// Returns the trace of an exemplar, which must include its span.
#[track_caller]
fn found(jaeger: &mut Jaeger, exemplar: &Exemplar, spans: usize) -> Vec<Span> {
    let Exemplar {
        series,
        trace,
        span,
    } = exemplar;
    let found = jaeger.trace(trace, spans);
    let ids: Vec<_> = found.iter().map(|span| &span.id).collect();
    assert_eq!(ids.len(), spans, "{series}: {found:#?}");
    assert!(ids.contains(&span), "{series}: no {span} in {found:#?}");
    found
}

/// The number of spans that the service counts as sampled.
fn sampled(page: &Samples) -> f64 {
    let started = page.values.iter().filter(|(series, _)| {
        series.starts_with("otel_sdk_span_started_total{") && series.contains("RECORD_AND_SAMPLE")
    });
    let values = started.map(|(_, value)| value.parse::<f64>().expect("a number"));
    values.sum()
}

#[test]
fn each_exemplar_is_found_by_jaeger_and_in_the_log() {
    let mut jaeger = Jaeger::start();
    for transport in Transport::ALL {
        let name = format!("shop-{}", transport.as_str().replace('/', "-"));
        let service = Service::hello_with(&variables(&name, &jaeger, transport));
        let exemplars = load_and_scrape(&service);
        let sampled = sampled(&service.samples());
        let log = service.end();

        // 30 are expected. Fewer than 5, or more than 100, occur once in many millions of runs.
        assert!((5.0..100.0).contains(&sampled), "{name}: {sampled}");
        let traces = jaeger.traces_of(&name, sampled as usize);
        assert_eq!(traces.len() as f64, sampled, "{name}");

        let lines = saying(&log, "order read");
        assert_eq!(lines.len() as u64, ORDERS, "{name}");
        let lines: BTreeMap<_, _> = lines.iter().map(ids).collect();
        assert_eq!(lines.len() as u64, ORDERS, "{name}: a trace for each order");
        let families = [
            "orders_total{",
            "http_server_request_duration_seconds_bucket{",
        ];
        for family in families {
            let mut all = exemplars.iter();
            assert!(all.any(|one| one.series.starts_with(family)), "{name}");
        }
        for exemplar in &exemplars {
            let span = &found(&mut jaeger, exemplar, 1)[0];
            assert_eq!(span.service, name);
            assert_eq!((&*span.name, span.parent()), ("GET /orders/{id}", None));
            assert_eq!(span.tag("http.route"), Some(&Value::from("/orders/{id}")));
            let line = lines.get(&*exemplar.trace);
            assert_eq!(line, Some(&&*exemplar.span), "{name}: its line");
        }
    }
}

#[test]
fn zipkin_shows_the_same_spans() {
    let mut jaeger = Jaeger::start();
    let mut zipkin = Zipkin::start();
    let mut both = variables("shop", &jaeger, Transport::Protobuf);
    both.insert("OTEL_TRACES_EXPORTER", "otlp,zipkin".to_owned());
    both.insert("OTEL_EXPORTER_ZIPKIN_ENDPOINT", zipkin.endpoint());
    let service = Service::hello_with(&both);
    let exemplars = load_and_scrape(&service);
    service.end();
    assert!(exemplars.len() > 2, "{}", exemplars.len());
    for exemplar in &exemplars {
        let spans = found(&mut jaeger, exemplar, 1);
        compare(&spans, &zipkin.trace(&exemplar.trace, 1));
    }

    // With child spans, events and errors.
    both.insert("OTEL_SERVICE_NAME", "tail-sampling".to_owned());
    both.insert("OTEL_TRACES_SAMPLER", "always_on".to_owned());
    let service = Service::tail_sampling(&[], &both);
    load::send_bare(&service.url(), 20);
    let log = service.end();
    let lines = saying(&log, "order looked up");
    assert_eq!(lines.len(), 20);
    let mut failed = 0;
    for line in &lines {
        let (trace, span) = ids(line);
        let spans = jaeger.trace(trace, 2);
        assert_eq!(spans.len(), 2, "{spans:#?}");
        let inner = spans.iter().find(|other| other.id == span);
        let inner = inner.expect("the span of the line");
        let outer = spans.iter().find(|other| other.id != span);
        assert_eq!(inner.parent(), outer.map(|outer| &*outer.id));
        failed += usize::from(inner.tag("error").is_some());
        compare(&spans, &zipkin.trace(trace, 2));
    }
    assert_eq!(failed, 1);
}

/// Compares the same spans in both.
#[track_caller]
fn compare(jaeger: &[Span], zipkin: &[Value]) {
    assert_eq!(jaeger.len(), zipkin.len(), "{jaeger:#?}\n{zipkin:#?}");
    for span in jaeger {
        let other = zipkin.iter().find(|other| other["id"] == *span.id);
        let other = other.unwrap_or_else(|| panic!("no {} in {zipkin:#?}", span.id));
        let what = format!("{span:#?}\n{other:#?}");
        assert_eq!(other["parentId"].as_str(), span.parent(), "{what}");
        // Zipkin converts names to lower case.
        assert_eq!(other["name"], span.name.to_lowercase(), "{what}");
        let service = &other["localEndpoint"]["serviceName"];
        assert_eq!(*service, span.service, "{what}");
        assert_eq!(other["timestamp"], span.start, "{what}");
        // Zipkin does not store a duration of 0.
        assert_eq!(other["duration"], span.duration.max(1), "{what}");
        let annotations = other["annotations"].as_array().map_or(0, Vec::len);
        assert_eq!(annotations, span.events().len(), "{what}");
        let kind = other["kind"].as_str().unwrap_or("INTERNAL");
        let expected = span.tag("span.kind").and_then(Value::as_str);
        assert_eq!(Some(&*kind.to_lowercase()), expected, "{what}");
        let tags = other["tags"].as_object().expect("tags");
        // Jaeger adds these for the kind, the format and the status.
        let own = ["span.kind", "internal.span.format", "error"];
        for (name, value) in span.tags().filter(|(name, _)| !own.contains(name)) {
            let value = value.as_str().map_or(value.to_string(), str::to_owned);
            assert_eq!(tags.get(name), Some(&Value::from(value)), "{name}: {what}");
        }
        let failed = span.tag("error").is_some();
        assert_eq!(tags.contains_key("error"), failed, "{what}");
    }
}

#[test]
fn exemplars_of_tail_sampled_traces_are_found() {
    let mut jaeger = Jaeger::start();
    // Once with a rate limit that is high enough, and once with one that is far too low.
    for rate in ["100000", "5"] {
        let name = format!("tail-sampling-{rate}");
        let variables = variables(&name, &jaeger, Transport::Grpc);
        let service = Service::tail_sampling(&[rate], &variables);
        let exemplars = load_and_scrape(&service);
        let page = service.samples();
        let log = service.end();

        let count = |what: &str| page.sum(&format!("tail_sampling_{what}_total"));
        let refused = count("refused");
        assert_eq!(refused > 0.0, rate == "5", "{name}: {refused} refused");
        // More than 1 % sampling would have given: exemplars of traces kept by tail sampling are
        // included.
        assert!(exemplars.len() > 8, "{name}: {}", exemplars.len());
        let lines = lines(&log);
        let said: BTreeSet<_> = lines.iter().map(|line| ids(line).0).collect();
        let mut kept = BTreeSet::new();
        for exemplar in &exemplars {
            let spans = found(&mut jaeger, exemplar, 2);
            let root = spans.iter().find(|span| span.parent().is_none());
            let root = root.expect("a root");
            let reason = |span: &Span| span.tag("barograph.tail_sampling.reason").cloned();
            assert!(spans.iter().all(|span| reason(span) == reason(root)));
            kept.extend(
                reason(root)
                    .as_ref()
                    .and_then(Value::as_str)
                    .map(str::to_owned),
            );
            assert!(said.contains(&*exemplar.trace), "{name}: its lines");
        }
        assert!(kept.contains("exemplar"), "{name}: {kept:?}");
        let failed = saying(&log, "order is gone");
        assert_eq!(failed.len(), 30, "{name}");
        if rate == "5" {
            continue;
        }
        // With a high rate limit, each failed or slow order is there, and nothing else except
        // sampled traces.
        for line in &failed {
            assert_eq!(jaeger.trace(ids(line).0, 2).len(), 2);
        }
        let wanted = ["error", "slow", "exemplar"].map(count).iter().sum::<f64>();
        let sampled = sampled(&page) / 2.0;
        let traces = jaeger.traces_of(&name, (wanted + sampled) as usize);
        assert_eq!(traces.len() as f64, wanted + sampled, "{name}");
        assert!(count("slow") > 0.0 && count("exemplar") > 0.0, "{name}");
        assert!(Account::of(&page).is_even(), "{name}");
    }
}
