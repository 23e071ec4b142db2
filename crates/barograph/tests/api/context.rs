//! Contexts are propagated through the service, whether spans are recorded or not.
#![cfg(feature = "axum")]

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Request};
use axum::routing::get;
use barograph::Registry;
use barograph::context::{Baggage, Propagation};
use barograph::current::Current;
use barograph::propagation::HeadersMut;
use barograph::propagation::propagators;
use barograph::testing::TestBuilder as _;
use barograph::{Telemetry, current};
use tower_service::Service as _;

use crate::service::builder;

const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

/// Returns the headers that the service would send for a request with these headers.
async fn sent_on(telemetry: &Telemetry) -> HeaderMap {
    let handler = || async {
        let mut headers = HeaderMap::new();
        propagators().inject(&current::propagation(), &mut HeadersMut(&mut headers));
        headers
    };
    let layer = barograph::HttpServerLayer::builder().with_registry(&Registry::new());
    let mut app: Router = Router::new().route("/", get(handler)).layer(layer.build());
    let request = Request::get("/")
        .header("traceparent", PARENT)
        .header("tracestate", "a=1")
        .header("baggage", "user=7")
        .body(Body::empty())
        .unwrap();
    let subscriber = tracing_subscriber::layer::SubscriberExt::with(
        tracing_subscriber::registry(),
        telemetry.layer(),
    );
    let _guard = tracing::subscriber::set_default(subscriber);
    app.call(request).await.unwrap().headers().clone()
}

#[tokio::test]
async fn disabled_telemetry_passes_contexts_on_unchanged() {
    let telemetry = builder(&Registry::new())
        .with_environment(|name| (name == "OTEL_SDK_DISABLED").then(|| "true".to_owned()))
        .without_subscriber()
        .start()
        .unwrap();
    let headers = sent_on(&telemetry).await;
    assert_eq!(headers["traceparent"], PARENT);
    assert_eq!(headers["tracestate"], "a=1");
    assert_eq!(headers["baggage"], "user=7");
}

#[tokio::test]
async fn a_recorded_request_passes_its_own_span_on() {
    let telemetry = builder(&Registry::new())
        .without_subscriber()
        .start()
        .unwrap();
    let headers = sent_on(&telemetry).await;
    let sent = headers["traceparent"].to_str().unwrap();
    assert_eq!(sent[..36], PARENT[..36]);
    assert_ne!(sent, PARENT);
    assert_eq!(headers["tracestate"], "a=1");
    assert_eq!(headers["baggage"], "user=7");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_scope_has_its_context_at_every_poll() {
    let received = Propagation::default().with_baggage(Baggage::parse(["tenant=acme"]));
    let baggage = || current::propagation().baggage().as_str().to_owned();
    let handled = current::scope(received, async move {
        for _ in 0..20 {
            tokio::task::yield_now().await;
            assert_eq!(baggage(), "tenant=acme");
        }
        // A span that no layer enables changes nothing, and a spawned task gets what it is given.
        let span = tracing::trace_span!("disabled");
        assert_eq!(span.in_scope(baggage), "tenant=acme");
        let spawned = tokio::spawn(current::scope(Current::capture(), async move { baggage() }));
        let bare = tokio::spawn(async move { baggage() });
        (spawned.await.unwrap(), bare.await.unwrap())
    });
    let outside = tokio::spawn(async move {
        tokio::task::yield_now().await;
        baggage()
    });
    let handled = tokio::spawn(handled).await.unwrap();
    assert_eq!(handled, ("tenant=acme".to_owned(), String::new()));
    assert_eq!(outside.await.unwrap(), "");
    assert_eq!(baggage(), "");
}
