//! The interface that sends requests to a receiver.

use std::future::Future;
use std::pin::Pin;

use barograph_encode::otlp::{Encoding, Request};

use crate::outcome::Outcome;

/// Sends requests to one receiver.
///
/// It runs on the driver's runtime, a tokio runtime with I/O and time.
pub trait Transport: Send {
    /// Makes one attempt to send a request. It does not retry and sets no timeout: the pipeline drops
    /// the future when the time is up, which must end the attempt and leave the transport usable.
    fn send<'a>(
        &'a mut self,
        request: &'a Request,
    ) -> Pin<Box<dyn Future<Output = Outcome> + Send + 'a>>;

    /// Returns the destination of the requests.
    fn target(&self) -> &Target;

    /// Returns the encoding of the requests that it sends; protobuf unless it says otherwise.
    fn encoding(&self) -> Encoding {
        Encoding::Protobuf
    }
}

/// The destination of requests, as logs and metrics name it: without credentials.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Target {
    /// The endpoint, without userinfo and query.
    pub url: String,
    /// The kind of exporter, for `otel.component.type`: `otlp_grpc_metric_exporter`.
    pub component_type: &'static str,
    /// The receiver's host, for `server.address`.
    pub host: String,
    /// The receiver's port, for `server.port`.
    pub port: Option<u16>,
}
