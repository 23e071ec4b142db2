//! The remote endpoint of a span.

use std::net::IpAddr;

use barograph_model::span::{SpanKind, SpanRecord};
use barograph_model::value::AnyValue;

use crate::json::{self, field, print, quoted};
use crate::zipkin::text;

/// The attributes that name the remote endpoint, in order of preference, each with the one that
/// holds its port.
///
/// Source: OpenTelemetry 1.60, "OpenTelemetry to Zipkin Transformation", "Remote endpoint".
const NAMES: [(&str, &str); 11] = [
    ("peer.service", ""),
    ("server.address", "server.port"),
    ("net.peer.name", "net.peer.port"),
    ("network.peer.address", "network.peer.port"),
    ("server.socket.domain", "server.socket.port"),
    ("server.socket.address", "server.socket.port"),
    ("net.sock.peer.name", "net.sock.peer.port"),
    ("net.sock.peer.addr", "net.sock.peer.port"),
    ("peer.hostname", ""),
    ("peer.address", ""),
    ("db.name", ""),
];

/// Writes the remote endpoint of a client or producer span if an attribute names it: without a
/// name, Zipkin does not draw the dependency.
pub(super) fn write(out: &mut String, span: &SpanRecord) {
    if !matches!(span.kind, SpanKind::Client | SpanKind::Producer) {
        return;
    }
    let value = |key: &str| {
        let mut attributes = span.attributes.iter();
        Some(&attributes.find(|attribute| attribute.key == key)?.value)
    };
    let named = NAMES.iter().find_map(|(name, port)| {
        let name = text::of(value(name)?);
        (!name.is_empty()).then_some((name, port))
    });
    let Some((name, port)) = named else {
        return;
    };
    field(out, "remoteEndpoint");
    out.push('{');
    field(out, "serviceName");
    json::text(out, &name);
    match name.parse() {
        Ok(IpAddr::V4(address)) => quoted(out, "ipv4", address),
        Ok(IpAddr::V6(address)) => quoted(out, "ipv6", address),
        Err(_) => {}
    }
    if let Some(AnyValue::I64(port @ 1..=0xffff)) = value(port) {
        field(out, "port");
        print(out, format_args!("{port}"));
    }
    out.push('}');
}
