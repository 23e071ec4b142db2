//! An encoded export request.

use bytes::Bytes;

/// The kind of telemetry that a request carries.
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
    /// Returns the signal's name in paths and environment variables, in lower case.
    pub fn as_str(self) -> &'static str {
        match self {
            Signal::Metrics => "metrics",
            Signal::Traces => "traces",
            Signal::Logs => "logs",
        }
    }

    /// Returns the path for OTLP/HTTP requests, relative to the endpoint.
    ///
    /// Source: OTLP 1.11, "OTLP/HTTP Request".
    pub fn http_path(self) -> &'static str {
        match self {
            Signal::Metrics => "/v1/metrics",
            Signal::Traces => "/v1/traces",
            Signal::Logs => "/v1/logs",
        }
    }

    /// Returns the path of the gRPC method that exports this signal.
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

/// The encoding of a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Encoding {
    /// Binary protobuf, for gRPC and HTTP.
    #[default]
    Protobuf,
    /// JSON, for HTTP.
    Json,
}

impl Encoding {
    /// Returns the `Content-Type` of HTTP requests.
    pub fn content_type(self) -> &'static str {
        match self {
            Encoding::Protobuf => "application/x-protobuf",
            Encoding::Json => "application/json",
        }
    }
}

/// An export request: an `ExportMetricsServiceRequest` or its counterpart for traces or logs,
/// encoded but not compressed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The signal that the request carries.
    pub signal: Signal,
    /// The encoding of `body`.
    pub encoding: Encoding,
    /// The encoded message.
    pub body: Bytes,
    /// The number of data points, spans or log records in the request.
    pub items: u64,
}
