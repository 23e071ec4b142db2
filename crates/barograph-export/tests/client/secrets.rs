//! Tests of headers: where they come from, and where they must not appear.

use std::fs;

use barograph_encode::otlp::Signal;
use barograph_export::client::{Client, ClientConfig, InvalidClient, Protocol, ProxyConfig};

use crate::certificates::put;
use crate::grpc_server::{GrpcServer, Reply};
use crate::runner::{Runner, grpc, http, request};
use crate::server::{Server, answer, ok, says};

#[test]
fn headers_are_sent_by_both_protocols() {
    let server = Server::start(says(ok()));
    let with = |config: ClientConfig| {
        config
            .with_header("X-Tenant", "first")
            .with_header("x-tenant", "shop")
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
    let server = Server::start(says(ok()));
    let url = format!("http://me:hunter2@127.0.0.1:{}", server.port);
    Runner::new(ClientConfig::new(Protocol::HttpProtobuf, url)).delivered(&request(1));
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
    let server = Server::start(says(ok()));
    let config = http(server.port)
        .with_token_file(&token)
        .with_header_file("x-tenant", tenant);
    let mut runner = Runner::new(config);
    runner.delivered(&request(1));
    put(directory.path(), "token", "second");
    runner.delivered(&request(1));
    fs::remove_file(&token).unwrap();
    let setback = runner.setback(&request(1));
    assert_eq!(
        (&*setback.error_type, setback.may_have_arrived),
        ("header_file", false)
    );
    assert!(setback.message.contains("token"), "{}", setback.message);
    put(directory.path(), "token", "bad\nlines");
    assert!(
        runner
            .setback(&request(1))
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
fn what_a_receiver_repeats_of_our_secrets_is_masked() {
    let directory = tempfile::tempdir().unwrap();
    let token = put(directory.path(), "token", "correct-horse");
    let server = Server::start(|request, stream| {
        let said: Vec<_> = request
            .headers
            .iter()
            .map(|(_, value)| value.as_str())
            .collect();
        let said = format!("denied: {} hunter2 in {}", said.join(", "), request.line);
        says(answer("401 Unauthorized", &[], said.as_bytes()))(request, stream)
    });
    let url = format!("http://me:hunter2@127.0.0.1:{}?key=battery", server.port);
    let config = ClientConfig::new(Protocol::HttpProtobuf, url)
        .with_header("x-api-key", "staple-staple")
        .with_header_file("x-token", token);
    let message = Runner::new(config).refused(&request(1)).message;
    for secret in ["correct", "hunter2", "staple", "battery", "bWU6aHVudGVyMg"] {
        assert!(!message.contains(secret), "{message}");
    }
    assert!(message.contains("denied: ***"), "{message}");
}

#[test]
fn headers_that_cannot_be_sent_are_told_by_name() {
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
        let error = Client::new(http(1).with_header(name, value), Signal::Logs).unwrap_err();
        let InvalidClient::Header(invalid) = &error else {
            panic!("{error:?}")
        };
        assert_eq!(invalid.name, name);
        assert!(!format!("{error} {error:?}").contains("hunter2"));
    }
    let error = Client::new(http(1).with_token_file("/absent/token"), Signal::Logs).unwrap_err();
    assert!(error.to_string().contains("/absent/token"), "{error}");
    let error = Client::new(http(1).with_user_agent_prefix("a\nb"), Signal::Logs).unwrap_err();
    assert!(error.to_string().contains("user-agent"), "{error}");
}

#[test]
fn credentials_in_the_clear_are_found() {
    let check = |config: ClientConfig, expected: &[&str]| {
        assert_eq!(
            config.credentials_in_the_clear().unwrap(),
            expected,
            "{config:?}"
        );
    };
    let to = |url: &str| {
        ClientConfig::new(Protocol::HttpProtobuf, url)
            .with_header("Authorization", "Bearer x")
            .with_header("X-Scope-OrgID", "shop")
            .with_header("x-team", "x")
    };
    check(to("http://collector"), &["authorization", "x-team"]);
    check(
        to("http://me:secret@collector"),
        &["authorization", "x-team", "userinfo of the endpoint"],
    );
    check(to("https://me:secret@collector"), &[]);
    check(to("http://me:secret@127.0.0.1"), &[]);
    check(to("unix:/run/otlp.sock"), &[]);
    let plain = ClientConfig::new(Protocol::HttpProtobuf, "http://collector");
    check(plain.clone().with_header("x-scope-orgid", "shop"), &[]);
    let query = ClientConfig::new(Protocol::HttpJson, "http://collector?token=secret");
    check(query, &["query of the endpoint"]);
    for near in [
        "http://LocalHost.:1",
        "http://a.localhost",
        "http://[::ffff:127.0.0.1]:1",
    ] {
        check(to(near), &[]);
    }
    check(to("http://localhost.example"), &["authorization", "x-team"]);
    check(plain.clone().with_header_file("x-what", "/f"), &["x-what"]);
    check(plain.with_token_file("/f"), &["authorization"]);
    let bare = ClientConfig::new(Protocol::Grpc, "collector").with_header("x-token", "x");
    check(bare.clone(), &[]);
    check(bare.with_plaintext(), &["x-token"]);
    let proxy = ProxyConfig::default().with_https("http://me:secret@proxy");
    check(
        to("https://collector").with_proxy(proxy),
        &["userinfo of the proxy"],
    );
}
