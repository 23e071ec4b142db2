//! gRPC calls between tonic's own server and client: their metrics, spans and context.

mod service;

use std::convert::Infallible;
use std::future::ready;
use std::sync::Mutex;

use barograph_core::registry::Registry;
use barograph_model::context::{Baggage, Propagation, TraceContext, TrustBoundary};
use barograph_tower::grpc::{GrpcClientLayer, GrpcServerLayer, GrpcServerLayerBuilder};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use http_body::{Body, Frame};
use http_body_util::{BodyExt, Empty, Full, StreamBody};
use tokio::time::{Duration, sleep, timeout};
use tonic::Code;
use tower::{Layer, ServiceExt};

pub(crate) use service::{Orders, serve};
use test_support::metrics::counts;
use test_support::spans::Spans;

const SERVER: &str = "rpc.server.call.duration";
const CLIENT: &str = "rpc.client.call.duration";

/// Waits until the family shows these lines, because a server ends a call asynchronously.
async fn expect(registry: &Registry, name: &str, expected: &[&str]) {
    let shown = async {
        while counts(registry, name) != expected {
            sleep(Duration::from_millis(5)).await;
        }
    };
    if timeout(Duration::from_secs(20), shown).await.is_err() {
        assert_eq!(counts(registry, name), expected);
    }
}

/// A server and a client of it, and the registry that they record into.
struct Pair {
    registry: Registry,
    orders: Orders,
}

async fn pair_with(f: impl FnOnce(GrpcServerLayerBuilder) -> GrpcServerLayerBuilder) -> Pair {
    let registry = Registry::new();
    let server = f(GrpcServerLayer::builder().with_registry(&registry)).build();
    let address = serve(server).await;
    let client = GrpcClientLayer::builder()
        .with_registry(&registry)
        .with_server("orders.test", 50051)
        .build();
    let orders = Orders::connect(address, &client).await;
    Pair { registry, orders }
}

async fn pair() -> Pair {
    pair_with(|builder| builder).await
}

#[tokio::test]
async fn the_status_is_that_of_the_trailers_or_of_the_head() {
    let Pair {
        registry,
        mut orders,
    } = pair().await;
    assert_eq!(orders.get("one").await.unwrap(), "one at last");
    // Trailers only: there is no message.
    assert_eq!(
        orders.get("missing").await.unwrap_err().code(),
        Code::NotFound
    );
    assert_eq!(
        orders.get("broken").await.unwrap_err().code(),
        Code::Internal
    );
    // Two messages, then a failure.
    assert_eq!(
        orders.list("2 broken").await.unwrap_err().code(),
        Code::Internal
    );
    assert_eq!(orders.list("3").await.unwrap(), 3);
    let expected = [
        "INTERNAL shop.Orders/Get INTERNAL grpc = 1",
        "INTERNAL shop.Orders/List INTERNAL grpc = 1",
        "shop.Orders/Get NOT_FOUND grpc = 1",
        "shop.Orders/Get OK grpc = 1",
        "shop.Orders/List OK grpc = 1",
    ];
    expect(&registry, SERVER, &expected).await;
    let expected = [
        "INTERNAL shop.Orders/Get INTERNAL grpc orders.test 50051 = 1",
        "INTERNAL shop.Orders/List INTERNAL grpc orders.test 50051 = 1",
        "NOT_FOUND shop.Orders/Get NOT_FOUND grpc orders.test 50051 = 1",
        "shop.Orders/Get OK grpc orders.test 50051 = 1",
        "shop.Orders/List OK grpc orders.test 50051 = 1",
    ];
    expect(&registry, CLIENT, &expected).await;
}

/// Calls a method through the layer of a client, whose requests go directly to that of the server.
async fn call(
    registry: &Registry,
    response: http::Response<impl Body<Data = Bytes, Error = Infallible>>,
) {
    let server = GrpcServerLayer::builder().with_registry(registry).build();
    let client = GrpcClientLayer::builder().with_registry(registry).build();
    let response = Mutex::new(Some(response));
    let respond = |_| {
        ready(Ok::<_, Infallible>(
            response.lock().unwrap().take().unwrap(),
        ))
    };
    let service = client.layer(server.layer(tower::service_fn(respond)));
    let request =
        http::Request::post("/shop.Orders/Get").header("content-type", "application/grpc");
    let response = service.oneshot(request.body(String::new()).unwrap()).await;
    response.unwrap().into_body().collect().await.unwrap();
}

