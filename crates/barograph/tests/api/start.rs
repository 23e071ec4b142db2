//! The start of telemetry, and its configuration by the environment.

use std::error::Error;
use std::net::{Ipv4Addr, TcpListener};
use std::time::{Duration, Instant};

use barograph::Registry;
use barograph::testing::TestBuilder as _;
use barograph::{StartError, Telemetry};

use crate::client;
use crate::service::{FREE, address, builder};

fn with(variables: &'static [(&'static str, &'static str)]) -> barograph::TelemetryBuilder {
    builder(&Registry::new()).with_environment(move |wanted| {
        let found = variables.iter().find(|(name, _)| *name == wanted);
        found.map(|(_, value)| (*value).to_owned())
    })
}

#[test]
fn the_environment_takes_precedence_over_the_program() -> Result<(), StartError> {
    let telemetry = with(&[
        ("OTEL_SERVICE_NAME", "store"),
        (
            "OTEL_RESOURCE_ATTRIBUTES",
            "service.version=2,region=eu%2Cwest,service.name=no",
        ),
        ("OTEL_EXPORTER_PROMETHEUS_HOST", "127.0.0.1"),
        ("OTEL_EXPORTER_PROMETHEUS_PORT", "0"),
    ])
    .with_version("1")
    .with_instance_id("i-1")
    .start()?;
    let page = client::get(address(&telemetry), "/metrics").text();
    let target = page
        .lines()
        .find(|line| line.starts_with("target_info{"))
        .unwrap();
    for label in [
        r#"service_name="store""#,
        r#"service_version="2""#,
        r#"service_instance_id="i-1""#,
        r#"region="eu,west""#,
        r#"telemetry_sdk_name="barograph""#,
    ] {
        assert!(target.contains(label), "{label} in {target}");
    }
    Ok(())
}

#[test]
fn a_port_that_makes_no_sense_is_ignored() -> Result<(), StartError> {
    let telemetry = with(&[
        ("OTEL_EXPORTER_PROMETHEUS_PORT", "66000"),
        ("OTEL_EXPORTER_PROMETHEUS_HOST", ""),
    ])
    .with_address(FREE)
    .start()?;
    assert_eq!(client::get(address(&telemetry), "/health").status, 200);
    Ok(())
}

#[test]
fn a_taken_port_is_named_with_its_variable() {
    let taken = TcpListener::bind(FREE).unwrap();
    let there = taken.local_addr().unwrap();
    let error = builder(&Registry::new())
        .with_address(there)
        .start()
        .unwrap_err();
    assert!(matches!(error, StartError::PortTaken { address } if address == there));
    let text = format!("{error:?}");
    assert!(text.contains(&there.to_string()), "{text}");
    assert!(text.contains("OTEL_EXPORTER_PROMETHEUS_PORT"), "{text}");
}

