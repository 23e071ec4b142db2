//! The span of a request, with the attributes that are known when it begins.
//!
//! Source: OpenTelemetry semantic conventions 1.44, "HTTP spans".

use std::borrow::Cow;
use std::fmt;
use std::sync::LazyLock;

use http::header::{HOST, USER_AGENT};
use http::request::Parts;
use tracing::field::Empty;
use tracing::{Level, info_span, span_enabled};

use super::forwarded::Origin;
use super::methods::Methods;
use super::route::Route;
use super::scheme::Scheme;
use super::sender::Sender;
use super::settings::{Query, Settings};
use super::url::{Server, host_and_port, version};
use barograph_tracing::instrument::{OperationSpan, bounded};
use barograph_tracing::redact::Redaction;

const TARGET: &str = "barograph::http";

/// The known data of a request that a server received.
pub(super) struct Received<'a> {
    pub(super) settings: &'a Settings,
    pub(super) request: &'a Parts,
    pub(super) method: usize,
    pub(super) route: Option<&'a Route>,
    pub(super) scheme: Scheme,
    /// The data that trusted proxies report.
    pub(super) origin: Option<Origin<'a>>,
}

/// Returns the span of a request that a server received.
pub(super) fn server(received: &Received<'_>) -> OperationSpan {
    let Received {
        settings,
        request,
        method,
        route,
        scheme,
        ref origin,
    } = *received;
    let is_wanted = || settings.span_filter.as_ref().is_none_or(|f| f(request));
    if !span_enabled!(target: TARGET, Level::INFO) || !is_wanted() {
        return OperationSpan::none();
    }
    let route = route.map(Route::as_str);
    let original = request.method.as_str();
    let known = settings.methods.known(method);
    let query = request
        .uri
        .query()
        .map(|query| redacted(settings.query.as_deref(), query));
    let host = request
        .headers
        .get(HOST)
        .and_then(|host| host.to_str().ok());
    let authority = request.uri.authority().map(|a| a.as_str()).or(host);
    let asked = origin.as_ref().and_then(|origin| origin.host);
    let (host, port) = asked.or(authority).and_then(host_and_port).unzip();
    let client = origin.as_ref().map(|origin| origin.client);
    let sender = Sender::new((settings.layer.peer)(request), client);
    let agent = request.headers.get(USER_AGENT);
    info_span!(
        target: TARGET,
        "http_server",
        otel.name = display(Name { method: known, target: route }),
        otel.kind = "server",
        otel.status_code = Empty,
        error.type = Empty,
        http.request.method = settings.methods.name(method),
        http.request.method_original = known.is_none().then_some(bounded(original)),
        http.route = route,
        http.response.status_code = Empty,
        url.path = bounded(&DEFAULT.text(request.uri.path())),
        url.query = query.as_deref().map(bounded),
        url.scheme = scheme.as_str(),
        server.address = host.map(bounded),
        server.port = port.flatten(),
        client.address = sender.client_address(),
        network.peer.address = sender.peer_address(),
        network.peer.port = sender.peer_port(),
        network.protocol.version = version(request.version),
        user_agent.original = agent.and_then(|agent| agent.to_str().ok()).map(bounded),
    )
    .into()
}

/// The known data of a request that a client is about to send.
pub(super) struct Sent<'a> {
    pub(super) request: &'a Parts,
    pub(super) methods: &'a Methods,
    pub(super) method: usize,
    pub(super) template: Option<&'a Route>,
    pub(super) server: Server<'a>,
    pub(super) query: Option<&'a Query>,
    pub(super) resends: u32,
}

/// Returns the span of one attempt of a client to send a request.
pub(super) fn client(sent: &Sent<'_>) -> OperationSpan {
    if !span_enabled!(target: TARGET, Level::INFO) {
        return OperationSpan::none();
    }
    let template = sent.template.map(Route::as_str);
    let original = sent.request.method.as_str();
    let known = sent.methods.known(sent.method);
    info_span!(
        target: TARGET,
        "http_client",
        otel.name = display(Name { method: known, target: template }),
        otel.kind = "client",
        otel.status_code = Empty,
        error.type = Empty,
        http.request.method = sent.methods.name(sent.method),
        http.request.method_original = known.is_none().then_some(bounded(original)),
        http.request.resend_count = (sent.resends > 0).then_some(sent.resends),
        http.response.status_code = Empty,
        network.protocol.version = Empty,
        server.address = bounded(sent.server.address),
        server.port = sent.server.port,
        url.full = bounded(&url(sent)),
        url.template = template,
    )
    .into()
}

/// Returns the URL, with the user name and password redacted.
fn url(sent: &Sent<'_>) -> String {
    let uri = &sent.request.uri;
    let Server {
        scheme, authority, ..
    } = sent.server;
    let (user, host) = match authority.rsplit_once('@') {
        Some((_, host)) => ("REDACTED:REDACTED@", host),
        None => ("", authority),
    };
    let mut url = format!("{scheme}://{user}{host}{}", DEFAULT.text(uri.path()));
    if let Some(query) = uri.query() {
        url.extend(["?", &redacted(sent.query, query)]);
    }
    url
}

static DEFAULT: LazyLock<Redaction> = LazyLock::new(Redaction::default);

/// Returns a query in the form that spans may show.
fn redacted<'a>(own: Option<&Query>, query: &'a str) -> Cow<'a, str> {
    match own {
        Some(own) => own(query),
        None => DEFAULT.redact("url.query", query),
    }
}

/// Renames the span of a server once the route is known.
pub(super) fn name_late(span: &OperationSpan, method: Option<&str>, route: &Route) {
    if span.is_on() {
        let target = Some(route.as_str());
        span.text("otel.name", &Name { method, target }.to_string());
        span.text("http.route", route.as_str());
    }
}

/// Displays as `{method} {target}`; an unknown method is `HTTP`.
struct Name<'a> {
    method: Option<&'a str>,
    target: Option<&'a str>,
}

impl fmt::Display for Name<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.method.unwrap_or("HTTP"))?;
        match self.target {
            Some(target) => write!(f, " {target}"),
            None => Ok(()),
        }
    }
}
