//! An OTLP receiver on the loopback interface, for each protocol.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};

use barograph::export::Push;
use barograph::export::Signal;
use barograph::export::{Client, ClientConfig, Endpoint, Protocol};
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::metrics::v1::{metric, number_data_point};
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;
use serde::de::DeserializeOwned;

/// The behavior of the receiver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Behavior {
    Takes,
    Hangs,
}

pub(crate) const PROTOCOLS: [Protocol; 3] =
    [Protocol::Grpc, Protocol::HttpProtobuf, Protocol::HttpJson];

/// A receiver that stores what arrives: the last value of the first point of each sum, and every span
/// and log record.
#[derive(Clone)]
pub(crate) struct Receiver {
    pub(crate) address: SocketAddr,
    protocol: Protocol,
    taken: Arc<Mutex<Taken>>,
}

/// The stored telemetry.
#[derive(Default)]
struct Taken {
    values: BTreeMap<String, i64>,
    spans: Vec<Span>,
    records: Vec<LogRecord>,
    /// The path and body of requests to other paths than those of OTLP.
    others: Vec<(String, String)>,
}

impl Receiver {
    pub(crate) fn start(protocol: Protocol, behavior: Behavior) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let receiver = Receiver {
            address: listener.local_addr().expect("it listens"),
            protocol,
            taken: Arc::default(),
        };
        let taken = Arc::clone(&receiver.taken);
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build();
            runtime
                .expect("a runtime")
                .block_on(serve(listener, protocol, behavior, taken));
        });
        receiver
    }

    pub(crate) fn value(&self, name: &str) -> Option<i64> {
        self.taken.lock().unwrap().values.get(name).copied()
    }

    /// Returns the spans that arrived, in order of arrival.
    pub(crate) fn spans(&self) -> Vec<Span> {
        self.taken.lock().unwrap().spans.clone()
    }

    /// Returns the log records that arrived, in order of arrival.
    pub(crate) fn records(&self) -> Vec<LogRecord> {
        self.taken.lock().unwrap().records.clone()
    }

    /// Returns the bodies sent to a path that is not one of OTLP's.
    #[allow(dead_code, reason = "tests of whole processes ask for it")]
    pub(crate) fn others(&self, path: &str) -> Vec<String> {
        let taken = self.taken.lock().unwrap();
        let others = taken.others.iter().filter(|(there, _)| there == path);
        others.map(|(_, body)| body.clone()).collect()
    }

    /// Returns a push of all metrics to this receiver.
    pub(crate) fn push(&self) -> Push {
        let client = self.client(Signal::Metrics);
        Push::metrics("test", client)
    }

    /// Returns a push of spans to this receiver.
    pub(crate) fn push_spans(&self) -> Push {
        let client = self.client(Signal::Traces);
        Push::spans("test", client)
    }

    /// Returns a push of log records to this receiver.
    pub(crate) fn push_records(&self) -> Push {
        let client = self.client(Signal::Logs);
        Push::log_records("test", client)
    }

    fn client(&self, signal: Signal) -> Client {
        let endpoint = format!("http://{}", self.address);
        let endpoint = Endpoint::parse(self.protocol, &endpoint).expect("an endpoint");
        Client::new(ClientConfig::new(endpoint), signal).expect("a client")
    }
}

async fn serve(
    listener: TcpListener,
    protocol: Protocol,
    behavior: Behavior,
    taken: Arc<Mutex<Taken>>,
) {
    listener.set_nonblocking(true).expect("it can be set");
    let listener = tokio::net::TcpListener::from_std(listener).expect("a listener");
    let mut hanging = Vec::new();
    while let Ok((stream, _)) = listener.accept().await {
        if behavior == Behavior::Hangs {
            hanging.push(stream);
            continue;
        }
        let taken = Arc::clone(&taken);
        let service = service_fn(move |request| answer(request, protocol, Arc::clone(&taken)));
        let stream = TokioIo::new(stream);
        tokio::spawn(async move {
            // Connection errors are ignored.
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
    taken: Arc<Mutex<Taken>>,
) -> Result<Response<Body>, hyper::Error> {
    let path = request.uri().path().to_ascii_lowercase();
    let body = request.into_body().collect().await?.to_bytes();
    let (content_type, message) = match protocol {
        Protocol::Grpc => ("application/grpc", &[0; 5][..]),
        Protocol::HttpProtobuf => ("application/x-protobuf", &[][..]),
        _ => ("application/json", &b"{}"[..]),
    };
    let mut taken_now = Taken::default();
    if path.contains("metrics") {
        taken_now.values = values(decode(protocol, &body));
    } else if path.contains("trace") {
        taken_now.spans = spans(decode(protocol, &body));
    } else if path.contains("logs") {
        taken_now.records = records(decode(protocol, &body));
    } else {
        let body = String::from_utf8_lossy(&body).into_owned();
        taken_now.others.push((path, body));
    }
    {
        let mut taken = taken.lock().unwrap();
        taken.values.extend(taken_now.values);
        taken.spans.extend(taken_now.spans);
        taken.records.extend(taken_now.records);
        taken.others.extend(taken_now.others);
    }
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

fn decode<T: Message + Default + DeserializeOwned>(protocol: Protocol, body: &[u8]) -> T {
    match protocol {
        // Five bytes precede the message: the compression flag, and the length.
        Protocol::Grpc => T::decode(&body[5..]).expect("a request"),
        Protocol::HttpProtobuf => T::decode(body).expect("a request"),
        _ => serde_json::from_slice(body).expect("a request"),
    }
}

fn values(request: ExportMetricsServiceRequest) -> BTreeMap<String, i64> {
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

fn spans(request: ExportTraceServiceRequest) -> Vec<Span> {
    let resources = request.resource_spans.into_iter();
    let scopes = resources.flat_map(|resource| resource.scope_spans);
    scopes.flat_map(|scope| scope.spans).collect()
}

fn records(request: ExportLogsServiceRequest) -> Vec<LogRecord> {
    let resources = request.resource_logs.into_iter();
    let scopes = resources.flat_map(|resource| resource.scope_logs);
    scopes.flat_map(|scope| scope.log_records).collect()
}
