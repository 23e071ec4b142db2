//! Routes of real axum routers.

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use axum::routing::{any, get, post};
use barograph_core::registry::Registry;
use barograph_tower::http::{HttpServerLayer, Route};
use http::StatusCode;
use http_body_util::BodyExt;
use tower::{Layer, Service, ServiceBuilder, ServiceExt};

use crate::page::{ACTIVE, DURATION, lines, setup, setup_with};

async fn ask<S>(service: S, method: &str, path: &str) -> (StatusCode, String)
where
    S: Service<Request, Error = std::convert::Infallible>,
    S::Response: axum::response::IntoResponse,
{
    let request = Request::builder().method(method).uri(path);
    let request = request.body(Body::empty()).unwrap();
    let response = service.oneshot(request).await.unwrap();
    let response = axum::response::IntoResponse::into_response(response);
    let status = response.status();
    let text = response.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8(text.to_vec()).unwrap())
}

/// Sends requests to a router, one after the other, and checks the recorded series.
async fn check(
    make: impl FnOnce(&Registry, HttpServerLayer) -> Router,
    asked: &[(&str, &str)],
    expected: &[&str],
) {
    let (registry, layer) = setup();
    let router = make(&registry, layer);
    for (method, path) in asked {
        ask(router.clone(), method, path).await;
    }
    assert_eq!(lines(&registry, DURATION), expected);
    for line in lines(&registry, ACTIVE) {
        assert!(line.ends_with(" = 0"), "{line}");
    }
}

async fn hello() -> &'static str {
    "hello"
}

#[tokio::test]
async fn a_layer_around_the_routes_sees_which_one_matched() {
    check(
        |_, layer| {
            Router::new()
                .route("/orders/{id}", get(hello).post(hello))
                .route("/files/{*path}", get(hello))
                .route("/", get(hello))
                .layer(layer)
        },
        &[
            ("GET", "/orders/1"),
            ("GET", "/orders/2?secret=1"),
            ("POST", "/orders/1"),
            ("HEAD", "/orders/1"),
            ("GET", "/files/a/b/c"),
            ("GET", "/"),
        ],
        &[
            "GET / 200 http = 1",
            "GET /files/{*path} 200 http = 1",
            "GET /orders/{id} 200 http = 2",
            "HEAD /orders/{id} 200 http = 1",
            "POST /orders/{id} 200 http = 1",
        ],
    )
    .await;
}

#[tokio::test]
async fn without_a_matching_route_there_is_none() {
    check(
        |_, layer| Router::new().route("/a", get(hello)).layer(layer),
        &[("GET", "/secret"), ("GET", "/secret/2"), ("DELETE", "/a")],
        &["DELETE /a 405 http = 1", "GET 404 http = 2"],
    )
    .await;
    check(
        |_, layer| {
            let fallback = || async { (StatusCode::IM_A_TEAPOT, "tea") };
            Router::new().fallback(fallback).layer(layer)
        },
        &[("GET", "/"), ("GET", "/secret")],
        &["GET 418 http = 2"],
    )
    .await;
}

#[tokio::test]
async fn nested_routes_are_whole() {
    let inner = || {
        Router::new()
            .route("/orders/{id}", get(hello))
            .route("/", get(hello))
    };
    let asked = [
        ("GET", "/api/7/orders/1"),
        ("GET", "/api/7"),
        ("GET", "/api/7/secret"),
    ];
    let expected = [
        "GET /api/{version} 200 http = 1",
        "GET /api/{version}/orders/{id} 200 http = 1",
        "GET 404 http = 1",
    ];
    check(
        |_, layer| Router::new().nest("/api/{version}", inner()).layer(layer),
        &asked,
        &expected,
    )
    .await;
    // From inside it looks the same; a path that matches nothing does not reach the inner layer.
    check(
        |_, layer| Router::new().nest("/api/{version}", inner().layer(layer)),
        &asked,
        &expected[..2],
    )
    .await;
}

#[tokio::test]
async fn a_nested_fallback_has_no_route() {
    let inner = || {
        let fallback = || async { (StatusCode::IM_A_TEAPOT, "tea") };
        Router::new().route("/a", get(hello)).fallback(fallback)
    };
    let asked = [("GET", "/api/a"), ("GET", "/api/secret"), ("GET", "/no")];
    check(
        |_, layer| Router::new().nest("/api", inner()).layer(layer),
        &asked,
        &[
            "GET /api/a 200 http = 1",
            "GET 404 http = 1",
            "GET 418 http = 1",
        ],
    )
    .await;
}

#[tokio::test]
async fn a_nested_service_has_no_pattern_of_its_own() {
    let inner = || Router::new().route("/a", any(hello));
    let asked = [("GET", "/api/a"), ("GET", "/api/secret")];
    check(
        |_, layer| Router::new().nest_service("/api", inner()).layer(layer),
        &asked,
        &["GET 200 http = 1", "GET 404 http = 1"],
    )
    .await;
    check(
        |_, layer| Router::new().nest_service("/api", inner().layer(layer)),
        &asked,
        &["GET /api/a 200 http = 1", "GET 404 http = 1"],
    )
    .await;
}

#[tokio::test]
async fn merged_routers_keep_their_routes() {
    check(
        |_, layer| {
            let first = Router::new()
                .route("/a/{b}", get(hello))
                .layer(layer.clone());
            let second = Router::new().route("/c", post(hello)).layer(layer);
            first.merge(second)
        },
        &[("GET", "/a/1"), ("POST", "/c"), ("GET", "/d")],
        &[
            "GET /a/{b} 200 http = 1",
            "GET 404 http = 1",
            "POST /c 200 http = 1",
        ],
    )
    .await;
}

#[tokio::test]
async fn a_route_layer_leaves_out_what_matches_nothing() {
    check(
        |_, layer| Router::new().route("/a", get(hello)).route_layer(layer),
        &[("GET", "/a"), ("GET", "/b"), ("POST", "/a")],
        &["GET /a 200 http = 1", "POST /a 405 http = 1"],
    )
    .await;
}

#[tokio::test]
async fn around_the_whole_router_no_route_is_known() {
    let (registry, layer) = setup();
    let service = layer.layer(Router::new().route("/a", get(hello)));
    let (status, text) = ask(service, "GET", "/a").await;
    assert_eq!((status, &*text), (StatusCode::OK, "hello"));
    assert_eq!(lines(&registry, DURATION), ["GET 200 http = 1"]);
}

#[tokio::test]
async fn middleware_for_requests_of_axum_fits_in_below() {
    async fn pass(request: Request, next: Next) -> axum::response::Response {
        next.run(request).await
    }
    check(
        |_, layer| {
            let stack = ServiceBuilder::new().layer(layer).layer(from_fn(pass));
            Router::new().route("/a", get(hello)).layer(stack)
        },
        &[("GET", "/a")],
        &["GET /a 200 http = 1"],
    )
    .await;
}

#[tokio::test]
async fn the_user_may_set_the_route() {
    let (registry, layer) = setup_with(|builder| {
        builder.with_route(|request| match request.uri.path() {
            "/" => None,
            path if path.starts_with("/users/") => Some(Route::from("/users/{name}")),
            _ => Some(Route::from(format!("/{}", request.method).to_lowercase())),
        })
    });
    let router = Router::new().fallback(hello).layer(layer);
    for path in ["/", "/users/a", "/users/b", "/other"] {
        ask(router.clone(), "GET", path).await;
    }
    assert_eq!(
        lines(&registry, DURATION),
        [
            "GET /get 200 http = 1",
            "GET /users/{name} 200 http = 2",
            "GET 200 http = 1",
        ]
    );
}
