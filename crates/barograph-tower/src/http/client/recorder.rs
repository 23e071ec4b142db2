//! The state that all requests of a client layer share.

use barograph_core::family::Family;
use barograph_core::histogram::Histogram;
use barograph_core::labels::LabelSet;
use barograph_core::registry::Registry;
use barograph_core::{current, report};
use barograph_model::bounds::Bounds;
use barograph_model::propagator::Propagators;
use http::HeaderMap;
use http::request::Parts;

use super::hosts::Hosts;
use crate::carrier::HeadersMut;
use crate::http::methods::Methods;
use crate::http::route::Route;
use crate::http::settings::{Filter, Query, RouteOf};
use crate::lifecycle::Layers;
use barograph_core::propagation::propagators;

/// The settings of a layer.
pub(crate) struct Settings {
    pub(crate) methods: Methods,
    pub(crate) filter: Option<Box<Filter>>,
    pub(crate) template: Box<RouteOf>,
    /// None for the default redaction.
    pub(crate) query: Option<Box<Query>>,
    /// The hosts that contexts are sent to.
    pub(crate) hosts: Hosts,
    /// The hosts that are label values.
    pub(crate) known_hosts: Hosts,
    pub(crate) propagators: Option<Propagators>,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            methods: Methods::default(),
            filter: None,
            template: Box::new(|request: &Parts| request.extensions.get::<Route>().cloned()),
            query: None,
            hosts: Hosts::default(),
            known_hosts: Hosts::default(),
            propagators: None,
        }
    }
}

/// The labels of a request that has ended. Labels that do not apply are empty.
#[derive(LabelSet)]
#[label(crate = "barograph_core")]
pub(crate) struct Request<'a> {
    #[label(name = "http.request.method")]
    pub(crate) method: &'a str,
    #[label(name = "server.address")]
    pub(crate) address: &'a str,
    #[label(name = "server.port")]
    pub(crate) port: &'a str,
    #[label(name = "http.response.status_code")]
    pub(crate) status: &'a str,
    #[label(name = "network.protocol.version")]
    pub(crate) version: &'a str,
    #[label(name = "error.type")]
    pub(crate) error: &'a str,
}

/// The state that all requests of a client layer share.
pub(crate) struct Recorder {
    pub(crate) settings: Settings,
    /// None if it could not be registered; then nothing is recorded.
    pub(crate) duration: Option<Family<Histogram, Request<'static>>>,
    pub(crate) layers: Layers,
}

impl Recorder {
    pub(crate) fn new(registry: &Registry, settings: Settings) -> Self {
        let duration = registry
            .histogram("http.client.request.duration")
            .with_help("Duration of HTTP client requests.")
            .with_unit("s")
            .with_bounds(Bounds::http_seconds())
            .family();
        let report = |error| report::report(format!("requests are not recorded: {error}"));
        Recorder {
            settings,
            layers: Layers::new(registry),
            duration: duration.map_err(report).ok(),
        }
    }

    /// Returns true if contexts are sent to this host.
    pub(crate) fn injects(&self, host: &str) -> bool {
        self.settings.hosts.have(host)
    }

    /// Injects the current context into the headers of a request.
    pub(crate) fn inject(&self, headers: &mut HeaderMap) {
        let own = self.settings.propagators.as_ref();
        let propagators = own.unwrap_or_else(|| propagators());
        if !propagators.is_empty() {
            propagators.inject(&current::propagation(), &mut HeadersMut(headers));
        }
    }
}
