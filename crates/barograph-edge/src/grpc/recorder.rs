//! What the calls of one layer have in common.

use std::net::SocketAddr;

use barograph_core::family::Family;
use barograph_core::histogram::Histogram;
use barograph_core::labels::LabelSet;
use barograph_core::registry::Registry;
use barograph_core::report;
use barograph_core::spec::RegisterError;
use barograph_model::bounds::Bounds;
use barograph_model::propagator::Propagators;
use http::header::CONTENT_TYPE;
use http::request::Parts;

use super::methods::Methods;
use crate::propagation::propagators;

/// Whether a call is recorded.
type Filter = dyn Fn(&Parts) -> bool + Send + Sync;

/// Who makes a call.
type Peer = dyn Fn(&Parts) -> Option<SocketAddr> + Send + Sync;

/// What a layer is told about the calls to come.
pub(super) struct Settings {
    pub(super) filter: Option<Box<Filter>>,
    pub(super) propagators: Option<Propagators>,
    pub(super) methods: Methods,
    pub(super) peer: Box<Peer>,
    /// Who is called, where the layer is told that.
    pub(super) server: Option<(Box<str>, u16)>,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            filter: None,
            propagators: None,
            methods: Methods::default(),
            peer: Box::new(|request| request.extensions.get().copied()),
            server: None,
        }
    }
}

impl Settings {
    pub(super) fn propagators(&self) -> &Propagators {
        let own = self.propagators.as_ref();
        own.unwrap_or_else(|| propagators())
    }

    /// Whether this is a call that is to be recorded.
    pub(super) fn wants(&self, request: &Parts) -> bool {
        let kind = request.headers.get(CONTENT_TYPE);
        kind.is_some_and(|kind| kind.as_bytes().starts_with(b"application/grpc"))
            && self.filter.as_ref().is_none_or(|filter| filter(request))
    }
}

/// The side of the connection on which calls are recorded.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Side {
    Server,
    Client,
}

/// The labels of a call that a server has answered. Empty ones do not apply to it.
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

/// The labels of a call that a client has made. Empty ones do not apply to it.
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

/// What is written to. A family that could not be registered is none, and nothing is written there.
pub(super) enum Duration {
    Server(Option<Family<Histogram, Answered<'static>>>),
    Client(Option<Family<Histogram, Made<'static>>>, Box<str>),
}

/// What the calls of one layer have in common.
pub(super) struct Recorder {
    pub(super) settings: Settings,
    pub(super) side: Side,
    pub(super) duration: Duration,
}

impl Recorder {
    pub(super) fn new(registry: &Registry, settings: Settings, side: Side) -> Self {
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
            Side::Server => Duration::Server(reported(duration.family())),
            Side::Client => {
                let port = settings.server.as_ref().map(|(_, port)| port.to_string());
                Duration::Client(reported(duration.family()), port.unwrap_or_default().into())
            }
        };
        Recorder {
            settings,
            side,
            duration,
        }
    }
}

fn reported<T>(result: Result<T, RegisterError>) -> Option<T> {
    result
        .inspect_err(|error| report::report(format!("calls are not recorded: {error}")))
        .ok()
}
