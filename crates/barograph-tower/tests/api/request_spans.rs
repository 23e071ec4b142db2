//! The spans of requests: their names, their attributes and their ends.

use std::convert::Infallible;
use std::future::{pending, ready};
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::{Context, Poll, Waker};

use barograph_core::current;
use barograph_model::context::{TraceContext, TrustBoundary};
use barograph_model::propagator::Propagators;
use barograph_tower::http::{HttpServerLayerBuilder, Route};
use http::header::{HOST, USER_AGENT};
use http::{HeaderName, Request, Response};
use tower::{Layer, Service, service_fn};

use crate::page::{DURATION, exemplars, lines, setup, setup_with};
use crate::script::Step::{Data, Fail, Panic, Trailers, Wait};
use crate::script::{Script, end, frame, now, request, service};
use test_support::spans::{Seen, Spans};

const SAMPLED: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

fn empty() -> Response<Script> {
    Response::new(Script::new([]).with_exact_size(0))
}

/// Returns the span of one request that is answered like this.
#[track_caller]
fn span_with(
    f: impl FnOnce(HttpServerLayerBuilder) -> HttpServerLayerBuilder,
    request: Request<Script>,
    respond: impl Fn() -> Response<Script>,
) -> Seen {
    let (spans, _guard) = Spans::collect();
    let (_, layer) = setup_with(f);
    let mut body = now(service(&layer, respond).call(request))
        .unwrap()
        .into_body();
    while frame(&mut body).is_some_and(|frame| frame.is_ok()) {}
    drop(body);
    assert_eq!(current::context(), None);
    spans.one()
}

#[track_caller]
fn span(request: Request<Script>, respond: impl Fn() -> Response<Script>) -> Seen {
    span_with(|builder| builder, request, respond)
}

fn with_headers(headers: &[(&str, &str)]) -> Request<Script> {
    let mut request = request("GET");
    for (name, value) in headers {
        let name: HeaderName = name.parse().unwrap();
        request.headers_mut().append(name, value.parse().unwrap());
    }
    request
}

#[test]
fn a_span_has_the_request_and_the_response() {
    let mut request = request("POST");
    *request.uri_mut() = "/orders/17?sig=s3cret&q=1".parse().unwrap();
    let headers = request.headers_mut();
    headers.insert(HOST, "shop.example:8080".parse().unwrap());
    headers.insert(USER_AGENT, "tester/1".parse().unwrap());
    let peer: SocketAddr = "192.0.2.7:4711".parse().unwrap();
    request.extensions_mut().insert(peer);
    let route =
        |builder: HttpServerLayerBuilder| builder.with_route(|_| Some("/orders/{id}".into()));
    let span = span_with(route, request, || {
        Response::builder()
            .status(404)
            .body(Script::new([Data("no")]))
            .unwrap()
    });
    let expected = [
        ("client.address", "192.0.2.7"),
        ("http.request.method", "POST"),
        ("http.response.status_code", "404"),
        ("http.route", "/orders/{id}"),
        ("network.peer.address", "192.0.2.7"),
        ("network.peer.port", "4711"),
        ("network.protocol.version", "1.1"),
        ("otel.kind", "server"),
        ("otel.name", "POST /orders/{id}"),
        ("server.address", "shop.example"),
        ("server.port", "8080"),
        ("url.path", "/orders/17"),
        ("url.query", "sig=REDACTED&q=1"),
        ("url.scheme", "http"),
        ("user_agent.original", "tester/1"),
    ];
    let fields: Vec<_> = span.fields.iter().map(|(k, v)| (&**k, &**v)).collect();
    assert_eq!(fields, expected);
}

#[test]
fn secrets_in_the_path_and_in_the_query_are_hidden() {
    let mut request = request("GET");
    let uri = "/reset;token=s3cret/user?password=s3cret&page=2";
    *request.uri_mut() = uri.parse().unwrap();
    let span = span(request, empty);
    assert_eq!(span.field("url.path"), "/reset;token=REDACTED");
    assert_eq!(span.field("url.query"), "password=REDACTED&page=2");
    assert!(!format!("{span:?}").contains("s3cret"));
}

#[test]
fn absurdly_long_values_are_truncated() {
    let long = "x".repeat(30_000);
    let mut request = with_headers(&[("user-agent", &long), ("host", &long)]);
    *request.uri_mut() = format!("/{long}?{long}").parse().unwrap();
    *request.method_mut() = long.parse().unwrap();
    let span = span(request, empty);
    for name in [
        "http.request.method_original",
        "server.address",
        "url.path",
        "url.query",
        "user_agent.original",
    ] {
        assert_eq!(span.field(name).len(), 2048, "{name}");
    }
}

