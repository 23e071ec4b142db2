//! The cause of a failed request has the same name for every client.

use std::collections::BTreeMap;
use std::error::Error;
use std::net::SocketAddr;
use std::time::Duration;

use barograph_core::registry::Registry;
use barograph_model::snapshot::{Source, Value};
use barograph_tower::grpc::GrpcClientLayer;
use barograph_tower::http::HttpClientLayer;
use barograph_tower::http::client::HttpClientMiddleware;
use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Empty};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::time::timeout;
use tonic::transport::Endpoint;
use tower::{Layer, ServiceBuilder, ServiceExt};

type BoxError = Box<dyn Error + Send + Sync>;

/// Returns the labels of the only series of a family.
fn labels(registry: &Registry, name: &str) -> BTreeMap<String, String> {
    let mut all = Vec::new();
    for family in registry.collect() {
        let mut from = Some(0).filter(|_| *family.descriptor().name == *name);
        while let Some(cursor) = from {
            from = family.read(cursor, &mut |point| {
                assert!(matches!(point.value, Value::Histogram(_)));
                let labels = point.labels.iter();
                all.push(labels.map(|(k, v)| (k.to_owned(), v.to_owned())).collect());
            });
        }
    }
    assert_eq!(all.len(), 1, "{all:?}");
    all.remove(0)
}

/// Requests this URL, which fails, and returns the `error.type` of each client.
async fn causes(url: &str) -> BTreeMap<&'static str, String> {
    const HTTP: &str = "http.client.request.duration";
    let setup = || {
        let registry = Registry::new();
        let layer = HttpClientLayer::builder().with_registry(&registry).build();
        (registry, layer)
    };
    let mut causes = BTreeMap::new();
    let mut check = |client, registry: &Registry, name| {
        let cause = labels(registry, name).remove("error.type").unwrap();
        causes.insert(client, cause);
    };
    let request = || Request::get(url).body(Empty::<Bytes>::new()).unwrap();
    let plain = Client::builder(TokioExecutor::new()).build_http::<Empty<Bytes>>();

    let (registry, layer) = setup();
    let response = layer.layer(plain.clone()).oneshot(request()).await;
    if let Ok(response) = response {
        response.into_body().collect().await.unwrap_err();
    }
    check("hyper-util", &registry, HTTP);

    let (registry, layer) = setup();
    let stack = ServiceBuilder::new().layer(layer).map_err(BoxError::from);
    let response = stack.service(plain).oneshot(request()).await;
    if let Ok(response) = response {
        response.into_body().collect().await.unwrap_err();
    }
    check("tower", &registry, HTTP);

    let (registry, layer) = setup();
    let client = reqwest_middleware::ClientBuilder::new(reqwest::Client::new())
        .with(HttpClientMiddleware::from(layer))
        .build();
    if let Ok(response) = client.get(url).send().await {
        response.bytes().await.unwrap_err();
    }
    check("reqwest", &registry, HTTP);
    causes
}

/// Returns the gRPC status that the caller sees, the recorded one, and `error.type`.
async fn call(endpoint: Endpoint) -> (tonic::Code, String, String) {
    let registry = Registry::new();
    let layer = GrpcClientLayer::builder().with_registry(&registry).build();
    let mut orders = crate::grpc::Orders::lazy(endpoint, &layer);
    let code = orders.get("hang").await.unwrap_err().code();
    let mut labels = labels(&registry, "rpc.client.call.duration");
    let mut label = |name| labels.remove(name).unwrap();
    (code, label("rpc.response.status_code"), label("error.type"))
}

fn endpoint(address: SocketAddr) -> Endpoint {
    Endpoint::from_shared(format!("http://{address}")).unwrap()
}

/// Returns an address without a listener.
async fn closed_address() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    listener.local_addr().unwrap()
}

fn all(word: &str) -> BTreeMap<&'static str, String> {
    let clients = ["hyper-util", "tower", "reqwest"].into_iter();
    clients.map(|client| (client, word.to_owned())).collect()
}

#[tokio::test]
async fn a_connection_that_is_refused_is_one_cause_for_all_clients() {
    let address = closed_address().await;
    let causes = causes(&format!("http://{address}/")).await;
    assert_eq!(causes, all("connection_refused"));
    assert_eq!(
        call(endpoint(address)).await,
        (
            tonic::Code::Unavailable,
            "UNAVAILABLE".into(),
            "connection_refused".into()
        )
    );
}

#[tokio::test]
async fn a_name_that_is_none_is_one_cause_for_all_clients() {
    // The label is too long for a DNS query, so nothing leaves this machine.
    let url = format!("http://{}.invalid/", "a".repeat(64));
    assert_eq!(causes(&url).await, all("name_resolution"));
    assert_eq!(
        call(Endpoint::from_shared(url).unwrap()).await,
        (
            tonic::Code::Unavailable,
            "UNAVAILABLE".into(),
            "name_resolution".into()
        )
    );
}

#[tokio::test]
async fn a_server_that_closes_is_one_cause_for_all_clients() {
    for answer in ["", "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf"] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                // Closing with unread data would reset the connection.
                let mut head = [0; 1024];
                let _ = stream.read(&mut head).await;
                let _ = stream.write_all(answer.as_bytes()).await;
            }
        });
        let causes = causes(&format!("http://{address}/")).await;
        assert_eq!(causes, all("connection_closed"), "{answer}");
    }
}

#[tokio::test]
async fn a_client_whose_time_is_over_has_the_status_that_its_caller_sees() {
    let layer = barograph_tower::grpc::GrpcServerLayer::builder();
    let address = crate::grpc::serve(layer.with_registry(&Registry::new()).build()).await;
    let impatient = endpoint(address).timeout(Duration::from_millis(50));
    assert_eq!(
        call(impatient).await,
        (tonic::Code::Cancelled, "CANCELLED".into(), "timeout".into())
    );
}

#[tokio::test]
async fn a_connection_that_breaks_has_the_status_that_its_caller_sees() {
    let layer = barograph_tower::grpc::GrpcServerLayer::builder();
    let server = crate::grpc::serve(layer.with_registry(&Registry::new()).build()).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let between = listener.local_addr().unwrap();
    let (broken, mut breaks) = tokio::sync::oneshot::channel::<()>();
    let proxy = tokio::spawn(async move {
        let (mut near, _) = listener.accept().await.unwrap();
        let mut far = tokio::net::TcpStream::connect(server).await.unwrap();
        let copying = tokio::io::copy_bidirectional(&mut near, &mut far);
        tokio::select! {
            _ = copying => {}
            _ = &mut breaks => {}
        }
    });
    let registry = Registry::new();
    let layer = GrpcClientLayer::builder().with_registry(&registry).build();
    let mut orders = crate::grpc::Orders::lazy(endpoint(between), &layer);
    let mut stream = orders.stream("endless").await.unwrap();
    assert!(stream.message().await.unwrap().is_some());
    broken.send(()).unwrap();
    proxy.await.unwrap();
    let read = timeout(Duration::from_secs(20), stream.message()).await;
    let code = read.unwrap().unwrap_err().code();
    drop(stream);
    let status = labels(&registry, "rpc.client.call.duration").remove("rpc.response.status_code");
    let seen = format!("{code:?}").to_uppercase();
    assert_eq!(status.unwrap().replace('_', ""), seen);
}
