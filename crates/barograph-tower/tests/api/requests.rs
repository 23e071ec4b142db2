//! The metrics of a request, and the settings of a layer.

use std::convert::Infallible;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::routing::post;
use barograph_tower::http::{HttpServerLayer, Scheme};
use bytes::Bytes;
use http::{Response, header};
use http_body_util::{BodyExt, Full};
use tower::{Layer, Service, ServiceExt, service_fn};

use crate::page::{ACTIVE, DURATION, REQUEST_SIZE, lines, setup, setup_with};
use crate::script::Step::Data;
use crate::script::{Script, now, request, service};

fn empty() -> Response<Script> {
    Response::new(Script::new([]).with_exact_size(0))
}

fn methods(layer: &HttpServerLayer, methods: &[&str]) {
    let mut service = service(layer, empty);
    for method in methods {
        now(service.call(request(method))).unwrap();
    }
}

#[test]
fn methods_that_are_not_known_are_one() {
    let (registry, layer) = setup();
    methods(&layer, &["GET", "QUERY", "get", "BREW", "PROPFIND"]);
    let expected = [
        "GET 200 http = 1",
        "QUERY 200 http = 1",
        "_OTHER 200 http = 3",
    ];
    assert_eq!(lines(&registry, DURATION), expected);
    let expected = ["GET http = 0", "QUERY http = 0", "_OTHER http = 0"];
    assert_eq!(lines(&registry, ACTIVE), expected);
}

#[test]
fn the_user_may_set_the_known_methods() {
    let (registry, layer) = setup_with(|b| b.with_known_methods(["PROPFIND", "HEAD"]));
    methods(&layer, &["GET", "PROPFIND", "HEAD"]);
    let expected = [
        "HEAD 200 http = 1",
        "PROPFIND 200 http = 1",
        "_OTHER 200 http = 1",
    ];
    assert_eq!(lines(&registry, DURATION), expected);
}

#[test]
fn the_scheme_is_that_of_the_request_or_the_one_that_was_set() {
    let ask = |layer: &HttpServerLayer| {
        for uri in ["/", "http://a/", "https://a/", "gopher://a/"] {
            let mut request = request("GET");
            *request.uri_mut() = uri.parse().unwrap();
            now(service(layer, empty).call(request)).unwrap();
        }
    };
    let (registry, layer) = setup();
    ask(&layer);
    let expected = ["GET 200 http = 3", "GET 200 https = 1"];
    assert_eq!(lines(&registry, DURATION), expected);
    let (registry, layer) = setup_with(|builder| builder.with_scheme(Scheme::Https));
    ask(&layer);
    let expected = ["GET 200 http = 1", "GET 200 https = 3"];
    assert_eq!(lines(&registry, DURATION), expected);
}

#[test]
fn requests_that_the_filter_refuses_are_left_out() {
    let (registry, layer) = setup_with(|b| b.with_filter(|request| request.method != "HEAD"));
    methods(&layer, &["GET", "HEAD"]);
    assert_eq!(lines(&registry, DURATION), ["GET 200 http = 1"]);
    assert_eq!(lines(&registry, ACTIVE), ["GET http = 0"]);
}

#[test]
fn a_name_that_is_taken_is_reported_and_nothing_is_recorded_there() {
    let registry = barograph_core::registry::Registry::new();
    let taken = registry.counter(DURATION).build().unwrap();
    let layer = HttpServerLayer::builder().with_registry(&registry).build();
    methods(&layer, &["GET"]);
    assert_eq!(taken.get(), 0);
    assert_eq!(registry.stats().conflicts, 1);
    assert_eq!(lines(&registry, REQUEST_SIZE), ["GET 200 http = 1/0"]);
}

#[test]
fn layers_of_one_registry_record_into_the_same_families() {
    let (registry, first) = setup();
    let second = HttpServerLayer::builder().with_registry(&registry).build();
    methods(&first, &["GET"]);
    methods(&second, &["GET"]);
    assert_eq!(lines(&registry, DURATION), ["GET 200 http = 2"]);
    assert_eq!(registry.stats().conflicts, 0);
}

