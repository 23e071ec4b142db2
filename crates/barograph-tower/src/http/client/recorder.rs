//! The state that all requests of a client layer share.

use std::fmt;

use barograph_core::labels::LabelSet;
use barograph_core::{Family, Histogram};
use barograph_model::bounds::Bounds;
use http::request::Parts;

use super::hosts::Hosts;
use crate::http::layer_config::LayerConfig;
use crate::http::methods::Methods;
use crate::http::route::Route;
use crate::http::settings::{Query, RouteOf};
use crate::http::url::Server;
use crate::lifecycle::Layers;
use barograph_tracing::instrument::registered;

/// The settings of a layer.
pub(crate) struct Settings {
    pub(crate) layer: LayerConfig,
    pub(crate) methods: Methods,
    pub(crate) template: Box<RouteOf>,
    /// None for the default redaction.
    pub(crate) query: Option<Box<Query>>,
    /// The hosts that contexts are sent to.
    pub(crate) hosts: Hosts,
    /// The hosts that are label values.
    pub(crate) known_hosts: Hosts,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            layer: LayerConfig::default(),
            methods: Methods::default(),
            template: Box::new(|request: &Parts| request.extensions.get::<Route>().cloned()),
            query: None,
            hosts: Hosts::default(),
            known_hosts: Hosts::default(),
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
pub struct HttpClientRecorder {
    pub(crate) settings: Settings,
    /// None if it could not be registered; then nothing is recorded.
    pub(crate) duration: Option<Family<Histogram, Request<'static>>>,
    pub(crate) layers: Layers,
}

impl fmt::Debug for HttpClientRecorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpClientRecorder").finish_non_exhaustive()
    }
}

impl HttpClientRecorder {
    pub(crate) fn new(settings: Settings) -> Self {
        let registry = settings.layer.registry();
        let duration = registry
            .histogram("http.client.request.duration")
            .with_help("Duration of HTTP client requests.")
            .with_unit("s")
            .with_bounds(Bounds::http_seconds())
            .build_with_labels();
        HttpClientRecorder {
            layers: Layers::new(registry),
            settings,
            duration: registered(duration),
        }
    }

    /// Injects the current context into a request, if its host is one that contexts are sent to.
    pub(crate) fn inject(&self, request: &mut Parts) {
        let server = Server::of(&request.uri, &request.headers);
        if self.settings.hosts.have(server.address) {
            self.settings.layer.inject(&mut request.headers);
        }
    }
}
