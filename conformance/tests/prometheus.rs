//! Real Prometheus servers scrape a real service and return exactly what was recorded.

use std::time::{SystemTime, UNIX_EPOCH};

use conformance::{
    load::{self, Load},
    page,
    prometheus::{Client, Prometheus, Release},
    service::Service,
};
use serde_json::Value;

/// The names of a page's families in the server that reads it.
struct Names {
    /// The latency histogram, without the suffixes of its samples.
    latency: &'static str,
    route: &'static str,
    status: &'static str,
    /// Selects the metric with the resource of the service.
    target: &'static str,
}

const ESCAPED: Names = Names {
    latency: "http_server_request_duration_seconds",
    route: "http_route",
    status: "http_response_status_code",
    target: "target_info{service_name=\"shop\"}",
};
const UTF8: Names = Names {
    latency: "http.server.request.duration_seconds",
    route: "http.route",
    status: "http.response.status_code",
    target: "target_info{\"service.name\"=\"shop\"}",
};

impl Names {
    /// Returns a selector of the histogram's samples with a suffix. Names that need quotes are
    /// quoted, which only 3.x supports.
    fn select(&self, suffix: &str, status: &str) -> String {
        let (name, label) = (format!("{}{suffix}", self.latency), self.status);
        match name.contains('.') {
            true => format!("{{\"{name}\",\"{label}\"=\"{status}\"}}"),
            false => format!("{name}{{{label}=\"{status}\"}}"),
        }
    }
}

const ORDERS: u64 = 1000;
const STRAYS: u64 = 50;

#[test]
fn prometheus_3_reads_hello() {
    let (service, load) = loaded(Service::hello());
    let mut server = Prometheus::start(Release::V3, service.page_address());
    arrives(&mut server, &ESCAPED, &load);
    described(&mut server, &ESCAPED);
    traced(&mut server, &ESCAPED, &load);
}

#[test]
fn prometheus_2_42_reads_hello() {
    let (service, load) = loaded(Service::hello());
    let mut server = Prometheus::start(Release::V2, service.page_address());
    arrives(&mut server, &ESCAPED, &load);
    described(&mut server, &ESCAPED);
    traced(&mut server, &ESCAPED, &load);
}

#[test]
fn prometheus_3_reads_names_as_they_are() {
    let (service, load) = loaded(Service::switched(&["utf8"]));
    let mut server = Prometheus::start(Release::V3, service.page_address());
    arrives(&mut server, &UTF8, &load);
    described(&mut server, &UTF8);
    traced(&mut server, &UTF8, &load);
}

#[test]
fn prometheus_2_42_reads_escaped_names_of_a_service_that_speaks_utf_8() {
    let (service, load) = loaded(Service::switched(&["utf8", "created"]));
    let mut server = Prometheus::start(Release::V2, service.page_address());
    arrives(&mut server, &ESCAPED, &load);
    traced(&mut server, &ESCAPED, &load);
}

#[test]
fn prometheus_3_honors_start_times() {
    let service = Service::switched(&["created"]);
    let created = now();
    let (service, load) = loaded(service);
    let ended = now();
    let mut server = Prometheus::start(Release::V3, service.page_address());
    arrives(&mut server, &ESCAPED, &load);
    traced(&mut server, &ESCAPED, &load);
    for series in [
        "orders_total".to_owned(),
        ESCAPED.select("_count", "200"),
        ESCAPED.select("_bucket", "200"),
    ] {
        // A series starts at zero before its first scrape, at the time when it was created.
        let ranges = server.client().query(&format!("{series}[10m]"));
        assert!(!ranges.is_empty(), "no series {series}");
        for range in ranges {
            let (time, value) = (&range["values"][0][0], &range["values"][0][1]);
            let time = time.as_f64().expect("a sample has a time");
            assert_eq!(value, "0", "{series} does not begin at zero: {range}");
            assert!(
                created <= time && time <= ended,
                "{created} <= {time} <= {ended}: {range}"
            );
        }
    }
    let client = server.client();
    let stray = client.query("{__name__=~\".+_created\"}");
    assert!(
        stray.is_empty(),
        "start times have become series: {stray:?}"
    );
}

#[test]
fn the_pages_of_hello_are_clean() {
    let (service, _) = loaded(Service::hello());
    check_pages(&service);
    let page = page::fetch(service.page(), page::OPENMETRICS);
    assert!(
        !page.contains("_created"),
        "start times are off by default:\n{page}"
    );
}

