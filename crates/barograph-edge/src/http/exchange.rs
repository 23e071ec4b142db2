//! One request from the call of the service to the end of its response.
//!
//! The exchange goes with the request: into the response future, then into the response body. Whoever
//! has it last ends it, and dropping it is an end, too. So there is exactly one, whatever happens.

use std::sync::Arc;
use std::time::Instant;

use barograph_core::current;
use barograph_model::context::TraceContext;
use http::request::Parts;
use http::{HeaderMap, HeaderName, Method, StatusCode, header};
use http_body::Body;

use super::axum::{self, Passed};
use super::instruments::{Instruments, Request};
use super::route::Route;
use super::settings::{Scheme, Settings};

/// What the requests of a layer have in common.
pub(super) struct Recorder {
    pub(super) settings: Settings,
    pub(super) instruments: Instruments,
}

/// How an exchange ends.
#[derive(Clone, Copy)]
pub(super) enum End {
    /// The response was given whole.
    Complete,
    /// Nobody wants the response any more.
    Disconnect,
    /// The service or the body panicked.
    Panic,
    /// The service gave an error and no response.
    ServiceError,
    /// The body gave an error.
    BodyError,
    /// The connection is used for something else from now on.
    Upgrade,
}

/// A request that is being worked on.
pub(super) struct Exchange {
    recorder: Arc<Recorder>,
    context: Option<TraceContext>,
    start: Instant,
    method: usize,
    scheme: Scheme,
    kind: Kind,
    route: Option<Route>,
    request_size: RequestSize,
    status: Option<StatusCode>,
    response_size: u64,
    ended: bool,
}

/// What the method means for the response.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Usual,
    /// The response has no body.
    Head,
    /// The response makes a tunnel of the connection.
    Connect,
}

impl Exchange {
    /// Begins when a service is called. None for requests that are left out.
    pub(super) fn begin<B: Body + 'static>(
        recorder: &Arc<Recorder>,
        context: Option<TraceContext>,
        request: &Parts,
        body: &mut B,
    ) -> Option<Self> {
        let settings = &recorder.settings;
        if let Some(filter) = &settings.filter
            && !filter(request)
        {
            return None;
        }
        let exchange = Exchange {
            context,
            start: Instant::now(),
            method: settings.method(&request.method),
            scheme: settings.scheme(request),
            kind: match request.method {
                Method::HEAD => Kind::Head,
                Method::CONNECT => Kind::Connect,
                _ => Kind::Usual,
            },
            route: (settings.route)(request),
            request_size: RequestSize {
                announced: announced(body, &request.headers),
                passed: axum::count(body),
            },
            status: None,
            response_size: 0,
            ended: false,
            recorder: recorder.clone(),
        };
        exchange.active(1);
        Some(exchange)
    }

    /// Notes the response. Returns how the exchange ends with it already, if it does.
    pub(super) fn respond(&mut self, status: StatusCode) -> Option<End> {
        self.status = Some(status);
        if status == StatusCode::SWITCHING_PROTOCOLS
            || self.kind == Kind::Connect && status.is_success()
        {
            Some(End::Upgrade)
        } else if self.kind == Kind::Head
            || status == StatusCode::NO_CONTENT
            || status == StatusCode::NOT_MODIFIED
        {
            Some(End::Complete)
        } else {
            None
        }
    }

    /// Counts bytes of the response body. Returns how many there were so far.
    pub(super) fn pass(&mut self, bytes: usize) -> u64 {
        self.response_size = self.response_size.saturating_add(bytes as u64);
        self.response_size
    }

    /// Ends the exchange and records it.
    pub(super) fn end(mut self, end: End) {
        self.record(end);
    }

    fn record(&mut self, end: End) {
        self.ended = true;
        self.active(-1);
        let end = match end {
            End::Complete => None,
            End::Disconnect => Some("client_disconnect"),
            End::Panic => Some("panic"),
            End::ServiceError => Some("service_error"),
            End::BodyError => Some("body_error"),
            End::Upgrade => return,
        };
        let seconds = self.start.elapsed().as_secs_f64();
        let (settings, instruments) = (&self.recorder.settings, &self.recorder.instruments);
        let status = self.status.as_ref().map_or("", StatusCode::as_str);
        let request = Request {
            method: settings.method_name(self.method),
            route: self.route.as_ref().map_or("", Route::as_str),
            status,
            scheme: self.scheme.as_str(),
            error: match end {
                Some(error) => error,
                None if self.status.is_some_and(|s| s.is_server_error()) => status,
                None => "",
            },
        };
        let _in_context = self.context.map(current::enter);
        if let Some(family) = &instruments.duration {
            family.with(&request).observe(seconds);
        }
        if let (Some(family), Some(size)) = (&instruments.request_size, self.request_size.get()) {
            family.with(&request).observe(size as f64);
        }
        // Without a response there is no size of it, which is not the same as an empty one.
        if let (Some(family), Some(_)) = (&instruments.response_size, self.status) {
            family.with(&request).observe(self.response_size as f64);
        }
    }

    fn active(&self, change: i64) {
        let Recorder {
            settings,
            instruments,
        } = &*self.recorder;
        if let Some(active) = instruments.active(settings, self.method, self.scheme) {
            active.add(change);
        }
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        if !self.ended {
            self.record(if std::thread::panicking() {
                End::Panic
            } else {
                End::Disconnect
            });
        }
    }
}

/// The size of a request body: the bytes that were read, else what was announced.
struct RequestSize {
    announced: Option<u64>,
    passed: Option<Passed>,
}

impl RequestSize {
    /// The size, none when the body was of unknown length and nobody counted it.
    fn get(&self) -> Option<u64> {
        let passed = self.passed.as_ref().and_then(Passed::get);
        passed.or(self.announced)
    }
}

/// Ends the exchange when it is dropped by a panic; to be forgotten when there was none.
///
/// The drop of the exchange itself would not do: whoever catches a panic may drop what panicked much
/// later.
pub(super) struct Unwinding<'a>(pub(super) &'a mut Option<Exchange>);

impl Drop for Unwinding<'_> {
    fn drop(&mut self) {
        if let Some(exchange) = self.0.take() {
            exchange.end(End::Panic);
        }
    }
}

/// How many bytes a body says that it has, itself or in the headers that come with it.
pub(super) fn announced<B: Body>(body: &B, headers: &HeaderMap) -> Option<u64> {
    if body.is_end_stream() {
        return Some(0);
    }
    if let Some(exact) = body.size_hint().exact() {
        return Some(exact);
    }
    let length = headers.get(header::CONTENT_LENGTH)?;
    length.to_str().ok()?.parse().ok()
}

/// The context that a request comes with: there has to be exactly one.
pub(super) fn context_of(headers: &HeaderMap) -> Option<TraceContext> {
    let mut all = headers.get_all(&TRACEPARENT).iter();
    let one = all.next()?;
    if all.next().is_some() {
        return None;
    }
    TraceContext::parse_traceparent(one.to_str().ok()?).ok()
}

static TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
