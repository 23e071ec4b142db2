//! One export request, ready to be sent.

use bytes::Bytes;

/// What a request carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Signal {
    /// Data points of metrics.
    Metrics,
    /// Spans.
    Traces,
    /// Log records.
    Logs,
}

impl Signal {
    /// Its name in paths and variables, in small letters.
    pub fn as_str(self) -> &'static str {
        match self {
            Signal::Metrics => "metrics",
            Signal::Traces => "traces",
            Signal::Logs => "logs",
        }
    }

    /// Where HTTP requests of it go, below the endpoint.
    ///
    /// Source: OTLP 1.11, "OTLP/HTTP Request".
    pub fn http_path(self) -> &'static str {
        match self {
            Signal::Metrics => "/v1/metrics",
            Signal::Traces => "/v1/traces",
            Signal::Logs => "/v1/logs",
        }
    }

    /// The gRPC method that takes it.
    ///
    /// Source: OTLP 1.11, `opentelemetry/proto/collector`.
    pub fn grpc_path(self) -> &'static str {
        match self {
            Signal::Metrics => "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
            Signal::Traces => "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
            Signal::Logs => "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
        }
    }
}

/// How a request is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Encoding {
    /// Binary protobuf, for gRPC and HTTP.
    #[default]
    Protobuf,
    /// JSON, for HTTP.
    Json,
}

impl Encoding {
    /// The `Content-Type` of HTTP requests.
    pub fn content_type(self) -> &'static str {
        match self {
            Encoding::Protobuf => "application/x-protobuf",
            Encoding::Json => "application/json",
        }
    }
}

/// One export request: an `ExportMetricsServiceRequest` or its like, encoded, not compressed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// What it carries.
    pub signal: Signal,
    /// How `body` is written.
    pub encoding: Encoding,
    /// The message.
    pub body: Bytes,
    /// How many data points, spans or log records are in it.
    pub items: u64,
}