#[tokio::test]
async fn trailers_that_follow_a_body_of_known_length_have_the_status() {
    let registry = Registry::new();
    let trailers = |status: &'static str| {
        let trailers = [("grpc-status", status)].map(|(name, value)| {
            (
                HeaderName::from_static(name),
                HeaderValue::from_static(value),
            )
        });
        ready(Some(Ok(HeaderMap::from_iter(trailers))))
    };
    let grpc = || http::Response::builder().header("content-type", "application/grpc");
    let message = Bytes::from_static(b"\0\0\0\0\x01a");
    let full = Full::new(message.clone()).with_trailers(trailers("0"));
    call(&registry, grpc().body(full).unwrap()).await;
    let empty = Empty::new().with_trailers(trailers("5"));
    call(&registry, grpc().body(empty).unwrap()).await;
    // The length is known by a header only.
    let streamed = StreamBody::new(tonic::codegen::tokio_stream::once(Ok(Frame::data(message))));
    let streamed = streamed.with_trailers(trailers("7"));
    let response = grpc().header("content-length", "6").body(streamed);
    call(&registry, response.unwrap()).await;
    let expected = [
        "shop.Orders/Get NOT_FOUND grpc = 1",
        "shop.Orders/Get OK grpc = 1",
        "shop.Orders/Get PERMISSION_DENIED grpc = 1",
    ];
    assert_eq!(counts(&registry, SERVER), expected);
    let expected = [
        "NOT_FOUND shop.Orders/Get NOT_FOUND grpc = 1",
        "PERMISSION_DENIED shop.Orders/Get PERMISSION_DENIED grpc = 1",
        "shop.Orders/Get OK grpc = 1",
    ];
    assert_eq!(counts(&registry, CLIENT), expected);
}

#[tokio::test]
async fn paths_that_are_no_methods_are_other() {
    let (spans, _guard) = Spans::collect();
    let Pair {
        registry,
        mut orders,
    } = pair().await;
    for path in ["/shop.Orders/Nonsense", "/no.Service/At.All"] {
        let status = orders.call(path, "x").await.unwrap_err();
        assert_eq!(status.code(), Code::Unimplemented);
    }
    let expected = ["UNIMPLEMENTED _OTHER UNIMPLEMENTED grpc = 2"];
    expect(&registry, SERVER, &expected).await;
    let mut servers = spans.all();
    servers.retain(|span| span.field("otel.kind") == "server");
    assert_eq!(servers[0].name(), "grpc");
    assert_eq!(servers[0].field("rpc.method"), "_OTHER");
    assert_eq!(
        servers[0].field("rpc.method_original"),
        "shop.Orders/Nonsense"
    );
}

#[tokio::test]
async fn only_methods_that_were_listed_are_named() {
    let listed = |builder: GrpcServerLayerBuilder| builder.with_methods(["shop.Orders/List"]);
    let Pair {
        registry,
        mut orders,
    } = pair_with(listed).await;
    orders.get("one").await.unwrap();
    orders.list("1").await.unwrap();
    let expected = ["_OTHER OK grpc = 1", "shop.Orders/List OK grpc = 1"];
    expect(&registry, SERVER, &expected).await;
}

#[tokio::test]
async fn a_call_is_one_trace_with_what_travels() {
    let (spans, _guard) = Spans::collect();
    let Pair {
        registry,
        mut orders,
    } = pair().await;
    let caller = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let caller = TraceContext::parse_traceparent(caller).unwrap();
    let travels = Propagation::from(caller).with_baggage(Baggage::parse(["tenant=acme"]));
    let answer = {
        let _current = barograph_core::current::enter(travels);
        // Everything runs on one thread, so only the first poll is in the context.
        let call = orders.get("baggage");
        call.await.unwrap()
    };
    assert_eq!(answer, "tenant=acme");
    expect(&registry, SERVER, &["shop.Orders/Get OK grpc = 1"]).await;
    let all = spans.all();
    let of = |kind| {
        all.iter()
            .find(|span| span.field("otel.kind") == kind)
            .unwrap()
    };
    let (client, server) = (of("client"), of("server"));
    assert_eq!(client.parent, Some(caller.span_id()));
    assert!(server.is_child_of(client), "{all:?}");
    for span in [client, server] {
        assert_eq!(span.name(), "shop.Orders/Get");
        assert_eq!(span.field("rpc.system.name"), "grpc");
        assert_eq!(span.field("rpc.method"), "shop.Orders/Get");
        assert_eq!(span.field("rpc.response.status_code"), "OK");
        assert_eq!(span.field("otel.status_code"), "");
        assert_eq!(span.field("rpc.method_original"), "");
    }
    assert_eq!(client.field("server.address"), "orders.test");
    assert_eq!(server.field("server.address"), "127.0.0.1");
}