#[test]
fn without_a_route_the_method_is_the_name_and_never_the_path() {
    assert_eq!(span(request("GET"), empty).name(), "GET");
    let brewed = span(request("BREW"), empty);
    assert_eq!(brewed.name(), "HTTP");
    assert_eq!(brewed.field("http.request.method"), "_OTHER");
    assert_eq!(brewed.field("http.request.method_original"), "BREW");
    let known = |builder: HttpServerLayerBuilder| builder.with_known_methods(["BREW"]);
    assert_eq!(span_with(known, request("BREW"), empty).name(), "BREW");
}

#[test]
fn a_route_may_come_with_the_response() {
    let (registry, layer) = setup();
    let (spans, _guard) = Spans::collect();
    let respond = || {
        let mut response = empty();
        response.extensions_mut().insert(Route::from("/late/{id}"));
        response
    };
    now(service(&layer, respond).call(request("GET"))).unwrap();
    let span = spans.one();
    assert_eq!(span.name(), "GET /late/{id}");
    assert_eq!(span.field("http.route"), "/late/{id}");
    assert_eq!(lines(&registry, DURATION), ["GET /late/{id} 200 http = 1"]);
}

#[test]
fn a_trace_continues_with_its_state_and_baggage() {
    let headers = [
        ("traceparent", SAMPLED),
        ("tracestate", "a=1"),
        ("baggage", "b=2"),
    ];
    let seen = span(with_headers(&headers), || {
        let sent = current::propagation();
        assert_eq!(sent.tracestate().as_str(), "a=1");
        assert_eq!(sent.baggage().as_str(), "b=2");
        let body = Script::new([Data("a")]);
        Response::builder()
            .header("span", sent.trace().unwrap().span_id().to_string())
            .body(body)
            .unwrap()
    });
    let caller = TraceContext::parse_traceparent(SAMPLED).unwrap();
    assert_eq!(seen.context.trace_id(), caller.trace_id());
    assert_eq!(seen.parent, Some(caller.span_id()));
    assert_ne!(seen.context.span_id(), caller.span_id());
    // Without a caller's trace there is a new one.
    let seen = span(request("GET"), empty);
    assert_eq!(seen.parent, None);
}

#[test]
fn an_untrusted_caller_decides_nothing() {
    let headers = [
        ("traceparent", SAMPLED),
        ("tracestate", "a=1"),
        ("baggage", "b=2"),
    ];
    let untrusted =
        |builder: HttpServerLayerBuilder| builder.with_boundary(TrustBoundary::Untrusted);
    let seen = span_with(untrusted, with_headers(&headers), || {
        let sent = current::propagation();
        assert!(sent.tracestate().is_empty() && sent.baggage().is_empty());
        empty()
    });
    let caller = TraceContext::parse_traceparent(SAMPLED).unwrap();
    assert_ne!(seen.context.trace_id(), caller.trace_id());
    assert_eq!((seen.parent, seen.links), (None, vec![caller]));
}

#[test]
fn a_layer_may_read_other_headers() {
    let b3 = |builder: HttpServerLayerBuilder| builder.with_propagators(Propagators::parse("b3").0);
    let header = "0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-1";
    let headers = [("b3", header), ("traceparent", &SAMPLED.replace('7', "8"))];
    let seen = span_with(b3, with_headers(&headers), empty);
    let caller = TraceContext::parse_traceparent(SAMPLED).unwrap();
    assert_eq!(seen.context.trace_id(), caller.trace_id());
}

#[test]
fn some_requests_are_counted_and_have_no_span() {
    let (spans, _guard) = Spans::collect();
    let (registry, layer) = setup_with(|b| b.with_span_filter(|r| r.uri.path() != "/health"));
    for path in ["/health", "/orders"] {
        let mut request = with_headers(&[("traceparent", SAMPLED)]);
        *request.uri_mut() = path.parse().unwrap();
        now(service(&layer, empty).call(request)).unwrap();
    }
    assert_eq!(spans.one().field("url.path"), "/orders");
    assert_eq!(lines(&registry, DURATION), ["GET 200 http = 2"]);
}

