//! One attempt to send a request, from the call of the service to the end of its response.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use barograph_core::clock::Stopwatch;
use barograph_model::context::TraceContext;
use http::header::HOST;
use http::request::Parts;
use http::{HeaderMap, StatusCode, Uri, Version, response};

use super::attempts::Attempts;
use super::recorder::{HttpClientRecorder, Request};
use crate::http::methods::Kind;
use crate::http::spans::{self, Sent};
use crate::http::url::{Server, port_text, version};
use crate::lifecycle::{self, End, Layers, Recorder};
use barograph_tracing::instrument::OTHER;
use barograph_tracing::instrument::OperationSpan;

/// A request whose response a client is waiting for.
pub struct HttpClientExchange {
    recorder: Arc<HttpClientRecorder>,
    span: OperationSpan,
    start: Stopwatch,
    method: usize,
    kind: Kind,
    uri: Uri,
    // The header `Host`, if the URL names no server.
    host: HeaderMap,
    status: Option<StatusCode>,
    version: Option<Version>,
    /// Returns the kind of an error, if it is better known than by its type.
    errors: fn(&dyn Any) -> Option<&'static str>,
}

impl<Q> Recorder<Q> for Arc<HttpClientRecorder> {
    type Exchange = HttpClientExchange;

    fn layers(&self) -> &Layers {
        &self.layers
    }

    fn begin(
        &self,
        _: Option<TraceContext>,
        request: &Parts,
        _: &mut Q,
    ) -> Option<HttpClientExchange> {
        HttpClientExchange::begin(self, request)
    }

    fn inject(&self, request: &mut Parts) {
        HttpClientRecorder::inject(self, request);
    }
}

impl fmt::Debug for HttpClientExchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpClientExchange").finish_non_exhaustive()
    }
}

impl HttpClientExchange {
    /// Begins one attempt. Returns none for requests that are not recorded.
    ///
    /// The current span is the parent of the new one.
    pub(super) fn begin(recorder: &Arc<HttpClientRecorder>, request: &Parts) -> Option<Self> {
        let settings = &recorder.settings;
        if !settings.layer.records(request) {
            return None;
        }
        let method = settings.methods.place(&request.method);
        let template = (settings.template)(request);
        let attempts = request.extensions.get::<Attempts>();
        let span = spans::client(&Sent {
            request,
            methods: &settings.methods,
            method,
            template: template.as_ref(),
            server: Server::of(&request.uri, &request.headers),
            query: settings.query.as_deref(),
            resends: attempts.map_or(0, Attempts::next),
        });
        let mut host = HeaderMap::new();
        if request.uri.authority().is_none()
            && let Some(value) = request.headers.get(HOST)
        {
            host.insert(HOST, value.clone());
        }
        Some(HttpClientExchange {
            recorder: recorder.clone(),
            span,
            start: Stopwatch::start(),
            method,
            kind: Kind::of(&request.method),
            uri: request.uri.clone(),
            host,
            status: None,
            version: None,
            errors: |_| None,
        })
    }

    /// Sets the function that names the kinds of errors.
    #[cfg_attr(
        not(feature = "reqwest-middleware"),
        allow(dead_code, reason = "services of any kind have errors of any kind")
    )]
    pub(super) fn with_errors(mut self, errors: fn(&dyn Any) -> Option<&'static str>) -> Self {
        self.errors = errors;
        self
    }

    fn record(self, end: End) {
        let status = self.status.as_ref().map_or("", StatusCode::as_str);
        let is_bad = |status: StatusCode| status.is_client_error() || status.is_server_error();
        let error = match end {
            End::Complete | End::Dropped if self.status.is_some_and(is_bad) => status,
            End::Complete | End::Dropped => "",
            End::Panic => "panic",
            End::ServiceError(error) | End::BodyError(error) => error,
            End::Upgrade => return,
        };
        if !error.is_empty() {
            self.span.fail(error);
        }
        let Some(family) = &self.recorder.duration else {
            return;
        };
        let server = Server::of(&self.uri, &self.host);
        let (address, port) = match self.recorder.settings.known_hosts.have(server.address) {
            true => (
                server.address,
                port_text(server.authority, Some(server.scheme)),
            ),
            false => (OTHER, ""),
        };
        let _entered = self.span.enter();
        let request = Request {
            method: self.recorder.settings.methods.name(self.method),
            address,
            port,
            status,
            version: self.version.and_then(version).unwrap_or_default(),
            error,
        };
        let seconds = self.start.elapsed().as_secs_f64();
        family.with(&request).observe(seconds);
    }
}

impl lifecycle::Exchange for HttpClientExchange {
    fn enter(&self) -> impl Sized + '_ {
        self.span.enter()
    }

    fn respond(&mut self, head: &mut response::Parts) -> Option<End> {
        let status = head.status.as_u16().into();
        self.span.number("http.response.status_code", status);
        if let Some(version) = version(head.version) {
            self.span.text("network.protocol.version", version);
        }
        self.status = Some(head.status);
        self.version = Some(head.version);
        self.kind.end(head.status)
    }

    fn fail(&mut self, error: &dyn Any) -> Option<&'static str> {
        (self.errors)(error)
    }

    fn end(self, end: End) {
        self.record(end);
    }
}