#[tokio::test]
async fn an_untrusted_caller_decides_nothing() {
    let (spans, _guard) = Spans::collect();
    let untrusted =
        |builder: GrpcServerLayerBuilder| builder.with_boundary(TrustBoundary::Untrusted);
    let Pair {
        registry,
        mut orders,
    } = pair_with(untrusted).await;
    orders.get("one").await.unwrap();
    expect(&registry, SERVER, &["shop.Orders/Get OK grpc = 1"]).await;
    let all = spans.all();
    assert_eq!(all.len(), 2);
    let of = |kind| {
        all.iter()
            .find(|span| span.field("otel.kind") == kind)
            .unwrap()
    };
    let (client, server) = (of("client"), of("server"));
    assert_ne!(client.context.trace_id(), server.context.trace_id());
    assert_eq!(
        (server.parent, &server.links),
        (None, &vec![client.context])
    );
}

#[tokio::test]
async fn a_call_that_is_dropped_is_cancelled_on_both_sides() {
    let (spans, _guard) = Spans::collect();
    let Pair {
        registry,
        mut orders,
    } = pair().await;
    orders.get("one").await.unwrap();
    let call = timeout(Duration::from_millis(100), orders.get("hang"));
    call.await.unwrap_err();
    // A stream that is not read to its end.
    orders.list_first("endless").await;
    let expected = [
        "shop.Orders/Get CANCELLED grpc = 1",
        "shop.Orders/Get OK grpc = 1",
        "shop.Orders/List CANCELLED grpc = 1",
    ];
    expect(&registry, SERVER, &expected).await;
    let expected = [
        "CANCELLED shop.Orders/Get CANCELLED grpc orders.test 50051 = 1",
        "CANCELLED shop.Orders/List CANCELLED grpc orders.test 50051 = 1",
        "shop.Orders/Get OK grpc orders.test 50051 = 1",
    ];
    expect(&registry, CLIENT, &expected).await;
    for span in spans.all() {
        let is_error = span.field("otel.status_code") == "ERROR";
        let is_cancelled = span.field("rpc.response.status_code") == "CANCELLED";
        // A cancellation is an error of the client only.
        let is_client = span.field("otel.kind") == "client";
        assert_eq!(is_error, is_cancelled && is_client, "{span:?}");
    }
}

#[tokio::test]
async fn a_method_that_panics_is_recorded_by_both_sides() {
    let Pair {
        registry,
        mut orders,
    } = pair().await;
    orders.get("one").await.unwrap();
    orders.get("panic").await.unwrap_err();
    let expected = [
        "panic shop.Orders/Get grpc = 1",
        "shop.Orders/Get OK grpc = 1",
    ];
    expect(&registry, SERVER, &expected).await;
    let all = counts(&registry, CLIENT);
    assert_eq!(all.len(), 2, "{all:?}");
}

#[tokio::test]
async fn a_stream_that_every_client_leaves_is_known_by_its_method() {
    let (spans, _guard) = Spans::collect();
    let Pair {
        registry,
        mut orders,
    } = pair().await;
    for _ in 0..3 {
        orders.list_first("endless").await;
    }
    expect(&registry, SERVER, &["shop.Orders/List CANCELLED grpc = 3"]).await;
    let mut servers = spans.all();
    servers.retain(|span| span.field("otel.kind") == "server");
    assert_eq!(servers.len(), 3);
    for span in servers {
        assert_eq!(span.name(), "shop.Orders/List");
        assert_eq!(span.field("rpc.method"), "shop.Orders/List");
        assert_eq!(span.field("rpc.method_original"), "");
    }
}

#[tokio::test]
async fn an_answer_that_is_not_of_grpc_teaches_no_method() {
    let registry = Registry::new();
    let layer = GrpcServerLayer::builder().with_registry(&registry).build();
    // A fallback that answers every path, like the one of an app beside the gRPC methods.
    let answers = |request: http::Request<String>| async move {
        let status = match request.uri().path() {
            "/shop.Orders/Broken" => 500,
            _ => 200,
        };
        let response = http::Response::builder().status(status);
        let response = response.header("content-type", "text/html");
        response.body("<html></html>".to_owned())
    };
    let service = layer.layer(tower::service_fn(answers));
    for path in ["/any.Service/Method", "/shop.Orders/Broken", "/a/b"] {
        let request = http::Request::post(path)
            .header("content-type", "application/grpc")
            .body(String::new());
        let response = service.clone().oneshot(request.unwrap()).await.unwrap();
        response.into_body().collect().await.unwrap();
    }
    expect(&registry, SERVER, &["UNKNOWN _OTHER UNKNOWN grpc = 3"]).await;
}

