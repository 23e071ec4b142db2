//! The layers and clients that take the registry of the thread that builds them.

use std::convert::Infallible;
use std::fmt::Debug;
use std::time::Duration;

use axum::http::{Request, Response};
use barograph::kafka::{Kafka, Record};
use barograph::source::Source as _;
use barograph::testing::Capture;
use barograph::{
    GrpcClientLayer, GrpcServerLayer, HttpClientLayer, HttpServerLayer, Limits, Registry,
    assert_telemetry, counter, observe,
};
use http_body_util::BodyExt as _;
use hyper::body::Body;
use tower::{Layer as _, Service, ServiceExt as _, service_fn};

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    runtime.unwrap().block_on(future)
}

async fn orders(_: Request<String>) -> Result<Response<String>, Infallible> {
    counter!("layers.orders").inc();
    tracing::info!(target: "shop", "order read");
    Ok(Response::new("order 7".to_owned()))
}

fn request(headers: &[(&str, &str)]) -> Request<String> {
    let mut request = Request::get("http://shop.internal/orders/7");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(String::new()).unwrap()
}

/// Sends a request, and reads the body of the response: the request ends with it.
async fn send<S, B>(service: S, request: Request<String>)
where
    S: Service<Request<String>, Response = Response<B>, Error: Debug>,
    B: Body<Error: Debug>,
{
    let response = service.oneshot(request).await.unwrap();
    response.into_body().collect().await.unwrap();
}

#[test]
fn a_request_is_captured_with_its_metrics_its_span_and_its_log_record() {
    let capture = Capture::new();
    capture.run(|| {
        let layer = HttpServerLayer::builder().with_route(|_| Some("/orders/{id}".into()));
        let service = layer.build().layer(service_fn(async |request| {
            capture.advance(Duration::from_millis(20));
            orders(request).await
        }));
        block_on(send(service, request(&[])));
    });
    assert_telemetry!(
        capture,
        r#"
            up_down_counter http.server.active_requests{http.request.method="GET", url.scheme="http"} 0 unit={request}
            histogram http.server.request.body.size{..} count=1 sum=0 unit=By
            histogram http.server.request.duration{http.request.method="GET", http.response.status_code="200", http.route="/orders/{id}", ..} count=1 sum=0.02 unit=s
            ..
            counter layers.orders{} 1
            span GET /orders/{id} server {http.response.status_code=200, http.route="/orders/{id}", ..}
              log INFO shop "order read" {}
        "#
    );
    for family in Registry::global().collect() {
        let name = family.descriptor().name.clone();
        assert!(
            !name.starts_with("http.") && !name.starts_with("layers."),
            "{name}"
        );
    }
}

#[test]
fn the_trace_of_the_caller_is_continued() {
    let capture = Capture::new().with_ids();
    capture.run(|| {
        let service = HttpServerLayer::new().layer(service_fn(orders));
        let traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        block_on(send(service, request(&[("traceparent", traceparent)])));
    });
    assert_telemetry!(
        capture,
        r#"
            ..
            span GET server trace_id=0af7651916cd43dd8448eb211c80319c span_id=* parent_id=b7ad6b7169203331 {..}
              log INFO shop "order read" trace_id=0af7651916cd43dd8448eb211c80319c span_id=* {}
        "#
    );
}

#[test]
fn a_layer_belongs_to_the_capture_in_which_it_was_built() {
    let (first, second) = (Capture::new(), Capture::new());
    let service = first.run(|| HttpServerLayer::new().layer(service_fn(orders)));
    second.run(|| block_on(send(service, request(&[]))));
    assert_telemetry!(
        first,
        "up_down_counter http.server.active_requests{..} 0 unit=*\n.."
    );
    assert_telemetry!(
        second,
        r#"
            counter layers.orders{} 1
            span GET server {..}
              log INFO shop "order read" {}
        "#
    );
}

#[test]
fn a_client_and_the_server_that_it_calls_are_one_trace() {
    let capture = Capture::new();
    capture.run(|| {
        let server = HttpServerLayer::new().layer(service_fn(orders));
        let client = HttpClientLayer::new().layer(server);
        block_on(send(client, request(&[])));
    });
    assert_telemetry!(
        capture,
        r#"
            histogram http.client.request.duration{..} count=1 sum=0 unit=s
            ..
            span GET client {..}
              span GET server {..}
                log INFO shop "order read" {}
        "#
    );
}

#[test]
fn records_of_kafka_are_captured() {
    let capture = Capture::new();
    capture.run(|| {
        let kafka = Kafka::builder().with_group("billing").build();
        let mut headers: Vec<(String, Vec<u8>)> = Vec::new();
        kafka.send(&Record::new("orders"), &mut headers).end();
        kafka.process(&Record::new("orders"), &headers).end();
    });
    assert_telemetry!(
        capture,
        r#"
            ..
            histogram messaging.client.operation.duration{messaging.operation.name="send", ..} count=1 sum=0 unit=s
            ..
            span send orders producer {..}
            span process orders consumer links=1 {..}
        "#
    );
}

/// Registers each metric of barograph that a service gets without further work.
fn record_all(capture: &Capture) {
    capture.run(|| {
        let server = HttpServerLayer::new().layer(service_fn(orders));
        let client = HttpClientLayer::new().layer(server);
        block_on(send(client, request(&[])));
        let server = GrpcServerLayer::new();
        let client = GrpcClientLayer::new();
        drop((server, client));
        let kafka = Kafka::builder().build();
        kafka
            .send(&Record::new("orders"), &mut Vec::<(String, Vec<u8>)>::new())
            .end();
        let failed = block_on(observe("layers", "fail", async {
            Err::<(), _>(std::fmt::Error)
        }));
        failed.unwrap_err();
    });
}

#[test]
fn the_metrics_of_barograph_follow_the_conventions() {
    let capture = Capture::new();
    record_all(&capture);
    capture.assert_conventions();
}

#[test]
fn the_metrics_of_barograph_keep_strict_limits() {
    let limits = Limits::strict();
    let registry = Registry::builder().with_limits(limits.clone());
    let capture = Capture::of(registry.build().unwrap());
    record_all(&capture);
    let stats = capture.registry().stats();
    assert_eq!(stats.conflicts_by_reason, []);
    assert!(stats.families.len() > 8, "{stats:?}");
    for family in stats.families {
        assert_eq!(family.refused, [], "{}", family.name);
    }
    // The negative control: with one label less, one of them is refused.
    let fewer = limits.with_labels(8);
    let registry = Registry::builder().with_limits(fewer).build().unwrap();
    let capture = Capture::of(registry);
    record_all(&capture);
    assert!(capture.registry().stats().conflicts > 0);
}
