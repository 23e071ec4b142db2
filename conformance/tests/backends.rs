//! Checks that the real backends for spans and messages answer the queries of the tests.

use std::io::Write as _;
use std::process::{Command, Stdio};

use conformance::{
    backends::program, jaeger::Jaeger, kafka::Kafka, receiver::Transport, zipkin::Zipkin,
};
use serde_json::json;

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const SPAN: &str = "b7ad6b7169203331";

#[test]
fn jaeger_shows_a_span_that_was_pushed() {
    let mut jaeger = Jaeger::start();
    let span = json!({"traceId": TRACE, "spanId": SPAN, "name": "GET /orders/{id}", "kind": 2,
        "startTimeUnixNano": "1700000000000000000", "endTimeUnixNano": "1700000000000001000",
        "attributes": [{"key": "http.route", "value": {"stringValue": "/orders/{id}"}}],
        "events": [{"timeUnixNano": "1700000000000000500", "name": "looked"}]});
    let resource = json!({"attributes": [
        {"key": "service.name", "value": {"stringValue": "shop"}}]});
    let request = json!({"resourceSpans": [{"resource": resource,
        "scopeSpans": [{"spans": [span]}]}]});
    let url = jaeger.endpoint(Transport::Json) + "/v1/traces";
    post(&url, &request.to_string());
    let spans = jaeger.trace(TRACE, 1);
    assert_eq!((&*spans[0].id, &*spans[0].name), (SPAN, "GET /orders/{id}"));
    assert_eq!(spans[0].service, "shop");
    assert_eq!(spans[0].parent(), None);
    assert_eq!(spans[0].tag("http.route"), Some(&json!("/orders/{id}")));
    assert_eq!(spans[0].events(), ["looked"]);
}

#[test]
fn zipkin_shows_a_span_that_was_pushed() {
    let mut zipkin = Zipkin::start();
    let span = json!([{"traceId": TRACE, "id": SPAN, "name": "get", "timestamp": 1_700_000_000_000_000_u64,
        "duration": 5, "localEndpoint": {"serviceName": "shop"}}]);
    post(&zipkin.endpoint(), &span.to_string());
    let spans = zipkin.trace(TRACE, 1);
    assert_eq!(spans[0]["id"], SPAN);
}

#[test]
fn kafka_returns_records_with_their_headers() {
    let mut kafka = Kafka::start();
    let mut writer = Command::new(program("bin/kcat"))
        .args([
            "-b",
            kafka.address(),
            "-P",
            "-t",
            "orders",
            "-H",
            "traceparent=00-1-2-01",
        ])
        .stdin(Stdio::piped())
        .spawn()
        .expect("kcat runs");
    let mut input = writer.stdin.take().expect("a pipe");
    input.write_all(b"one order\n").expect("kcat reads");
    drop(input);
    assert!(writer.wait().expect("kcat ends").success());
    let messages = kafka.messages("orders", 1);
    assert_eq!(messages, ["traceparent=00-1-2-01\tone order"]);
}

#[track_caller]
fn post(url: &str, body: &str) {
    let request = ureq::post(url).header("content-type", "application/json");
    request.send(body).expect("it is taken");
}