#[test]
fn the_pages_of_a_switched_service_are_clean() {
    let (service, _) = loaded(Service::switched(&["utf8", "created"]));
    check_pages(&service);
    let page = page::fetch(service.page(), page::OPENMETRICS_UTF8);
    assert!(
        page.contains(UTF8.latency) && page.contains("_created"),
        "not switched:\n{page}"
    );
    assert_eq!(page::openmetrics(&page), Ok(()), "{page}");
}

fn check_pages(service: &Service) {
    let text = page::fetch(service.page(), page::TEXT);
    assert_eq!(page::promtool(&text), Ok(()), "{text}");
    let openmetrics = page::fetch(service.page(), page::OPENMETRICS);
    assert_eq!(page::openmetrics(&openmetrics), Ok(()), "{openmetrics}");
    for page in [text, openmetrics] {
        assert!(page.contains("\norders_total{kind=\"web\"} 1000"), "{page}");
        assert!(
            !page.contains("/stray/"),
            "a raw path is on the page:\n{page}"
        );
    }
}

/// Returns the time in seconds since 1970, the unit of Prometheus.
fn now() -> f64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.expect("the clock is past 1970").as_secs_f64()
}

fn loaded(service: Service) -> (Service, Load) {
    let load = load::send(&service.url(), ORDERS, STRAYS);
    (service, load)
}

/// Checks that every request is counted once, and that no scrape failed.
#[track_caller]
fn arrives(server: &mut Prometheus, names: &Names, load: &Load) {
    server.wait_for("first good scrape", |client| {
        client.value("up").filter(|up| *up == 1.0)
    });
    let orders = load.orders as f64;
    let finished = names.select("_count", "200");
    server.wait_for("all requests", |client| {
        client.value(&finished).filter(|count| *count == orders)
    });
    let client = server.client();
    let value = |query: &str| client.value(query);
    assert_eq!(value("orders_total"), Some(orders));
    assert_eq!(value("orders_total{kind=\"web\"}"), Some(orders));
    assert_eq!(
        value(&names.select("_count", "404")),
        Some(load.strays as f64)
    );
    for (status, route, count) in [
        ("200", Some("/orders/{id}"), load.orders),
        ("404", None, load.strays),
    ] {
        let buckets = client.query(&names.select("_bucket", status));
        assert_eq!(buckets.len(), 15, "14 bounds and +Inf: {buckets:?}");
        let last = buckets
            .iter()
            .find(|bucket| bucket["metric"]["le"] == "+Inf");
        let last = last.expect("a histogram has a last bucket");
        assert_eq!(last["value"][1], count.to_string().as_str());
        let found = last["metric"].get(names.route).and_then(Value::as_str);
        assert_eq!(found, route, "the route is the pattern, or absent");
    }
    assert!(value("process_resident_memory_bytes") > Some(1e6));
    assert_eq!(value(names.target), Some(1.0));
    assert_eq!(client.last_error().as_deref(), Some(""));
}

/// Checks types, units and help.
#[track_caller]
fn described(server: &mut Prometheus, names: &Names) {
    let mut of = |family: &str| {
        server.wait_for("metadata", |client: &Client<'_>| {
            // Some versions of the server name a counter with its suffix, others without.
            client
                .metadata(family)
                .or_else(|| client.metadata(&format!("{family}_total")))
        })
    };
    let (kind, unit, help) = of("orders");
    assert_eq!((kind.as_str(), unit.as_str()), ("counter", ""));
    assert_eq!(
        help, "orders",
        "a family that nobody describes has its own name for help"
    );
    let (kind, unit, help) = of(names.latency);
    assert_eq!((kind.as_str(), unit.as_str()), ("histogram", "seconds"));
    assert!(!help.is_empty());
}

/// Checks that the counter and the latency buckets have exemplars, each of a sampled trace.
#[track_caller]
fn traced(server: &mut Prometheus, names: &Names, load: &Load) {
    for query in ["orders_total".to_owned(), names.select("_bucket", "200")] {
        let found = server.wait_for(&format!("exemplar of {query}"), |client: &Client<'_>| {
            Some(client.exemplars(&query)).filter(|found| !found.is_empty())
        });
        for exemplar in found {
            let text = |label: &str| exemplar["labels"][label].as_str().unwrap_or_default();
            let (trace, span) = (text("trace_id"), text("span_id"));
            assert!(
                load.may_have_made(trace, span),
                "not of a sampled trace: {exemplar}"
            );
        }
    }
}
