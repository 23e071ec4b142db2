//! One Prometheus scrapes a service and receives its OTLP: after the load every series has the same
//! value on both paths.

use std::{
    thread,
    time::{Duration, Instant},
};

use conformance::{
    child::PATIENCE,
    load,
    prometheus::{Prometheus, Release},
    receiver::{Transport, pushing},
    samples::Samples,
    service::{Service, free_address},
};

const ORDERS: u64 = 1000;
const STRAYS: u64 = 50;
const SERVICE: &str = "pushed";
const SCRAPED: &str = "pulled";

#[test]
fn hello_has_equal_values_by_pull_and_push() {
    let (service, server) = start(Service::hello_with);
    let load = load::send(&service.url(), ORDERS, STRAYS);
    let (pulled, pushed) = settled(&service, &server);
    for samples in [&pulled, &pushed] {
        let orders = samples.value("orders_total{kind=\"web\"}");
        assert_eq!(orders, Some(load.orders as f64), "{samples:?}");
        let requests = samples.sum("http_server_request_duration_seconds_count");
        assert_eq!(requests, (load.orders + load.strays) as f64);
        for (trace, span, _) in samples.exemplars.values() {
            assert!(load.may_have_made(trace, span), "{samples:?}");
        }
    }
}

#[test]
fn every_instrument_has_equal_values_by_pull_and_push() {
    let (service, server) = start(Service::instruments);
    for _ in 0..3 {
        service.ask("/load/500");
    }
    let (pulled, _) = settled(&service, &server);
    assert_eq!(pulled.value("orders_total"), Some(4.0 * 500.0 * 3.0));
}

/// Starts a service and a server. The port of the page is chosen in advance, since each of the two
/// needs the address of the other at startup.
fn start(service: fn(&conformance::service::Variables) -> Service) -> (Service, Prometheus) {
    let page = free_address();
    let server = Prometheus::start(Release::V3, &page.to_string());
    let mut variables = pushing(SERVICE, &server.endpoint(), Transport::Protobuf);
    variables.insert("OTEL_EXPORTER_PROMETHEUS_PORT", page.port().to_string());
    variables.insert("OTEL_METRIC_EXPORT_INTERVAL", "200".to_owned());
    (service(&variables), server)
}

/// Waits until the scraped and the pushed samples both equal the page, and returns both.
#[track_caller]
fn settled(service: &Service, server: &Prometheus) -> (Samples, Samples) {
    let page = service.samples().without_volatile();
    let mut last = Vec::new();
    for job in [SCRAPED, SERVICE] {
        let begun = Instant::now();
        let samples = loop {
            let samples = of(server.client().samples(job));
            // Only values are compared: the server keeps the last exemplar that it received.
            if samples.values == page.values {
                break samples;
            }
            assert!(
                begun.elapsed() < PATIENCE,
                "what is {job} is not what is on the page: {:#?}",
                page.differences(&samples)
            );
            thread::sleep(Duration::from_millis(100));
        };
        assert!(samples.values.len() > 40, "{samples:?}");
        last.push(samples);
    }
    let (pushed, pulled) = (last.remove(1), last.remove(0));
    pulled.check_same(&pushed, "pulled and pushed");
    assert!(!pushed.exemplars.is_empty(), "no exemplars: {pushed:?}");
    assert_eq!(server.client().last_error().as_deref(), Some(""));
    (pulled, pushed)
}

/// Removes the samples that the server adds, and normalizes those that it represents in two ways.
fn of(samples: Samples) -> Samples {
    let mut samples = samples.without_volatile();
    let stays = |series: &str| series != "up" && !series.starts_with("scrape_");
    samples.values.retain(|series, _| stays(series));
    // A gauge with unit 1 has no suffix by OpenTelemetry's rules. The server adds one to pushed
    // metrics.
    if let Some(value) = samples.values.remove("seen_share_ratio") {
        samples.values.insert("seen_share".to_owned(), value);
    }
    // Up-down counters are gauges on a page, and gauges have no exemplars there.
    let grows = |series: &str| series.contains("_total") || series.contains("_bucket{");
    samples.exemplars.retain(|series, _| grows(series));
    samples
}