#[test]
fn many_threads_leave_nothing_active_concurrently() {
    let (registry, layer) = setup();
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let layer = layer.clone();
            scope.spawn(move || {
                for i in 0..1000 {
                    let body = || Response::new(Script::new([Data("a")]));
                    let future = service(&layer, body).call(request("GET"));
                    match (i + thread) % 3 {
                        0 => drop(future),
                        _ => drop(now(future).unwrap()),
                    }
                }
            });
        }
    });
    assert_eq!(lines(&registry, ACTIVE), ["GET http = 0"]);
    let total: u64 = lines(&registry, DURATION)
        .iter()
        .map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap())
        .sum();
    assert_eq!(total, 4000);
}

/// Returns a body that does not know its size.
fn chunks(pieces: &'static [&'static str]) -> Body {
    Body::new(Script::new(pieces.iter().map(|piece| Data(piece))))
}

/// Returns the recorded sizes of a request with this body: when the handler reads, peeks or ignores it.
async fn sizes(body: impl Fn() -> Body, length: Option<u64>) -> [String; 3] {
    let mut sizes = Vec::new();
    for path in ["/read", "/peek", "/ignore"] {
        let (registry, layer) = setup();
        let peek = |request: Request| async {
            let mut body = request.into_body();
            assert!(body.frame().await.is_none_or(|frame| frame.is_ok()));
        };
        let router = Router::new()
            .route("/read", post(|text: String| async move { text }))
            .route("/peek", post(peek))
            .route("/ignore", post(|| async {}))
            .layer(layer);
        let mut request = Request::builder().method("POST").uri(path);
        if let Some(length) = length {
            request = request.header(header::CONTENT_LENGTH, length);
        }
        let request = request.body(body()).unwrap();
        let response = router.oneshot(request).await.unwrap();
        assert_eq!(response.status(), 200);
        response.into_body().collect().await.unwrap();
        let lines = lines(&registry, REQUEST_SIZE).join(", ");
        sizes.push(lines.replace(&format!("POST {path} 200 http = "), ""));
    }
    sizes.try_into().unwrap()
}

#[tokio::test]
async fn the_size_of_a_request_is_what_was_read_else_what_was_announced() {
    // Full bodies announce their size themselves.
    let full = || Body::from("hello");
    assert_eq!(sizes(full, None).await, ["1/5", "1/5", "1/5"]);
    let stream = || chunks(&["hel", "lo"]);
    assert_eq!(sizes(stream, Some(5)).await, ["1/5", "1/3", "1/5"]);
    assert_eq!(sizes(stream, None).await, ["1/5", "1/3", ""]);
    assert_eq!(sizes(Body::empty, None).await, ["1/0", "1/0", "1/0"]);
}

#[tokio::test]
async fn a_body_that_is_not_of_axum_has_the_size_that_it_announces() {
    async fn ask<B: http_body::Body + 'static>(request: http::Request<B>) -> Vec<String> {
        let (registry, layer) = setup();
        let service = layer.layer(service_fn(async |request: http::Request<B>| {
            let _ = request.into_body().collect().await;
            Ok::<_, Infallible>(empty())
        }));
        service.oneshot(request).await.unwrap();
        lines(&registry, REQUEST_SIZE)
    }
    let full = http::Request::new(Full::new(Bytes::from("hello")));
    assert_eq!(ask(full).await, ["GET 200 http = 1/5"]);
    let unknown = || http::Request::new(Script::new([Data("hello")]));
    assert_eq!(ask(unknown()).await, [""; 0]);
    let mut announced = unknown();
    let length = header::CONTENT_LENGTH;
    announced.headers_mut().insert(length, 7.into());
    assert_eq!(ask(announced).await, ["GET 200 http = 1/7"]);
}