#[test]
fn the_exemplar_of_a_request_leads_to_its_own_span() {
    let (spans, _guard) = Spans::collect();
    for whole in [true, false] {
        let (registry, layer) = setup();
        let body = || Response::new(Script::new([Data("a")]));
        let response = now(service(&layer, body).call(request("GET")));
        let mut body = response.unwrap().into_body();
        while whole && frame(&mut body).is_some() {}
        drop(body);
        let own = spans.all().last().unwrap().context;
        let exemplars = exemplars(&registry, DURATION);
        assert_eq!(exemplars.len(), 1);
        assert_eq!(exemplars[0].context, Some(own));
    }
}

#[test]
fn servers_fail_from_500_on() {
    for (status, expected) in [
        (200, ["200", "", ""]),
        (302, ["302", "", ""]),
        (404, ["404", "", ""]),
        (500, ["500", "500", "ERROR"]),
        (503, ["503", "503", "ERROR"]),
    ] {
        let respond = || {
            let response = Response::builder().status(status);
            response.body(Script::new([]).with_exact_size(0)).unwrap()
        };
        assert_eq!(end(&span(request("GET"), respond)), expected);
    }
}

#[test]
fn a_span_ends_with_the_body_however_that_ends() {
    for (steps, expected) in [
        (vec![Data("a"), Wait, Data("b")], ["200", "", ""]),
        (vec![Data("a"), Trailers], ["200", "", ""]),
        (vec![Data("a"), Fail], ["200", "body_error", "ERROR"]),
    ] {
        let span = span(request("GET"), || Response::new(Script::new(steps.clone())));
        assert_eq!(end(&span), expected);
    }
    // A client that disconnects.
    let (spans, _guard) = Spans::collect();
    let (_, layer) = setup();
    let endless = || Response::new(Script::new([Data("a"), Data("b")]));
    let mut body = now(service(&layer, endless).call(request("GET")))
        .unwrap()
        .into_body();
    let _ = frame(&mut body);
    assert_eq!(spans.all().len(), 0);
    drop(body);
    assert_eq!(end(&spans.one()), ["200", "client_disconnect", "ERROR"]);
}

#[test]
fn a_body_that_panics_ends_its_span_at_once() {
    let (spans, _guard) = Spans::collect();
    let (_, layer) = setup();
    let body = || Response::new(Script::new([Panic]));
    let mut body = now(service(&layer, body).call(request("GET")))
        .unwrap()
        .into_body();
    catch_unwind(AssertUnwindSafe(|| frame(&mut body).is_some())).unwrap_err();
    assert_eq!(end(&spans.one()), ["200", "panic", "ERROR"]);
    assert_eq!(current::context(), None);
}

#[test]
fn a_handler_that_fails_panics_or_is_left_ends_its_span() {
    let (_, layer) = setup();
    let (spans, _guard) = Spans::collect();
    let failing = service_fn(|_: Request<Script>| ready(Err::<Response<Script>, _>("broken")));
    assert!(now(layer.layer(failing).call(request("GET"))).is_err());
    assert_eq!(end(&spans.one()), ["", "service_error", "ERROR"]);

    let (spans, _guard) = Spans::collect();
    let panicking = service_fn(
        async |_: Request<Script>| -> Result<Response<Script>, Infallible> { panic!("on purpose") },
    );
    let mut future = Box::pin(layer.layer(panicking).call(request("GET")));
    let mut cx = Context::from_waker(Waker::noop());
    let polled = catch_unwind(AssertUnwindSafe(|| {
        future.as_mut().poll(&mut cx).is_ready()
    }));
    polled.unwrap_err();
    assert_eq!(end(&spans.one()), ["", "panic", "ERROR"]);

    let (spans, _guard) = Spans::collect();
    /// Logs a line when it is dropped.
    struct Farewell;
    impl Drop for Farewell {
        fn drop(&mut self) {
            tracing::info!("left");
        }
    }
    let waiting = service_fn(async |_: Request<Script>| {
        let _farewell = Farewell;
        pending::<Result<Response<Script>, Infallible>>().await
    });
    let mut future = Box::pin(layer.layer(waiting).call(request("GET")));
    assert!(matches!(future.as_mut().poll(&mut cx), Poll::Pending));
    assert_eq!(spans.all().len(), 0);
    drop(future);
    let span = spans.one();
    assert_eq!(end(&span), ["", "client_disconnect", "ERROR"]);
    assert_eq!(span.events, ["left"], "the line is in the span");
    assert_eq!(current::context(), None);
}
