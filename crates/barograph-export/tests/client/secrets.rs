//! Tests of headers: where they come from, and where they must not appear.

use std::fs;

use barograph_encode::otlp::Signal;
use barograph_export::client::{
    Client, ClientConfig, Endpoint, Headers, Protocol, Proxy, ProxyConfig,
};

use crate::certificates::put;
use crate::grpc_server::{GrpcServer, Reply};
use crate::runner::{Runner, config_for, grpc, headers, http, request};
use crate::server::{Server, answer, ok, responds};

#[test]
fn headers_are_sent_by_both_protocols() {
    let server = Server::start(responds(ok()));
    let with = |config: ClientConfig| {
        config
            .with_headers(headers(&[("X-Tenant", "first"), ("x-tenant", "shop")]))
            .with_user_agent_prefix("checkout/1.2")
    };
    Runner::new(with(http(server.port))).delivered(&request(1));
    let received = &server.received()[0];
    assert_eq!(received.header("x-tenant"), Some("shop"));
    assert_eq!(
        received
            .headers
            .iter()
            .filter(|(name, _)| name == "x-tenant")
            .count(),
        1
    );
    let user_agent = received.header("user-agent").unwrap();
    assert!(
        user_agent.starts_with("checkout/1.2 barograph-otlp-exporter-rust/"),
        "{user_agent}"
    );

    let server = GrpcServer::start(|_| Reply::new(0, b""));
    Runner::new(with(grpc(server.port))).delivered(&request(1));
    assert_eq!(server.calls()[0].headers["x-tenant"], "shop");
    assert_eq!(server.calls()[0].headers["user-agent"], user_agent);
}

#[test]
fn userinfo_is_sent_as_a_header() {
    let server = Server::start(responds(ok()));
    let url = format!("http://me:hunter2@127.0.0.1:{}", server.port);
    Runner::new(config_for(Protocol::HttpProtobuf, url)).delivered(&request(1));
    let received = &server.received()[0];
    assert_eq!(
        received.header("authorization"),
        Some("Basic bWU6aHVudGVyMg==")
    );
    assert_eq!(
        received.header("host").unwrap(),
        format!("127.0.0.1:{}", server.port)
    );
}

#[test]
fn a_token_is_read_again_when_it_has_changed() {
    let directory = tempfile::tempdir().unwrap();
    let token = put(directory.path(), "token", "first\n");
    let tenant = put(directory.path(), "tenant", "shop");
    let server = Server::start(responds(ok()));
    let headers = Headers::new().with_token_file(&token);
    let headers = headers.with_file("x-tenant", tenant).unwrap();
    let config = http(server.port).with_headers(headers);
    let mut runner = Runner::new(config);
    runner.delivered(&request(1));
    put(directory.path(), "token", "second");
    runner.delivered(&request(1));
    fs::remove_file(&token).unwrap();
    let retryable = runner.retryable(&request(1));
    assert_eq!(
        (&*retryable.error_type, retryable.may_have_arrived),
        ("header_file", false)
    );
    assert!(retryable.message.contains("token"), "{}", retryable.message);
    put(directory.path(), "token", "bad\nlines");
    assert!(
        runner
            .retryable(&request(1))
            .message
            .contains("control characters")
    );
    put(directory.path(), "token", "third");
    runner.delivered(&request(1));
    let tokens: Vec<_> = server
        .received()
        .iter()
        .map(|received| {
            assert_eq!(received.header("x-tenant"), Some("shop"));
            received.header("authorization").unwrap().to_owned()
        })
        .collect();
    assert_eq!(tokens, ["Bearer first", "Bearer second", "Bearer third"]);
    // All of them used one connection.
    assert_eq!(server.accepted(), 1);
}

