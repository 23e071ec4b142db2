//! What carries requests.

use std::future::Future;
use std::pin::Pin;

use crate::otlp::Request;
use crate::push::outcome::Outcome;

/// Carries requests to one receiver.
///
/// Runs on the loop's own runtime, a tokio runtime with I/O and time.
pub trait Transport: Send {
    /// Sends a request once. Does not repeat it, and sets no limit of time: the loop drops the future
    /// when the time is over, which must end the try and leave the transport usable.
    fn send<'a>(
        &'a mut self,
        request: &'a Request,
    ) -> Pin<Box<dyn Future<Output = Outcome> + Send + 'a>>;

    /// Where requests go.
    fn target(&self) -> &Target;
}

/// Where requests go, as logs and metrics name it: without credentials.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Target {
    /// The endpoint, without userinfo and query.
    pub url: String,
    /// The kind of exporter, as `otel.component.type` says it: `otlp_grpc_metric_exporter`.
    pub component_type: &'static str,
    /// The receiver's host, for `server.address`.
    pub host: String,
    /// Its port, for `server.port`.
    pub port: Option<u16>,
}
