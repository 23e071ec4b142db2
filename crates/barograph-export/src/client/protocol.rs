//! The protocols that carry requests.

use barograph_encode::otlp::Encoding;

/// The protocol that carries requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Protocol {
    /// gRPC over HTTP/2.
    Grpc,
    /// Protobuf over HTTP/1.1.
    #[default]
    HttpProtobuf,
    /// JSON over HTTP/1.1.
    HttpJson,
    /// Zipkin spans over HTTP/1.1. The endpoint's path is used unchanged.
    Zipkin,
}

impl Protocol {
    /// Returns the encoding that requests of this protocol need.
    pub fn encoding(self) -> Encoding {
        match self {
            Protocol::Grpc | Protocol::HttpProtobuf => Encoding::Protobuf,
            Protocol::HttpJson | Protocol::Zipkin => Encoding::Json,
        }
    }
}
