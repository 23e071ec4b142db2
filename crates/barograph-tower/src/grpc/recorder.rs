//! The state that all calls of one layer share.

use std::fmt;

use barograph_core::labels::LabelSet;
use barograph_core::{Family, Histogram};
use barograph_model::bounds::Bounds;
use http::header::CONTENT_TYPE;
use http::request::Parts;
use http::{HeaderMap, Uri};

use super::methods::Methods;
use crate::http::layer_config::LayerConfig;
use crate::http::url::{host_and_port, port_text};
use crate::lifecycle::Layers;
use barograph_tracing::instrument::registered;

/// The settings of a layer.
#[derive(Default)]
pub(super) struct Settings {
    pub(super) layer: LayerConfig,
    pub(super) methods: Methods,
    /// The called server, if it was configured.
    pub(super) server: Option<Server>,
}

/// The address and port of a called server, with the port as a label value too.
pub(super) struct Server {
    pub(super) address: Box<str>,
    pub(super) port: u16,
    port_text: Box<str>,
}

impl Server {
    pub(super) fn new(address: Box<str>, port: u16) -> Self {
        Server {
            address,
            port,
            port_text: port.to_string().into(),
        }
    }
}

impl Settings {
    /// Returns true if this is a gRPC call that is to be recorded.
    pub(super) fn wants(&self, request: &Parts) -> bool {
        is_grpc(&request.headers) && self.layer.records(request)
    }

    /// Returns address and port of the called server: the configured ones, else those of the URI, else "".
    pub(super) fn called<'a>(&'a self, uri: &'a Uri) -> (&'a str, &'a str) {
        if let Some(server) = &self.server {
            return (&server.address, &server.port_text);
        }
        let authority = uri.authority().map_or("", |authority| authority.as_str());
        match host_and_port(authority) {
            Some((address, _)) => (address, port_text(authority, uri.scheme_str())),
            None => ("", ""),
        }
    }
}

/// Returns true if the content type is that of gRPC, with any message format and parameters.
///
/// `application/grpc-web` is another protocol: its trailers are in the body.
pub(super) fn is_grpc(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE);
    let rest = kind.and_then(|kind| kind.as_bytes().strip_prefix(b"application/grpc"));
    rest.is_some_and(|rest| matches!(rest.first(), None | Some(b'+' | b';')))
}

/// The side of the connection on which calls are recorded.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Side {
    Server,
    Client,
}

/// The labels of a call that a server answered. Labels that do not apply are empty.
#[derive(LabelSet)]
#[label(crate = "barograph_core")]
pub(super) struct Answered<'a> {
    #[label(name = "rpc.system.name")]
    pub(super) system: &'a str,
    #[label(name = "rpc.method")]
    pub(super) method: &'a str,
    #[label(name = "rpc.response.status_code")]
    pub(super) status: &'a str,
    #[label(name = "error.type")]
    pub(super) error: &'a str,
}

/// The labels of a call that a client made. Labels that do not apply are empty.
#[derive(LabelSet)]
#[label(crate = "barograph_core")]
pub(super) struct Made<'a> {
    #[label(name = "rpc.system.name")]
    pub(super) system: &'a str,
    #[label(name = "rpc.method")]
    pub(super) method: &'a str,
    #[label(name = "rpc.response.status_code")]
    pub(super) status: &'a str,
    #[label(name = "error.type")]
    pub(super) error: &'a str,
    #[label(name = "server.address")]
    pub(super) address: &'a str,
    #[label(name = "server.port")]
    pub(super) port: &'a str,
}

/// The duration histogram of one side. None if it could not be registered; then nothing is recorded.
pub(super) enum Duration {
    Server(Option<Family<Histogram, Answered<'static>>>),
    Client(Option<Family<Histogram, Made<'static>>>),
}

/// The state that all calls of one layer share.
pub(super) struct Recorder {
    pub(super) settings: Settings,
    pub(super) side: Side,
    pub(super) duration: Duration,
    pub(super) layers: Layers,
}

impl fmt::Debug for Recorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recorder").finish_non_exhaustive()
    }
}

impl Recorder {
    pub(super) fn new(settings: Settings, side: Side) -> Self {
        let registry = settings.layer.registry();
        let (name, help) = match side {
            Side::Server => (
                "rpc.server.call.duration",
                "Duration of calls that were answered.",
            ),
            Side::Client => (
                "rpc.client.call.duration",
                "Duration of calls that were made.",
            ),
        };
        let duration = registry
            .histogram(name)
            .with_help(help)
            .with_unit("s")
            .with_bounds(Bounds::http_seconds());
        let duration = match side {
            Side::Server => Duration::Server(registered(duration.build_with_labels())),
            Side::Client => Duration::Client(registered(duration.build_with_labels())),
        };
        Recorder {
            layers: Layers::new(registry),
            settings,
            side,
            duration,
        }
    }
}
