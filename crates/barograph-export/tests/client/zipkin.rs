//! Tests of requests to Zipkin, and of the meaning of each response.

use barograph_encode::otlp::{Encoding, Request, Signal};
use barograph_export::client::{Client, ClientConfig, Protocol};
use barograph_export::{Outcome, Transport as _};

use crate::runner::{Runner, config_for, json_request};
use crate::server::{Server, answer, responds, responds_in_turn};

fn zipkin(port: u16) -> ClientConfig {
    let url = format!("http://127.0.0.1:{port}/api/v2/spans");
    config_for(Protocol::Zipkin, url)
}

fn spans() -> Request {
    Request {
        signal: Signal::Traces,
        encoding: Encoding::Json,
        body: r#"[{"traceId":"abc","id":"def"}]"#.into(),
        items: 1,
    }
}

#[test]
fn spans_are_posted_to_the_endpoint_as_it_is() {
    let server = Server::start(responds(answer("202 Accepted", &[], b"")));
    let config = zipkin(server.port).with_user_agent_prefix("checkout/1.2");
    let client = Client::new(config.clone(), Signal::Traces).unwrap();
    assert_eq!(client.target().component_type, "zipkin_http_exporter");
    assert_eq!(
        client.target().url,
        format!("http://127.0.0.1:{}/api/v2/spans", server.port)
    );
    assert_eq!(Runner::new(config).delivered(&spans()), None);
    let received = &server.received()[0];
    assert_eq!(received.line, "POST /api/v2/spans HTTP/1.1");
    assert_eq!(received.header("content-type"), Some("application/json"));
    let user_agent = concat!("checkout/1.2 barograph/", env!("CARGO_PKG_VERSION"));
    assert_eq!(received.header("user-agent"), Some(user_agent));
    assert_eq!(received.body, spans().body);
}

#[test]
fn the_status_of_a_zipkin_response_decides_its_outcome() {
    let headers = [("content-type", "application/json")];
    let server = Server::start(responds_in_turn(vec![
        answer("202 Accepted", &headers, b"what OTLP would not say"),
        answer("429 X", &[("retry-after", "7")], b"slow down"),
        answer("503 X", &[], b""),
        answer("400 X", &headers, b"{\"message\":\"malformed\"}"),
        answer("500 X", &[], b""),
    ]));
    let mut runner = Runner::new(zipkin(server.port));
    assert_eq!(runner.delivered(&spans()), None);
    let retryable = runner.retryable(&spans());
    assert_eq!(retryable.retry_after.unwrap().as_secs(), 7);
    assert!(
        retryable.message.ends_with("slow down"),
        "{}",
        retryable.message
    );
    assert_eq!(runner.retryable(&spans()).error_type, "503");
    let permanent = runner.refused(&spans());
    assert_eq!(permanent.error_type, "400");
    assert!(
        permanent.message.contains("malformed"),
        "{}",
        permanent.message
    );
    assert_eq!(runner.refused(&spans()).error_type, "500");
}

#[test]
fn nothing_else_is_sent_there() {
    let server = Server::start(responds(answer("202 Accepted", &[], b"")));
    let mut runner = Runner::new(zipkin(server.port));
    let metrics = json_request();
    assert!(matches!(runner.send(&metrics), Outcome::Permanent(_)));
    assert_eq!(server.received().len(), 0);
}
