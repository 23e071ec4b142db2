//! Two layers in the path of one request.

use std::convert::Infallible;
use std::future::ready;
use std::sync::{Mutex, PoisonError};

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::response::IntoResponse;
use axum::routing::get;
use barograph_core::registry::Registry;
use barograph_core::report;
use barograph_tower::http::{HttpClientLayer, HttpServerLayer};
use http::Response;
use http_body_util::BodyExt;
use tower::{Layer, ServiceExt, service_fn};

use crate::page::{ACTIVE, DURATION, lines, setup};
use crate::script::{Script, now};
use test_support::spans::Spans;

/// Sends a request as a server receives it: with the target only, and the host in a header.
async fn ask<S>(service: S, path: &str)
where
    S: tower::Service<Request, Response: IntoResponse, Error = Infallible>,
{
    let request = Request::get(path).header("host", "shop.example");
    let asked = service.oneshot(request.body(Body::empty()).unwrap()).await;
    let response = asked.unwrap().into_response();
    response.into_body().collect().await.unwrap();
}

async fn hello() -> &'static str {
    "hello"
}

#[tokio::test]
async fn a_request_through_two_layers_counts_once_and_is_one_span() {
    let (spans, _guard) = Spans::collect();
    let (registry, layer) = setup();
    let router = Router::new()
        .route("/hello", get(hello))
        .layer(layer.clone())
        .layer(layer);
    for _ in 0..3 {
        ask(router.clone(), "/hello").await;
    }
    assert_eq!(lines(&registry, DURATION), ["GET /hello 200 http = 3"]);
    assert_eq!(lines(&registry, ACTIVE), ["GET http = 0"]);
    assert_eq!(spans.all().len(), 3);
}

#[tokio::test]
async fn the_outer_layer_gets_the_route_from_the_inner_one() {
    let (registry, layer) = setup();
    let inner = Router::new().route("/orders/{id}", get(hello));
    let router = Router::new().nest("/api", inner.layer(layer.clone()));
    let service = layer.layer(router);
    ask(service.clone(), "/api/orders/7").await;
    ask(service, "/elsewhere").await;
    let expected = ["GET /api/orders/{id} 200 http = 1", "GET 404 http = 1"];
    assert_eq!(lines(&registry, DURATION), expected);
}

#[tokio::test]
async fn a_request_that_a_handler_makes_counts_for_itself() {
    let (registry, layer) = setup();
    let inner = Router::new()
        .route("/inner", get(hello))
        .layer(layer.clone());
    let handler = move || {
        let inner = inner.clone();
        async move { ask(inner, "/inner").await }
    };
    let router = Router::new().route("/outer", get(handler)).layer(layer);
    ask(router, "/outer").await;
    let expected = ["GET /inner 200 http = 1", "GET /outer 200 http = 1"];
    assert_eq!(lines(&registry, DURATION), expected);
}

/// A gateway copies the headers of the request that it received into its own requests.
#[tokio::test]
async fn requests_that_share_texts_with_another_one_count_for_themselves() {
    let (registry, layer) = setup();
    let inner = Router::new()
        .route("/inner", get(hello))
        .layer(layer.clone());
    let handler = move |outer: Request| {
        let inner = inner.clone();
        async move {
            for _ in 0..3 {
                let mut request = Request::get("/inner").body(Body::empty()).unwrap();
                *request.headers_mut() = outer.headers().clone();
                let response = inner.clone().oneshot(request).await.unwrap();
                response.into_body().collect().await.unwrap();
            }
        }
    };
    let router = Router::new().route("/outer", get(handler)).layer(layer);
    ask(router, "/outer").await;
    let expected = ["GET /inner 200 http = 3", "GET /outer 200 http = 1"];
    assert_eq!(lines(&registry, DURATION), expected);
}

/// A request stays the same one, whatever a middleware between two layers does to its parts.
#[tokio::test]
async fn a_request_that_is_changed_between_two_layers_counts_once() {
    let (registry, layer) = setup();
    let inner = Router::new()
        .route("/hello", get(hello))
        .layer(layer.clone());
    let changes = service_fn(move |mut request: Request| {
        let inner = inner.clone();
        request.headers_mut().clear();
        *request.uri_mut() = "http://shop.internal/hello".parse().unwrap();
        async move { tokio::spawn(inner.oneshot(request)).await.unwrap() }
    });
    ask(layer.layer(changes), "/hello").await;
    assert_eq!(lines(&registry, DURATION), ["GET /hello 200 http = 1"]);
}

#[tokio::test]
async fn layers_of_two_registries_both_record() {
    let ((first, outer), (second, inner)) = (setup(), setup());
    let router = Router::new()
        .route("/hello", get(hello))
        .layer(inner)
        .layer(outer);
    ask(router, "/hello").await;
    for registry in [first, second] {
        assert_eq!(lines(&registry, DURATION), ["GET /hello 200 http = 1"]);
    }
}

#[tokio::test]
async fn the_inner_layer_records_a_request_that_the_outer_one_does_not() {
    let (registry, inner) = setup();
    let outer = HttpServerLayer::builder()
        .with_registry(&registry)
        .with_filter(|request| request.uri.path() != "/hello")
        .build();
    let router = Router::new().route("/hello", get(hello));
    ask(router.layer(inner).layer(outer), "/hello").await;
    assert_eq!(lines(&registry, DURATION), ["GET /hello 200 http = 1"]);
}

#[test]
fn a_client_with_two_layers_sends_one_request() {
    static SAID: Mutex<Vec<String>> = Mutex::new(Vec::new());
    report::set_hook(|report| {
        let mut said = SAID.lock().unwrap_or_else(PoisonError::into_inner);
        said.push(report.message.clone());
    });
    let (spans, _guard) = Spans::collect();
    let registry = Registry::new();
    let layer = HttpClientLayer::builder().with_registry(&registry).build();
    let service = service_fn(|_: http::Request<Script>| {
        let body = Script::new([]).with_exact_size(0);
        ready(Ok::<_, Infallible>(Response::new(body)))
    });
    let inner = HttpClientLayer::builder().with_registry(&registry).build();
    let client = layer.layer(inner.layer(service));
    for _ in 0..2 {
        let request = http::Request::get("http://shop.example/").body(Script::new([]));
        now(client.clone().oneshot(request.unwrap())).unwrap();
    }
    assert_eq!(spans.all().len(), 2);
    let count = registry.value(
        "http.client.request.duration",
        &[
            ("http.request.method", "GET"),
            ("server.address", "shop.example"),
            ("server.port", "80"),
            ("http.response.status_code", "200"),
            ("network.protocol.version", "1.1"),
            ("error.type", ""),
        ],
    );
    assert_eq!(count, Some(2.0));
    let said = SAID.lock().unwrap();
    let said = said.iter().filter(|message| message.contains("two layers"));
    assert!(said.count() >= 1);
}
