//! Requests that a client sends: their metric, their spans and the context in their headers.

use std::convert::Infallible;
use std::future::{pending, ready};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use barograph_core::current;
use barograph_core::registry::Registry;
use barograph_model::context::{Baggage, Propagation, TraceContext};
use barograph_model::propagator::Propagators;
use barograph_tower::http::client::Attempts;
use barograph_tower::http::{HttpClientLayer, HttpClientLayerBuilder, Route};
use http::{HeaderMap, Request, Response};
use tower::{Layer, Service, service_fn};

use crate::script::Step::{Data, Fail};
use crate::script::{Script, end, frame, now};
use test_support::metrics::counts;
use test_support::spans::Spans;

const CALLER: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

fn setup(
    f: impl FnOnce(HttpClientLayerBuilder) -> HttpClientLayerBuilder,
) -> (Registry, HttpClientLayer) {
    let registry = Registry::new();
    let layer = f(HttpClientLayer::builder().with_registry(&registry)).build();
    (registry, layer)
}

/// Returns the series of the duration: the values of the labels that are not empty, in the order error,
/// method, status, version, address and port, and the count.
fn lines(registry: &Registry) -> Vec<String> {
    counts(registry, "http.client.request.duration")
}

fn get(url: &str) -> Request<Script> {
    Request::get(url).body(Script::new([])).unwrap()
}

/// Sends a request, reads the response, and returns the headers that arrived.
fn send(
    layer: &HttpClientLayer,
    request: Request<Script>,
    respond: impl Fn() -> Response<Script>,
) -> HeaderMap {
    let headers = Arc::new(Mutex::new(HeaderMap::new()));
    let mut service = layer.layer(service_fn(|request: Request<Script>| {
        *headers.lock().unwrap() = request.headers().clone();
        ready(Ok::<_, Infallible>(respond()))
    }));
    let mut body = now(service.call(request)).unwrap().into_body();
    while frame(&mut body).is_some_and(|frame| frame.is_ok()) {}
    drop(body);
    let headers = headers.lock().unwrap();
    headers.clone()
}

fn status(status: u16) -> Response<Script> {
    let body = Script::new([Data("a")]);
    Response::builder().status(status).body(body).unwrap()
}

#[test]
fn a_span_has_the_request_and_the_response() {
    let (spans, _guard) = Spans::collect();
    let (registry, layer) = setup(|builder| builder);
    let mut request = get("https://me:secret@shop.example/orders/17?sig=s3cret&q=1");
    request.extensions_mut().insert(Route::from("/orders/{id}"));
    send(&layer, request, || status(200));
    let span = spans.one();
    let expected = [
        ("http.request.method", "GET"),
        ("http.response.status_code", "200"),
        ("network.protocol.version", "1.1"),
        ("otel.kind", "client"),
        ("otel.name", "GET /orders/{id}"),
        ("server.address", "shop.example"),
        ("server.port", "443"),
        (
            "url.full",
            "https://REDACTED:REDACTED@shop.example/orders/17?sig=REDACTED&q=1",
        ),
        ("url.template", "/orders/{id}"),
    ];
    let fields: Vec<_> = span.fields.iter().map(|(k, v)| (&**k, &**v)).collect();
    assert_eq!(fields, expected);
    assert_eq!(lines(&registry), ["GET 200 1.1 shop.example 443 = 1"]);
}

#[test]
fn without_a_template_the_method_is_the_name_and_the_host_may_be_in_a_header() {
    let (spans, _guard) = Spans::collect();
    let (registry, layer) = setup(|builder| builder);
    let mut request = get("/orders/17");
    let host = "[::1]:8080".parse().unwrap();
    request.headers_mut().insert("host", host);
    send(&layer, request, || status(200));
    let span = spans.one();
    assert_eq!(span.name(), "GET");
    assert_eq!(span.field("url.full"), "http://[::1]:8080/orders/17");
    assert_eq!(lines(&registry), ["GET 200 1.1 ::1 8080 = 1"]);
}

#[test]
fn clients_fail_from_400_on() {
    for (code, expected) in [
        (200, ["200", "", ""]),
        (304, ["304", "", ""]),
        (404, ["404", "404", "ERROR"]),
        (503, ["503", "503", "ERROR"]),
    ] {
        let (spans, _guard) = Spans::collect();
        let (registry, layer) = setup(|builder| builder);
        send(&layer, get("http://a/"), || status(code));
        assert_eq!(end(&spans.one()), expected);
        let error = expected[1];
        let series = format!("{error} GET {code} 1.1 a 80");
        assert_eq!(lines(&registry), [format!("{} = 1", series.trim())]);
    }
}

#[derive(Debug)]
struct Refused;

