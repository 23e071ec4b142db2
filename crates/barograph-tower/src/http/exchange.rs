//! One request, from the call of the service to the end of its response.

use std::fmt;
use std::sync::Arc;

use barograph_core::clock::Stopwatch;
use barograph_model::context::TraceContext;
use http::request::Parts;
use http::{StatusCode, response};
use http_body::Body;

use super::instruments::{Instruments, Request};
use super::methods::Kind;
use super::request_size::RequestSize;
use super::route::Route;
use super::scheme::Scheme;
use super::settings::Settings;
use super::spans;
use crate::lifecycle::{self, End, Layers, Recorder};
use barograph_tracing::instrument::{OperationSpan, ReceivedContext};

/// The state that all requests of a layer share.
pub struct HttpRecorder {
    settings: Settings,
    instruments: Instruments,
    layers: Layers,
}

impl fmt::Debug for HttpRecorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpRecorder").finish_non_exhaustive()
    }
}

impl HttpRecorder {
    pub(super) fn new(settings: Settings) -> Self {
        let registry = settings.layer.registry();
        HttpRecorder {
            instruments: Instruments::register(registry, &settings),
            layers: Layers::new(registry),
            settings,
        }
    }
}

/// A request that a server is processing.
pub struct HttpExchange {
    recorder: Arc<HttpRecorder>,
    span: OperationSpan,
    start: Stopwatch,
    method: usize,
    scheme: Scheme,
    kind: Kind,
    route: Option<Route>,
    request_size: RequestSize,
    status: Option<StatusCode>,
    response_size: u64,
    /// True if an outer layer records the request.
    is_nested: bool,
}

impl<Q: Body + 'static> Recorder<Q> for Arc<HttpRecorder> {
    type Exchange = HttpExchange;

    fn layers(&self) -> &Layers {
        &self.layers
    }

    fn received(&self, request: &Parts) -> (ReceivedContext, Option<TraceContext>) {
        self.settings.layer.received(&request.headers)
    }

    fn begin(
        &self,
        linked: Option<TraceContext>,
        request: &Parts,
        body: &mut Q,
    ) -> Option<HttpExchange> {
        let settings = &self.settings;
        if !settings.layer.records(request) {
            return None;
        }
        let method = settings.methods.place(&request.method);
        let route = (settings.route)(request);
        let origin = settings.layer.origin(request);
        let scheme = settings.scheme(request, origin.as_ref());
        let span = spans::server(&spans::Received {
            settings,
            request,
            method,
            route: route.as_ref(),
            scheme,
            origin,
        });
        if let Some(linked) = linked {
            span.link(linked);
        }
        let exchange = HttpExchange {
            span,
            start: Stopwatch::start(),
            method,
            scheme,
            kind: Kind::of(&request.method),
            route,
            request_size: RequestSize::of(body, &request.headers),
            status: None,
            response_size: 0,
            is_nested: false,
            recorder: self.clone(),
        };
        exchange.active(1);
        Some(exchange)
    }

    /// Returns an exchange that records nothing, and only passes the route on to the outer layer.
    fn nested(&self, request: &Parts) -> Option<HttpExchange> {
        Some(HttpExchange {
            span: OperationSpan::none(),
            start: Stopwatch::start(),
            method: 0,
            scheme: self.settings.scheme,
            kind: Kind::of(&request.method),
            route: (self.settings.route)(request),
            request_size: RequestSize::default(),
            status: None,
            response_size: 0,
            is_nested: true,
            recorder: self.clone(),
        })
    }
}

impl fmt::Debug for HttpExchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpExchange").finish_non_exhaustive()
    }
}

impl HttpExchange {
    fn record(self, end: End) {
        self.active(-1);
        let end = match end {
            End::Complete => None,
            End::Dropped => Some("client_disconnect"),
            End::Panic => Some("panic"),
            End::ServiceError(_) => Some("service_error"),
            End::BodyError(_) => Some("body_error"),
            End::Upgrade => return,
        };
        let seconds = self.start.elapsed().as_secs_f64();
        let (settings, instruments) = (&self.recorder.settings, &self.recorder.instruments);
        let status = self.status.as_ref().map_or("", StatusCode::as_str);
        let request = Request {
            method: settings.methods.name(self.method),
            route: self.route.as_ref().map_or("", Route::as_str),
            status,
            scheme: self.scheme.as_str(),
            error: match end {
                Some(error) => error,
                None if self.status.is_some_and(|s| s.is_server_error()) => status,
                None => "",
            },
        };
        if !request.error.is_empty() {
            self.span.fail(request.error);
        }
        let _entered = self.span.enter();
        if let Some(family) = &instruments.duration {
            family.with(&request).observe(seconds);
        }
        if let (Some(family), Some(size)) = (&instruments.request_size, self.request_size.get()) {
            family.with(&request).observe(size as f64);
        }
        // Without a response there is no size, which differs from an empty response.
        if let (Some(family), Some(_)) = (&instruments.response_size, self.status) {
            family.with(&request).observe(self.response_size as f64);
        }
    }

    fn active(&self, change: i64) {
        let HttpRecorder {
            settings,
            instruments,
            ..
        } = &*self.recorder;
        if let Some(active) = instruments.active(settings, self.method, self.scheme) {
            active.add(change);
        }
    }
}

impl lifecycle::Exchange for HttpExchange {
    fn enter(&self) -> impl Sized + '_ {
        self.span.enter()
    }

    fn respond(&mut self, head: &mut response::Parts) -> Option<End> {
        if self.is_nested {
            if let Some(route) = self.route.take() {
                head.extensions.get_or_insert_with(|| route);
            }
            return None;
        }
        let status = head.status;
        self.status = Some(status);
        self.span
            .number("http.response.status_code", status.as_u16().into());
        if self.route.is_none()
            && let Some(route) = head.extensions.get::<Route>()
        {
            let method = self.recorder.settings.methods.known(self.method);
            spans::name_late(&self.span, method, route);
            self.route = Some(route.clone());
        }
        self.kind.end(status)
    }

    fn pass(&mut self, bytes: u64) {
        self.response_size = bytes;
    }

    fn end(self, end: End) {
        if !self.is_nested {
            self.record(end);
        }
    }
}
