//! The span of a call, with the attributes that are known when it begins.
//!
//! Source: OpenTelemetry semantic conventions 1.44, "gRPC".

use http::header::HOST;
use http::request::Parts;
use tracing::field::Empty;
use tracing::{Level, info_span, span_enabled};

use super::recorder::{Settings, Side};
use crate::http::sender::Sender;
use crate::http::url::host_and_port;
use barograph_tracing::instrument::{OperationSpan, bounded};

/// Returns the span of a call that begins.
pub(super) fn call(
    settings: &Settings,
    side: Side,
    request: &Parts,
    method: Option<&str>,
) -> OperationSpan {
    const TARGET: &str = "barograph::grpc";
    if !span_enabled!(target: TARGET, Level::INFO) {
        return OperationSpan::none();
    }
    let host = request
        .headers
        .get(HOST)
        .and_then(|host| host.to_str().ok());
    let authority = request.uri.authority().map(|a| a.as_str()).or(host);
    let (address, port) = match &settings.server {
        Some(server) => (Some(&*server.address), Some(server.port)),
        None => {
            let (address, port) = authority.and_then(host_and_port).unzip();
            (address, port.flatten())
        }
    };
    let name = method.unwrap_or("grpc");
    let method = method.unwrap_or("_OTHER");
    match side {
        Side::Server => {
            let client = settings.layer.origin(request).map(|origin| origin.client);
            let sender = Sender::new((settings.layer.peer)(request), client);
            info_span!(
                target: TARGET,
                "grpc_server",
                otel.name = name,
                otel.kind = "server",
                otel.status_code = Empty,
                error.type = Empty,
                client.address = sender.client_address(),
                network.peer.address = sender.peer_address(),
                network.peer.port = sender.peer_port(),
                rpc.method = method,
                rpc.method_original = Empty,
                rpc.response.status_code = Empty,
                rpc.system.name = "grpc",
                server.address = address.map(bounded),
                server.port = port,
            )
        }
        Side::Client => info_span!(
            target: TARGET,
            "grpc_client",
            otel.name = name,
            otel.kind = "client",
            otel.status_code = Empty,
            error.type = Empty,
            rpc.method = method,
            rpc.method_original = Empty,
            rpc.response.status_code = Empty,
            rpc.system.name = "grpc",
            server.address = address.map(bounded),
            server.port = port,
        ),
    }
    .into()
}

/// Records the method, if it became known only after the span began.
pub(super) fn name_late(span: &OperationSpan, method: &str) {
    span.text("otel.name", method);
    span.text("rpc.method", method);
}

/// Records the requested path, if it is not a known method.
pub(super) fn name_original(span: &OperationSpan, path: &str) {
    span.text("rpc.method_original", bounded(path));
}
