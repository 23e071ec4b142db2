//! The responses of the admin pages.

use barograph::Registry;
use barograph::testing::Capture;
use barograph::testing::TestBuilder as _;
use std::error::Error;

use crate::client::{ask, get};
use crate::service::{Wide, address, builder};

#[test]
fn a_scraper_gets_what_it_asks_for() -> Result<(), Box<dyn Error>> {
    let registry = Registry::new();
    registry.counter("orders").build()?.add(3);
    let telemetry = builder(&registry).start()?;
    let there = address(&telemetry);

    let page = get(there, "/metrics?ignored=1");
    assert_eq!(page.status, 200);
    assert_eq!(
        page.header("content-type"),
        Some("text/plain; version=0.0.4; charset=utf-8")
    );
    assert!(page.text().contains("\norders_total 3\n"));
    assert!(page.text().contains("\nprocess_start_time_seconds "));
    assert!(
        page.text()
            .contains("\nbarograph_series{registry=\"default\"} 1\n")
    );

    // Two header lines form one list.
    let headers =
        "Accept: text/plain;q=0.1\r\nAccept: application/openmetrics-text;version=1.0.0\r\n";
    let page = ask(there, "GET", "/metrics", headers);
    let content_type = page.header("content-type").unwrap();
    assert!(content_type.starts_with("application/openmetrics-text; version=1.0.0"));
    assert!(page.text().ends_with("\n# EOF\n"));

    let page = ask(there, "GET", "/metrics", "Accept-Encoding: gzip\r\n");
    assert_eq!(page.header("content-encoding"), Some("gzip"));
    assert_eq!(page.body[..2], [0x1f, 0x8b]);

    let page = ask(there, "HEAD", "/metrics", "");
    assert_eq!((page.status, page.body.len()), (200, 0));
    assert!(page.header("content-type").is_some());
    Ok(())
}

#[test]
fn other_requests_are_refused() -> Result<(), Box<dyn Error>> {
    let telemetry = builder(&Registry::new()).start()?;
    let there = address(&telemetry);
    let posted = ask(there, "POST", "/metrics", "Content-Length: 0\r\n");
    assert_eq!(
        (posted.status, posted.header("allow")),
        (405, Some("GET, HEAD"))
    );
    assert_eq!(get(there, "/").status, 404);
    assert_eq!(get(there, "/metrics/").status, 404);
    Ok(())
}

/// Sends a request with this host name, and returns the status.
fn status(there: std::net::SocketAddr, path: &str, host: &str) -> u16 {
    use std::io::Write as _;
    let mut stream = crate::client::connect(there);
    let request = format!("GET {path} HTTP/1.1\r\n{host}Connection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    crate::client::read(stream).status
}

#[test]
fn a_foreign_host_name_is_refused_on_loopback() -> Result<(), Box<dyn Error>> {
    let telemetry = builder(&Registry::new())
        .with_allowed_host("shop.test")
        .with_environment(|wanted| {
            (wanted == "BAROGRAPH_ALLOWED_HOSTS").then(|| "metrics.test, no/host".to_owned())
        })
        .start()?;
    let there = address(&telemetry);
    for (host, expected) in [
        (format!("Host: {there}\r\n"), 200),
        ("Host: localhost:1\r\n".to_owned(), 200),
        ("Host: shop.test\r\n".to_owned(), 200),
        ("Host: metrics.test:80\r\n".to_owned(), 200),
        ("Host: rebinding.test\r\n".to_owned(), 421),
        (
            "Host: rebinding.test\r\nHost: localhost\r\n".to_owned(),
            421,
        ),
        ("Host: 10.0.0.1\r\n".to_owned(), 421),
        (String::new(), 200),
    ] {
        assert_eq!(status(there, "/metrics", &host), expected, "{host:?}");
        // They expose nothing, and load balancers probe with their own host names.
        assert_eq!(status(there, "/health", &host), 200, "{host:?}");
        assert_eq!(status(there, "/ready", &host), 200, "{host:?}");
    }
    let absolute = format!("http://rebinding.test:{}/metrics", there.port());
    assert_eq!(status(there, &absolute, "Host: localhost\r\n"), 421);
    Ok(())
}

#[test]
fn an_allowed_host_with_a_port_is_an_error() {
    for host in ["Prom.Internal:80", "*.x.y", ""] {
        let builder = builder(&Registry::new()).with_allowed_host(host);
        let error = builder.start().unwrap_err();
        assert!(
            error.to_string().contains(&format!("{host:?}, expected")),
            "{error}"
        );
    }
}

#[test]
fn ready_answers_as_the_service_sets_it() -> Result<(), Box<dyn Error>> {
    let telemetry = builder(&Registry::new()).start()?;
    let there = address(&telemetry);
    assert_eq!(get(there, "/ready").status, 200);
    telemetry.readiness().not_ready();
    assert_eq!(get(there, "/ready").status, 503);
    assert_eq!(get(there, "/health").status, 200);
    telemetry.readiness().ready();
    assert_eq!(get(there, "/ready").status, 200);
    Ok(())
}

#[test]
fn parts_can_be_left_out_and_added() -> Result<(), Box<dyn Error>> {
    let telemetry = builder(&Registry::new())
        .without_process_metrics()
        .with_source(Wide { series: 2 })
        .start()?;
    let page = telemetry.render(None).body;
    assert!(!page.contains("process_"), "{page}");
    assert_eq!(
        page.lines()
            .filter(|line| line.starts_with("wide{"))
            .count(),
        2
    );
    Ok(())
}

#[test]
fn refused_measurements_are_on_the_page() -> Result<(), Box<dyn Error>> {
    let registry = Registry::new();
    let telemetry = builder(&registry).with_series_limit("orders", 1).start()?;
    let orders = registry
        .counter_f64("orders")
        .build_with_label_names(["kind"])?;
    orders.with(&["web"]).inc();
    orders.with(&["app"]).inc();
    orders.with(&["web"]).add(-1.0);
    assert!(registry.gauge("orders").build().is_err());
    let page = telemetry.render(None).body;
    for line in [
        r#"barograph_lookups_overflowed_total{registry="default",family="orders",reason="family_full"} 1"#,
        r#"barograph_measurements_rejected_total{registry="default",family="orders",reason="negative"} 1"#,
        r#"barograph_conflicts_total{registry="default",reason="already_registered"} 1"#,
    ] {
        assert!(page.lines().any(|there| there == line), "{line}\n{page}");
    }
    Ok(())
}

#[test]
fn a_family_that_finds_its_name_taken_is_counted() -> Result<(), Box<dyn Error>> {
    let registry = Registry::new();
    registry.gauge("wide").build()?.set(7.0);
    let telemetry = builder(&registry).with_source(Wide { series: 1 }).start()?;
    let first = telemetry.render(None).body;
    assert!(first.contains("\nwide 7\n") && !first.contains("wide{"));
    let second = telemetry.render(None).body;
    let line = "\nbarograph_page_families_left_out{reason=\"name_taken\"} 1\n";
    assert!(!first.contains(line) && second.contains(line), "{second}");
    Ok(())
}

#[test]
fn scrapes_are_counted() -> Result<(), Box<dyn Error>> {
    let capture = Capture::new();
    let first = capture.text();
    let second = capture.text();
    assert!(second.contains("barograph_scrapes_total{outcome=\"complete\"} 1\n"));
    assert!(second.contains("barograph_scrape_duration_seconds_count 1\n"));
    let size = format!("barograph_scrape_size_bytes_total {}\n", first.len());
    assert!(second.contains(&size), "{second}");
    Ok(())
}