#[test]
fn an_address_of_the_environment_that_is_taken_is_tried_again() -> Result<(), StartError> {
    let taken = TcpListener::bind(FREE).unwrap();
    let there = taken.local_addr().unwrap();
    let port = there.port().to_string();
    let on_port = |builder: barograph::TelemetryBuilder| {
        let port = port.clone();
        builder.with_environment(move |wanted| {
            (wanted == "OTEL_EXPORTER_PROMETHEUS_PORT").then(|| port.clone())
        })
    };
    // Also if the program sets an address, which the environment then changes.
    let second = on_port(builder(&Registry::new()).with_address(FREE)).start()?;
    assert_eq!(second.local_addr(), None);
    let failures = "\nbarograph_admin_failures_total{reason=\"listen\"} ";
    assert!(second.render(None).body.contains(failures));
    assert!(!second.render(None).body.contains(&format!("{failures}0\n")));
    drop(taken);
    let began = Instant::now();
    while second.local_addr() != Some(there) {
        assert!(began.elapsed() < Duration::from_secs(20));
        std::thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(client::get(there, "/metrics").status, 200);
    // An address that is never free does not delay the shutdown.
    let third = on_port(builder(&Registry::new())).start()?;
    let began = Instant::now();
    drop(third);
    assert!(began.elapsed() < Duration::from_secs(5));
    Ok(())
}

#[test]
fn a_host_that_is_not_ours_is_ignored() -> Result<(), StartError> {
    for host in ["192.0.2.1", "no host", "\u{1b}[2J", "-"] {
        let environment = move |name: &str| (name == HOST).then(|| host.to_owned());
        let telemetry = builder(&Registry::new())
            .with_environment(environment)
            .with_address(FREE)
            .start()?;
        assert_eq!(client::get(address(&telemetry), "/health").status, 200);
    }
    Ok(())
}

#[test]
fn a_host_that_is_not_ours_leaves_the_port_of_the_environment() -> Result<(), StartError> {
    let free = TcpListener::bind(FREE).unwrap();
    let port = free.local_addr().unwrap().port();
    drop(free);
    let variables = move |name: &str| match name {
        HOST => Some("192.0.2.1".to_owned()),
        "OTEL_EXPORTER_PROMETHEUS_PORT" => Some(port.to_string()),
        _ => None,
    };
    let telemetry = builder(&Registry::new())
        .with_environment(variables)
        .with_address(FREE)
        .start()?;
    assert_eq!(address(&telemetry), (Ipv4Addr::LOCALHOST, port).into());
    Ok(())
}

#[test]
fn a_host_of_the_program_that_is_not_ours_is_named() {
    let elsewhere = "192.0.2.1:0".parse().unwrap();
    let error = with(&[]).with_address(elsewhere).start().unwrap_err();
    let text = format!("{error:?}");
    assert!(text.contains("192.0.2.1"), "{text}");
    assert!(text.contains("OTEL_EXPORTER_PROMETHEUS_HOST"), "{text}");
}

const HOST: &str = "OTEL_EXPORTER_PROMETHEUS_HOST";

#[test]
fn port_zero_picks_a_port_for_each() -> Result<(), StartError> {
    let first = builder(&Registry::new()).start()?;
    let second = builder(&Registry::new()).start()?;
    assert_ne!(address(&first).port(), 0);
    assert_ne!(address(&first), address(&second));
    Ok(())
}

#[test]
fn an_own_listener_is_taken_as_it_is() -> Result<(), StartError> {
    let listener = TcpListener::bind(FREE).unwrap();
    let there = listener.local_addr().unwrap();
    let telemetry = with(&[("OTEL_EXPORTER_PROMETHEUS_PORT", "1")])
        .with_listener(listener)
        .start()?;
    assert_eq!(address(&telemetry), there);
    assert_eq!(client::get(there, "/metrics").status, 200);
    Ok(())
}

#[test]
fn disabled_telemetry_shows_no_number_and_stays_alive() -> Result<(), Box<dyn Error>> {
    let registry = Registry::new();
    registry.counter("orders").build()?.inc();
    let telemetry = builder(&registry)
        .with_environment(|name| (name == "OTEL_SDK_DISABLED").then(|| "True".to_owned()))
        .start()?;
    let there = address(&telemetry);
    let late = registry.counter("late").build_with_label_names(["k"])?;
    (0..5000).for_each(|k| late.with(&[&k.to_string()]).inc());
    assert_eq!(registry.stats().series, 1, "the one from before");
    assert_eq!(registry.value("late", &[("k", "1")]), None);
    assert_eq!(client::get(there, "/metrics").status, 404);
    assert_eq!(client::get(there, "/health").status, 200);
    assert_eq!(client::get(there, "/ready").status, 200);
    assert_eq!(telemetry.render(None).body, "");
    assert_eq!(
        telemetry
            .render(Some("application/openmetrics-text; version=1.0.0"))
            .body,
        "# EOF\n"
    );
    Ok(())
}

#[test]
fn dropped_telemetry_closes_its_port() -> Result<(), StartError> {
    let telemetry: Telemetry = builder(&Registry::new()).start()?;
    let there = address(&telemetry);
    drop(telemetry);
    assert!(client::is_closed(there));
    Ok(())
}
