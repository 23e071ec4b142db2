//! The sender of a request, as spans show it.

use std::net::SocketAddr;

use axum::Router;
use axum::routing::get;
use barograph_tower::http::{HttpServerLayerBuilder, TrustedProxies};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::page::{DURATION, lines, setup_with};
use test_support::spans::{Seen, Spans};

/// Sends a request with these headers over a real connection. Returns its span, its series and the
/// client's address.
async fn span(
    f: impl FnOnce(HttpServerLayerBuilder) -> HttpServerLayerBuilder,
    headers: &str,
) -> (Seen, Vec<String>, SocketAddr) {
    let (spans, _guard) = Spans::collect();
    let (registry, layer) = setup_with(f);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = Router::new().route("/", get(async || "hello")).layer(layer);
    let service = router.into_make_service_with_connect_info::<SocketAddr>();
    let server = tokio::spawn(async move { axum::serve(listener, service).await });
    let mut connection = TcpStream::connect(address).await.unwrap();
    let client = connection.local_addr().unwrap();
    let request = format!("GET / HTTP/1.1\r\nhost: inner\r\nconnection: close\r\n{headers}\r\n");
    connection.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    server.abort();
    (spans.one(), lines(&registry, DURATION), client)
}

const FORWARDED: &str = "x-forwarded-for: 203.0.113.9, 192.0.2.1\r\n\
                         x-forwarded-proto: https\r\n\
                         x-forwarded-host: shop.example:8443\r\n";

#[tokio::test]
async fn the_peer_of_the_connection_is_recorded_and_no_header_is_trusted() {
    let (span, lines, client) = span(|builder| builder, FORWARDED).await;
    assert_eq!(span.field("network.peer.address"), "127.0.0.1");
    assert_eq!(
        span.field("network.peer.port"),
        client.port().to_string().as_str()
    );
    assert_eq!(span.field("client.address"), "127.0.0.1");
    assert_eq!(span.field("server.address"), "inner");
    assert_eq!(lines, ["GET / 200 http = 1"]);
}

#[tokio::test]
async fn the_client_that_trusted_proxies_report_is_recorded() {
    let proxies = TrustedProxies::new(["127.0.0.0/8"]).unwrap();
    let trusting = |builder: HttpServerLayerBuilder| builder.with_trusted_proxies(proxies);
    let (span, lines, _) = span(trusting, FORWARDED).await;
    assert_eq!(span.field("network.peer.address"), "127.0.0.1");
    assert_eq!(span.field("client.address"), "192.0.2.1");
    assert_eq!(span.field("server.address"), "shop.example");
    assert_eq!(span.field("server.port"), "8443");
    assert_eq!(span.field("url.scheme"), "https");
    assert_eq!(lines, ["GET / 200 https = 1"]);
}

#[tokio::test]
async fn the_client_that_others_report_is_not_recorded() {
    let proxies = TrustedProxies::new(["10.0.0.0/8"]).unwrap();
    let trusting = |builder: HttpServerLayerBuilder| builder.with_trusted_proxies(proxies);
    let (span, lines, _) = span(trusting, FORWARDED).await;
    assert_eq!(span.field("client.address"), "127.0.0.1");
    assert_eq!(span.field("server.address"), "inner");
    assert_eq!(lines, ["GET / 200 http = 1"]);
}
