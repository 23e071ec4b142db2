//! Requests of a reqwest client, over real connections.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use axum::Router;
use axum::response::Redirect;
use axum::routing::get;
use barograph_core::registry::Registry;
use barograph_tower::http::client::HttpClientMiddleware;
use barograph_tower::http::{HttpClientLayer, HttpServerLayer, Route};
use http::{Extensions, StatusCode};
use reqwest::{Request, Response};
use reqwest_middleware::{ClientBuilder, ClientWithMiddleware, Middleware, Next};
use tokio::net::TcpListener;

use test_support::spans::Spans;

/// A middleware that retries until the response is a success.
struct Again;

#[async_trait::async_trait]
impl Middleware for Again {
    async fn handle(
        &self,
        request: Request,
        extensions: &mut Extensions,
        next: Next<'_>,
    ) -> reqwest_middleware::Result<Response> {
        loop {
            let try_this = request.try_clone().unwrap();
            let response = next.clone().run(try_this, extensions).await?;
            if response.status().is_success() {
                return Ok(response);
            }
        }
    }
}

fn client() -> ClientWithMiddleware {
    let layer = HttpClientLayer::builder()
        .with_registry(&Registry::new())
        .build();
    let reqwest = reqwest::Client::builder().timeout(Duration::from_millis(500));
    ClientBuilder::new(reqwest.build().unwrap())
        .with(Again)
        .with(HttpClientMiddleware::from(layer))
        .build()
}

/// Starts a server that fails the first request and then greets. Returns its address.
async fn serve() -> String {
    let asked = Arc::new(AtomicU32::new(0));
    let greet = async move || match asked.fetch_add(1, Ordering::Relaxed) {
        0 => (StatusCode::SERVICE_UNAVAILABLE, ""),
        _ => (StatusCode::OK, "hello"),
    };
    let router = Router::new()
        .route("/hello/{name}", get(greet))
        .route("/moved", get(async || Redirect::temporary("/other")))
        .route("/other", get(async || "found"))
        .route("/slow", get(std::future::pending::<()>));
    let layer = HttpServerLayer::builder()
        .with_registry(&Registry::new())
        .build();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router.layer(layer)).await });
    format!("http://{address}")
}

#[tokio::test]
async fn each_attempt_is_a_span_that_the_server_continues() {
    let (spans, _guard) = Spans::collect();
    let server = serve().await;
    let request = client().get(format!("{server}/hello/you?sig=s3cret"));
    let request = request.with_extension(Route::from("/hello/{name}"));
    let response = request.send().await.unwrap();
    assert_eq!(response.url().path(), "/hello/you");
    assert_eq!(response.content_length(), Some(5));
    assert_eq!(response.text().await.unwrap(), "hello");
    let all = spans.all();
    let of = |kind: &'static str| {
        all.iter()
            .filter(move |span| span.field("otel.kind") == kind)
    };
    let tries: Vec<_> = of("client").collect();
    assert_eq!(tries.len(), 2);
    let shown = |field: &'static str| [tries[0].field(field), tries[1].field(field)];
    assert_eq!(shown("otel.name"), ["GET /hello/{name}"; 2]);
    assert_eq!(shown("http.request.resend_count"), ["", "1"]);
    assert_eq!(shown("http.response.status_code"), ["503", "200"]);
    assert_eq!(shown("error.type"), ["503", ""]);
    assert!(shown("url.full")[0].ends_with("?sig=REDACTED"));
    for (server, sent) in of("server").zip(tries) {
        assert!(server.is_child_of(sent));
    }
}

#[tokio::test]
async fn the_inner_middleware_records_a_request_that_the_outer_one_does_not() {
    let (spans, _guard) = Spans::collect();
    let registry = Registry::new();
    let layer = || HttpClientLayer::builder().with_registry(&registry);
    let outer = layer().with_filter(|_| false).build();
    let client = ClientBuilder::new(reqwest::Client::new())
        .with(HttpClientMiddleware::from(outer))
        .with(HttpClientMiddleware::from(layer().build()))
        .build();
    let request = client.get(format!("{}/other", serve().await));
    request.send().await.unwrap();
    let mut all = spans.all();
    all.retain(|span| span.field("otel.kind") == "client");
    assert_eq!(all.len(), 1);
}

#[tokio::test]
async fn redirects_are_a_part_of_their_request() {
    let (spans, _guard) = Spans::collect();
    let server = serve().await;
    let response = client()
        .get(format!("{server}/moved"))
        .send()
        .await
        .unwrap();
    assert_eq!(response.url().path(), "/other");
    assert_eq!(response.text().await.unwrap(), "found");
    let mut all = spans.all();
    all.retain(|span| span.field("otel.kind") == "client");
    assert_eq!(all.len(), 1);
}

#[tokio::test]
async fn errors_are_recorded_by_their_causes() {
    let server = serve().await;
    for (url, expected) in [
        ("http://127.0.0.1:1/".to_owned(), "connection_refused"),
        (format!("{server}/slow"), "timeout"),
    ] {
        let (spans, _guard) = Spans::collect();
        client().get(url).send().await.unwrap_err();
        let mut all = spans.all();
        all.retain(|span| span.field("otel.kind") == "client");
        assert_eq!(all[0].field("error.type"), expected);
        assert_eq!(all[0].field("otel.status_code"), "ERROR");
    }
}
