//! Services that call each other over real connections: one trace, and the context that travels in it.

use std::net::SocketAddr;

use axum::Router;
use axum::extract::{Path, State};
use axum::routing::get;
use barograph_core::current;
use barograph_core::registry::Registry;
use barograph_tower::http::client::HttpClient;
use barograph_tower::http::{HttpClientLayer, HttpServerLayer, Route};
use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Empty};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tokio::net::TcpListener;
use tower::{Layer, ServiceExt};

use crate::page::{DURATION, exemplars};
use test_support::spans::Spans;

type Asking = HttpClient<Client<HttpConnector, Empty<Bytes>>>;

fn client() -> Asking {
    let layer = HttpClientLayer::builder()
        .with_registry(&Registry::new())
        .build();
    layer.layer(Client::builder(TokioExecutor::new()).build_http())
}

/// Serves on the loopback interface, until the test's runtime is dropped.
async fn serve(router: Router) -> (SocketAddr, Registry) {
    let registry = Registry::new();
    let layer = HttpServerLayer::builder().with_registry(&registry).build();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router.layer(layer)).await });
    (address, registry)
}

/// Returns the response of the service at this address.
async fn ask(client: &Asking, address: SocketAddr, path: &str, headers: &[(&str, &str)]) -> String {
    let mut request = Request::get(format!("http://{address}{path}"));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.extension(Route::from("/{id}")).body(Empty::new());
    let response = client.clone().oneshot(request.unwrap()).await.unwrap();
    let body = response.into_body().collect().await.unwrap();
    String::from_utf8(body.to_bytes().into()).unwrap()
}

/// Returns the tracestate and baggage that would be sent from here.
fn travels() -> String {
    let sent = current::propagation();
    format!("{} {}", sent.tracestate().as_str(), sent.baggage().as_str())
}

#[tokio::test]
async fn two_services_make_one_trace() {
    let (spans, _guard) = Spans::collect();
    let last = Router::new().route("/last/{id}", get(async || travels()));
    let (last, _) = serve(last).await;
    let forward = async move |State(client): State<Asking>, Path(id): Path<String>| {
        tokio::task::yield_now().await;
        ask(&client, last, &format!("/last/{id}"), &[]).await
    };
    let first = Router::new()
        .route("/first/{id}", get(forward))
        .with_state(client());
    let (first, registry) = serve(first).await;

    // The caller has no spans of its own; the collector sees three spans.
    let caller = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let headers = [
        ("traceparent", caller),
        ("tracestate", "vendor=x"),
        ("baggage", "tenant=acme;p=1,tier=%C3%A4"),
    ];
    let plain: Client<HttpConnector, Empty<Bytes>> =
        Client::builder(TokioExecutor::new()).build_http();
    let mut request = Request::get(format!("http://{first}/first/7"));
    for (name, value) in headers {
        request = request.header(name, value);
    }
    let response = plain
        .request(request.body(Empty::new()).unwrap())
        .await
        .unwrap();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(body, "vendor=x tenant=acme;p=1,tier=%C3%A4");

    let first = spans.named("GET /first/{id}");
    let asked = spans.named("GET /{id}");
    let last = spans.named("GET /last/{id}");
    assert_eq!(first.context.trace_id().to_string(), &caller[3..35]);
    assert_eq!(first.parent.unwrap().to_string(), &caller[36..52]);
    assert!(
        asked.is_child_of(&first) && last.is_child_of(&asked),
        "{:?}",
        spans.all()
    );
    let kinds = [&first, &asked, &last].map(|span| span.field("otel.kind"));
    assert_eq!(kinds, ["server", "client", "server"]);
    let exemplars = exemplars(&registry, DURATION);
    assert_eq!(exemplars[0].context, Some(first.context));
}

#[tokio::test]
async fn requests_at_the_same_time_keep_apart() {
    let (spans, _guard) = Spans::collect();
    let slowly = async || {
        for _ in 0..5 {
            tokio::task::yield_now().await;
        }
        travels()
    };
    let (last, _) = serve(Router::new().route("/last/{id}", get(slowly))).await;
    let client = client();
    let asks = (0..8).map(|at| {
        let client = client.clone();
        tokio::spawn(async move {
            let baggage = format!("at={at}");
            let answer = ask(&client, last, "/last/7", &[("baggage", &baggage)]).await;
            assert_eq!(answer, format!(" {baggage}"));
        })
    });
    for task in asks.collect::<Vec<_>>() {
        task.await.unwrap();
    }
    let all = spans.all();
    assert_eq!(all.len(), 16);
    for server in all
        .iter()
        .filter(|span| span.field("otel.kind") == "server")
    {
        let parents = all.iter().filter(|span| server.is_child_of(span));
        assert_eq!(parents.count(), 1);
    }
    let mut traces: Vec<_> = all
        .iter()
        .map(|span| span.context.trace_id().get())
        .collect();
    traces.sort_unstable();
    traces.dedup();
    assert_eq!(traces.len(), 8);
}
