"""The three signals of OTLP: their messages, their paths and methods, and the responses."""

import collections

from opentelemetry.proto.collector.logs.v1 import logs_service_pb2
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2

MIB = 1024 * 1024
LIMIT = 64 * MIB
BOMB = 128 * MIB

Signal = collections.namedtuple("Signal", "request response rejected")
TRACES = Signal(
    trace_service_pb2.ExportTraceServiceRequest, trace_service_pb2.ExportTraceServiceResponse, "rejected_spans"
)
METRICS = Signal(
    metrics_service_pb2.ExportMetricsServiceRequest,
    metrics_service_pb2.ExportMetricsServiceResponse,
    "rejected_data_points",
)
LOGS = Signal(logs_service_pb2.ExportLogsServiceRequest, logs_service_pb2.ExportLogsServiceResponse, "rejected_log_records")
PATHS = {"/v1/traces": TRACES, "/v1/metrics": METRICS, "/v1/logs": LOGS}
METHODS = {
    f"/opentelemetry.proto.collector.{package}.v1.{service}Service/Export": signal
    for package, service, signal in [("trace", "Trace", TRACES), ("metrics", "Metrics", METRICS), ("logs", "Logs", LOGS)]
}


def answer(signal, fault):
    """Returns the response message."""
    response = signal.response()
    if fault["kind"] == "partial":
        setattr(response.partial_success, signal.rejected, fault["rejected"])
        response.partial_success.error_message = fault.get("message", "")
    return response
