//! An OTLP receiver that counts what is pushed and discards it.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::StatusCode;
use axum::routing::post;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value;
use prost::Message;
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};

/// The telemetry that arrived from one server.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Received {
    pub(super) spans: u64,
    pub(super) records: u64,
    /// The value of the counter `orders`.
    pub(super) orders: i64,
}

/// A receiver of OTLP over HTTP, which runs until it is dropped.
pub(super) struct Receiver {
    address: SocketAddr,
    received: Shared,
    _runtime: Runtime,
}

type Shared = Arc<Mutex<Received>>;

impl Receiver {
    pub(super) fn start() -> io::Result<Self> {
        let received = Shared::default();
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()?;
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0"))?;
        let address = listener.local_addr()?;
        let app = Router::new()
            .route("/v1/traces", post(spans))
            .route("/v1/logs", post(records))
            .route("/v1/metrics", post(metrics))
            .layer(DefaultBodyLimit::disable())
            .with_state(received.clone());
        runtime.spawn(async { axum::serve(listener, app).await });
        Ok(Receiver {
            address,
            received,
            _runtime: runtime,
        })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns what has arrived since the last call.
    pub(super) fn take(&self) -> Received {
        std::mem::take(&mut *lock(&self.received))
    }
}

fn lock(received: &Shared) -> std::sync::MutexGuard<'_, Received> {
    received.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn spans(State(received): State<Shared>, body: Bytes) -> StatusCode {
    taken(body, |request: ExportTraceServiceRequest| {
        let scopes = request.resource_spans.iter().flat_map(|r| &r.scope_spans);
        lock(&received).spans += scopes.map(|scope| scope.spans.len() as u64).sum::<u64>();
    })
}

async fn records(State(received): State<Shared>, body: Bytes) -> StatusCode {
    taken(body, |request: ExportLogsServiceRequest| {
        let scopes = request.resource_logs.iter().flat_map(|r| &r.scope_logs);
        let records = scopes.map(|scope| scope.log_records.len() as u64);
        lock(&received).records += records.sum::<u64>();
    })
}

async fn metrics(State(received): State<Shared>, body: Bytes) -> StatusCode {
    taken(body, |request: ExportMetricsServiceRequest| {
        let scopes = request.resource_metrics.iter();
        let metrics = scopes
            .flat_map(|r| &r.scope_metrics)
            .flat_map(|s| &s.metrics);
        for metric in metrics.filter(|metric| metric.name == "orders") {
            if let Some(Data::Sum(sum)) = &metric.data
                && let Some(point) = sum.data_points.first()
            {
                lock(&received).orders = match point.value {
                    Some(Value::AsInt(orders)) => orders,
                    Some(Value::AsDouble(orders)) => orders as i64,
                    None => 0,
                };
            }
        }
    })
}

fn taken<R: Message + Default>(body: Bytes, take: impl FnOnce(R)) -> StatusCode {
    match R::decode(body) {
        Ok(request) => {
            take(request);
            StatusCode::OK
        }
        Err(_) => StatusCode::BAD_REQUEST,
    }
}