#[test]
fn secrets_that_a_receiver_repeats_are_masked() {
    let directory = tempfile::tempdir().unwrap();
    let token = put(directory.path(), "token", "correct-horse");
    let server = Server::start(|request, stream| {
        let said: Vec<_> = request
            .headers
            .iter()
            .map(|(_, value)| value.as_str())
            .collect();
        let said = format!("denied: {} hunter2 in {}", said.join(", "), request.line);
        responds(answer("401 Unauthorized", &[], said.as_bytes()))(request, stream)
    });
    let url = format!("http://me:hunter2@127.0.0.1:{}?key=battery", server.port);
    let headers = headers(&[("x-api-key", "staple-staple")]);
    let config = config_for(Protocol::HttpProtobuf, url)
        .with_headers(headers.with_file("x-token", token).unwrap());
    let message = Runner::new(config).refused(&request(1)).message;
    for secret in ["correct", "hunter2", "staple", "battery", "bWU6aHVudGVyMg"] {
        assert!(!message.contains(secret), "{message}");
    }
    assert!(message.contains("denied: ***"), "{message}");
}

#[test]
fn an_invalid_header_is_an_error_with_its_name() {
    for (name, value) in [
        ("x y", "hunter2"),
        ("", "hunter2"),
        ("x-key", "hunter2\r\nx-other: 1"),
        ("Content-Type", "hunter2"),
        ("host", "hunter2"),
        ("grpc-timeout", "hunter2"),
        ("keep-alive", "hunter2"),
        ("accept-encoding", "hunter2"),
        ("Proxy-Authorization", "hunter2"),
    ] {
        let error = Headers::new().with(name, value).unwrap_err();
        assert_eq!(error.name, name);
        assert!(!format!("{error} {error:?}").contains("hunter2"));
    }
    let token = Headers::new().with_token_file("/absent/token");
    let error = Client::new(http(1).with_headers(token), Signal::Logs).unwrap_err();
    assert!(error.to_string().contains("/absent/token"), "{error}");
    let error = Client::new(http(1).with_user_agent_prefix("a\nb"), Signal::Logs).unwrap_err();
    assert!(error.to_string().contains("user-agent"), "{error}");
}

#[test]
fn credentials_in_plaintext_are_found() {
    let check = |config: ClientConfig, expected: &[&str]| {
        assert_eq!(config.credentials_in_plaintext(), expected, "{config:?}");
    };
    let to = |url: &str| {
        config_for(Protocol::HttpProtobuf, url).with_headers(headers(&[
            ("Authorization", "Bearer x"),
            ("X-Scope-OrgID", "shop"),
            ("x-team", "x"),
        ]))
    };
    check(to("http://collector"), &["authorization", "x-team"]);
    check(
        to("http://me:secret@collector"),
        &["authorization", "x-team", "userinfo of the endpoint"],
    );
    check(to("https://me:secret@collector"), &[]);
    check(to("http://me:secret@127.0.0.1"), &[]);
    check(to("unix:/run/otlp.sock"), &[]);
    let plain = config_for(Protocol::HttpProtobuf, "http://collector");
    let tenant = headers(&[("x-scope-orgid", "shop")]);
    check(plain.clone().with_headers(tenant), &[]);
    let query = config_for(Protocol::HttpJson, "http://collector?token=secret");
    check(query, &["query of the endpoint"]);
    for near in [
        "http://LocalHost.:1",
        "http://a.localhost",
        "http://[::ffff:127.0.0.1]:1",
    ] {
        check(to(near), &[]);
    }
    check(to("http://localhost.example"), &["authorization", "x-team"]);
    let file = Headers::new().with_file("x-what", "/f").unwrap();
    check(plain.clone().with_headers(file), &["x-what"]);
    let token = Headers::new().with_token_file("/f");
    check(plain.with_headers(token), &["authorization"]);
    let bare = Endpoint::parse(Protocol::Grpc, "collector").unwrap();
    let token = headers(&[("x-token", "x")]);
    let secure = ClientConfig::new(bare.clone()).with_headers(token.clone());
    check(secure, &[]);
    let plain = ClientConfig::new(bare.with_plaintext()).with_headers(token);
    check(plain, &["x-token"]);
    let proxy = Proxy::parse("http://me:secret@proxy").unwrap();
    check(
        to("https://collector").with_proxy(ProxyConfig::default().with_https(proxy)),
        &["userinfo of the proxy"],
    );
}