#[tokio::test]
async fn only_content_types_of_grpc_are_calls() {
    let registry = Registry::new();
    let layer = GrpcServerLayer::builder().with_registry(&registry).build();
    let ok = |_: http::Request<String>| async {
        http::Response::builder()
            .header("grpc-status", "0")
            .body(String::new())
    };
    let service = layer.layer(tower::service_fn(ok));
    let call = async |content_type: &str| {
        let request = http::Request::post("/shop.Orders/Get").header("content-type", content_type);
        let request = request.body(String::new()).unwrap();
        let response = service.clone().oneshot(request).await.unwrap();
        response.into_body().collect().await.unwrap();
    };
    for other in [
        "application/grpc-web",
        "application/grpc-web+proto",
        "application/grpcs",
    ] {
        call(other).await;
    }
    assert_eq!(counts(&registry, SERVER), [""; 0]);
    for grpc in [
        "application/grpc",
        "application/grpc+proto",
        "application/grpc;charset=utf-8",
    ] {
        call(grpc).await;
    }
    expect(&registry, SERVER, &["shop.Orders/Get OK grpc = 3"]).await;
}

#[tokio::test]
async fn a_call_through_two_layers_counts_once() {
    let registry = Registry::new();
    let layer = || GrpcServerLayer::builder().with_registry(&registry).build();
    let inner = layer().layer(service::Shop);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = tonic::transport::Server::builder()
        .layer(layer())
        .add_service(service::Twice(inner));
    let incoming = tonic::transport::server::TcpIncoming::from(listener);
    tokio::spawn(router.serve_with_incoming(incoming));
    let client = GrpcClientLayer::builder().with_registry(&registry).build();
    let mut orders = Orders::connect(address, &client).await;
    orders.get("one").await.unwrap();
    orders.get("missing").await.unwrap_err();
    let expected = [
        "shop.Orders/Get NOT_FOUND grpc = 1",
        "shop.Orders/Get OK grpc = 1",
    ];
    expect(&registry, SERVER, &expected).await;
}

#[tokio::test]
async fn the_inner_layer_records_a_call_that_the_outer_one_does_not() {
    let registry = Registry::new();
    let layer = GrpcServerLayer::builder().with_registry(&registry).build();
    let answers = |_: http::Request<String>| async {
        http::Response::builder()
            .header("grpc-status", "0")
            .body(String::new())
    };
    let inner = layer.clone().layer(tower::service_fn(answers));
    // Translates gRPC-Web, which the outer layer does not record, to gRPC.
    let translate = tower::service_fn(move |mut request: http::Request<String>| {
        let grpc = HeaderValue::from_static("application/grpc");
        request.headers_mut().insert("content-type", grpc);
        inner.clone().oneshot(request)
    });
    let request = http::Request::post("/shop.Orders/Get");
    let request = request.header("content-type", "application/grpc-web");
    let service = layer.layer(translate);
    let response = service.oneshot(request.body(String::new()).unwrap()).await;
    response.unwrap().into_body().collect().await.unwrap();
    let expected = ["shop.Orders/Get OK grpc = 1"];
    assert_eq!(counts(&registry, SERVER), expected);
}

#[tokio::test]
async fn the_uri_of_a_call_has_the_address_of_the_server() {
    let registry = Registry::new();
    let layer = GrpcClientLayer::builder().with_registry(&registry).build();
    for uri in ["http://orders.test:50051", "https://[::1]", "/"] {
        let nobody = |_: http::Request<String>| ready(Err::<http::Response<String>, _>("gone"));
        let uri = format!("{}/shop.Orders/Get", uri.trim_end_matches('/'));
        let request = http::Request::post(uri)
            .header("content-type", "application/grpc")
            .body(String::new());
        let service = layer.layer(tower::service_fn(nobody));
        service.oneshot(request.unwrap()).await.unwrap_err();
    }
    let expected = [
        "UNKNOWN shop.Orders/Get UNKNOWN grpc ::1 443 = 1",
        "UNKNOWN shop.Orders/Get UNKNOWN grpc = 1",
        "UNKNOWN shop.Orders/Get UNKNOWN grpc orders.test 50051 = 1",
    ];
    expect(&registry, CLIENT, &expected).await;
}