#[test]
fn errors_are_recorded_by_their_types() {
    let (spans, _guard) = Spans::collect();
    let (_, layer) = setup(|builder| builder);
    let refused = service_fn(|_: Request<Script>| ready(Err::<Response<Script>, _>(Refused)));
    let _ = now(layer.layer(refused).call(get("http://a/"))).unwrap_err();
    assert_eq!(end(&spans.one()), ["", "api::clients::Refused", "ERROR"]);

    let (spans, _guard) = Spans::collect();
    type Unknown = Box<dyn std::error::Error + Send + Sync>;
    let failing =
        service_fn(|_: Request<Script>| ready(Err::<Response<Script>, Unknown>("secret".into())));
    let _ = now(layer.layer(failing).call(get("http://a/"))).unwrap_err();
    assert_eq!(end(&spans.one()), ["", "_OTHER", "ERROR"]);

    let (spans, _guard) = Spans::collect();
    let fails = || Response::new(Script::new([Data("a"), Fail]));
    send(&layer, get("http://a/"), fails);
    assert_eq!(end(&spans.one()), ["200", "api::script::Failed", "ERROR"]);
}

#[test]
fn to_be_cancelled_is_no_error() {
    let (spans, _guard) = Spans::collect();
    let (registry, layer) = setup(|builder| builder);
    let waiting = service_fn(|_: Request<Script>| pending::<Result<Response<Script>, Refused>>());
    let mut future = Box::pin(layer.layer(waiting).call(get("http://a/")));
    let mut cx = Context::from_waker(Waker::noop());
    assert!(matches!(future.as_mut().poll(&mut cx), Poll::Pending));
    drop(future);
    assert_eq!(end(&spans.one()), ["", "", ""]);
    assert_eq!(lines(&registry), ["GET a 80 = 1"]);
}

#[test]
fn the_current_baggage_is_sent_with_the_span_of_the_attempt() {
    let (spans, _guard) = Spans::collect();
    let (_, layer) = setup(|builder| builder);
    let caller = TraceContext::parse_traceparent(CALLER).unwrap();
    let travels = Propagation::from(caller).with_baggage(Baggage::parse(["a=1"]));
    let _current = current::enter(travels);
    let headers = send(&layer, get("http://a/"), || status(200));
    let span = spans.one();
    assert_eq!(span.parent, Some(caller.span_id()));
    assert_eq!(
        headers["traceparent"],
        span.context.to_traceparent().as_str()
    );
    assert_eq!(headers["baggage"], "a=1");
    assert_eq!(current::context(), Some(caller));
}

#[test]
fn without_spans_what_is_current_is_sent_as_it_is() {
    let (_, layer) = setup(|builder| builder);
    assert!(send(&layer, get("http://a/"), || status(200)).is_empty());
    let _current = current::enter(TraceContext::parse_traceparent(CALLER).unwrap());
    let headers = send(&layer, get("http://a/"), || status(200));
    assert_eq!(headers["traceparent"], CALLER);
    let (_, b3) = setup(|builder| builder.with_propagators(Propagators::parse("b3").0));
    let headers = send(&b3, get("http://a/"), || status(200));
    assert_eq!(headers.keys().collect::<Vec<_>>(), ["b3"]);
}

#[test]
fn only_hosts_on_the_list_get_the_context() {
    let (_, layer) = setup(|builder| builder.with_hosts(["*.shop.example"]));
    let _current = current::enter(TraceContext::parse_traceparent(CALLER).unwrap());
    for (url, is_sent) in [
        ("http://orders.shop.example/", true),
        ("http://shop.example.evil/", false),
        ("/", false),
    ] {
        let headers = send(&layer, get(url), || status(200));
        assert_eq!(headers.contains_key("traceparent"), is_sent, "{url}");
    }
}

#[test]
fn hosts_that_are_not_known_are_one() {
    let (registry, layer) = setup(|builder| builder.with_known_hosts(["*.shop.example"]));
    for url in [
        "http://orders.shop.example/",
        "https://hooks.example:8443/",
        "http://192.0.2.1:81/",
    ] {
        send(&layer, get(url), || status(200));
    }
    let expected = [
        "GET 200 1.1 _OTHER = 2",
        "GET 200 1.1 orders.shop.example 80 = 1",
    ];
    assert_eq!(lines(&registry), expected);
}

#[test]
fn each_attempt_has_a_span_with_its_number() {
    let (spans, _guard) = Spans::collect();
    let (_, layer) = setup(|builder| builder);
    let attempts = Attempts::default();
    let sent: Vec<_> = (0..3)
        .map(|_| {
            let mut request = get("http://a/");
            request.extensions_mut().insert(attempts.clone());
            let headers = send(&layer, request, || status(503));
            headers["traceparent"].clone()
        })
        .collect();
    let all = spans.all();
    let counts: Vec<_> = all
        .iter()
        .map(|s| s.field("http.request.resend_count"))
        .collect();
    assert_eq!(counts, ["", "1", "2"]);
    for (span, header) in all.iter().zip(sent) {
        assert_eq!(header, span.context.to_traceparent().as_str());
    }
}
