//! A receiver of OTLP on the loopback, by each protocol that there is.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};

use barograph::export::otlp::Signal;
use barograph::export::push::client::{Client, ClientConfig, Protocol};
use barograph::push::Push;
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::metrics::v1::{metric, number_data_point};
use prost::Message as _;

/// What the receiver does with requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mood {
    Takes,
    Hangs,
}

pub(crate) const PROTOCOLS: [Protocol; 3] =
    [Protocol::Grpc, Protocol::HttpProtobuf, Protocol::HttpJson];

/// Keeps the value of the first point of each sum that arrived last.
#[derive(Clone)]
pub(crate) struct Receiver {
    pub(crate) address: SocketAddr,
    protocol: Protocol,
    values: Values,
}

type Values = Arc<Mutex<BTreeMap<String, i64>>>;

impl Receiver {
    pub(crate) fn start(protocol: Protocol, mood: Mood) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let receiver = Receiver {
            address: listener.local_addr().expect("it listens"),
            protocol,
            values: Arc::default(),
        };
        let values = Arc::clone(&receiver.values);
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build();
            runtime
                .expect("a runtime")
                .block_on(serve(listener, protocol, mood, values));
        });
        receiver
    }

    pub(crate) fn value(&self, name: &str) -> Option<i64> {
        self.values.lock().unwrap().get(name).copied()
    }

    /// Everything that is recorded, pushed to this receiver.
    pub(crate) fn push(&self) -> Push {
        let config = ClientConfig::new(self.protocol, format!("http://{}", self.address));
        let client = Client::new(config, Signal::Metrics).expect("a client");
        Push::metrics("test", client).with_encoding(self.protocol.encoding())
    }
}

async fn serve(listener: TcpListener, protocol: Protocol, mood: Mood, values: Values) {
    listener.set_nonblocking(true).expect("it can be set");
    let listener = tokio::net::TcpListener::from_std(listener).expect("a listener");
    let mut hanging = Vec::new();
    while let Ok((stream, _)) = listener.accept().await {
        if mood == Mood::Hangs {
            hanging.push(stream);
            continue;
        }
        let values = Arc::clone(&values);
        let service = service_fn(move |request| answer(request, protocol, Arc::clone(&values)));
        let stream = TokioIo::new(stream);
        tokio::spawn(async move {
            // A connection may break off as it likes.
            let _ = match protocol {
                Protocol::Grpc => {
                    let connection = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
                    connection.serve_connection(stream, service).await
                }
                _ => {
                    let connection = hyper::server::conn::http1::Builder::new();
                    connection.serve_connection(stream, service).await
                }
            };
        });
    }
}

type Body = http_body_util::combinators::BoxBody<Bytes, Infallible>;

async fn answer(
    request: Request<Incoming>,
    protocol: Protocol,
    values: Values,
) -> Result<Response<Body>, hyper::Error> {
    let body = request.into_body().collect().await?.to_bytes();
    let (taken, content_type, message) = match protocol {
        // Five bytes come before the message: compressed or not, and its length.
        Protocol::Grpc => (protobuf(&body[5..]), "application/grpc", &[0; 5][..]),
        Protocol::HttpProtobuf => (protobuf(&body), "application/x-protobuf", &[][..]),
        _ => (json(&body), "application/json", &b"{}"[..]),
    };
    values.lock().unwrap().extend(taken);
    let body = Full::new(Bytes::copy_from_slice(message));
    let body = match protocol {
        Protocol::Grpc => body
            .with_trailers(std::future::ready(Some(Ok(status_ok()))))
            .boxed(),
        _ => body.boxed(),
    };
    let response = Response::builder()
        .header("content-type", content_type)
        .body(body);
    Ok(response.expect("a response of constants"))
}

fn status_ok() -> HeaderMap {
    HeaderMap::from_iter([(
        "grpc-status".parse().expect("a name"),
        HeaderValue::from_static("0"),
    )])
}

fn protobuf(body: &[u8]) -> Vec<(String, i64)> {
    let request = ExportMetricsServiceRequest::decode(body).expect("a request");
    let scopes = request
        .resource_metrics
        .into_iter()
        .flat_map(|resource| resource.scope_metrics);
    let metrics = scopes.flat_map(|scope| scope.metrics);
    let sums = metrics.filter_map(|metric| {
        let Some(metric::Data::Sum(sum)) = metric.data else {
            return None;
        };
        match sum.data_points.first()?.value {
            Some(number_data_point::Value::AsInt(value)) => Some((metric.name, value)),
            _ => None,
        }
    });
    sums.collect()
}

/// A metric begins with its name, and its first point has the value that follows.
fn json(body: &[u8]) -> Vec<(String, i64)> {
    let body = std::str::from_utf8(body).expect("a text");
    let metrics = body.split(r#"{"name":""#).skip(1);
    let sums = metrics.filter_map(|metric| {
        let (name, rest) = metric.split_once('"')?;
        let (_, value) = rest.split_once(r#""asInt":""#)?;
        Some((name.to_owned(), value.split('"').next()?.parse().ok()?))
    });
    sums.collect()
}
