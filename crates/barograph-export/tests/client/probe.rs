//! Tests of requests without items.

use std::time::{Duration, SystemTime};

use barograph_encode::otlp::Signal;
use barograph_export::Outcome;
use barograph_export::client::{Client, ClientConfig, ClockDifference, Probe, Protocol};
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use prost::Message as _;

use crate::grpc_server::{GrpcServer, Reply, unframed};
use crate::runner::{LONG, config_for, grpc, http, json};
use crate::server::{Server, answer, ok, responds};

fn probe(config: ClientConfig, signal: Signal) -> Probe {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let mut client = Client::new(config, signal).unwrap();
    let probing = async { tokio::time::timeout(LONG, client.probe()).await };
    runtime.block_on(probing).expect("an answer in time")
}

#[test]
fn a_request_without_items_is_valid_in_each_protocol() {
    let server = Server::start(responds(ok()));
    let zipkin = format!("http://127.0.0.1:{}/api/v2/spans", server.port);
    for (config, signal, body) in [
        (http(server.port), Signal::Metrics, "".as_bytes()),
        (json(server.port), Signal::Logs, b"{}"),
        (config_for(Protocol::Zipkin, zipkin), Signal::Traces, b"[]"),
    ] {
        let probe = probe(config, signal);
        assert_eq!(
            (probe.outcome, probe.status),
            (Outcome::Delivered(None), Some(200))
        );
        assert_eq!(probe.clock, None);
        assert_eq!(server.received().last().unwrap().body, body);
    }
    let lines: Vec<_> = server.received().into_iter().map(|it| it.line).collect();
    assert_eq!(lines[0], "POST /v1/metrics HTTP/1.1");
    assert_eq!(lines[2], "POST /api/v2/spans HTTP/1.1");

    let server = GrpcServer::start(|_| Reply::new(0, b""));
    let probe = probe(grpc(server.port), Signal::Metrics);
    assert_eq!(
        (probe.outcome, probe.status),
        (Outcome::Delivered(None), Some(200))
    );
    let call = &server.calls()[0];
    let (_, message) = unframed(&call.body);
    let message = ExportMetricsServiceRequest::decode(message).unwrap();
    assert_eq!(message, ExportMetricsServiceRequest::default());
}

#[test]
fn the_clock_of_the_receiver_is_compared() {
    let now = SystemTime::now();
    for (date, least) in [
        (now, None),
        (now + Duration::from_secs(100), Some(true)),
        (now - Duration::from_secs(100), Some(false)),
    ] {
        let date = httpdate::fmt_http_date(date);
        let answer = answer("401 Unauthorized", &[("Date", &date)], b"");
        let server = Server::start(responds(answer));
        let probe = probe(http(server.port), Signal::Metrics);
        assert!(matches!(probe.outcome, Outcome::Permanent(_)), "{probe:?}");
        assert_eq!(probe.status, Some(401));
        let near = Duration::from_secs(90)..Duration::from_secs(110);
        let is_expected = match (probe.clock.unwrap(), least) {
            (ClockDifference::Ahead(by), Some(true)) => near.contains(&by),
            (ClockDifference::Behind(by), Some(false)) => near.contains(&by),
            (ClockDifference::Ahead(by), None) => by < Duration::from_secs(5),
            (ClockDifference::Behind(by), None) => by < Duration::from_secs(5),
            _ => false,
        };
        assert!(is_expected, "{date}: {probe:?}");
    }
}
