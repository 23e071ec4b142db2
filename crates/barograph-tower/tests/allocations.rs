//! The layer allocates only its mark per request, once the series exist.

use std::convert::Infallible;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use barograph_core::registry::Registry;
use barograph_tower::http::{HttpServerLayer, Route};
use bytes::Bytes;
use http::{Extensions, HeaderMap, HeaderValue, Request, Response};
use http_body::Body;
use http_body_util::Full;
use tower::{Layer as _, Service, service_fn};

fn allocations(f: impl FnOnce()) -> u64 {
    allocation_counter::measure(f).count_total
}

async fn answer(_: Request<Full<Bytes>>) -> Result<Response<Full<Bytes>>, Infallible> {
    Ok(Response::new(Full::new(Bytes::from_static(b"hello"))))
}

/// Serves a request and reads its response, as a server does.
fn serve<S, B>(service: &mut S, headers: HeaderMap)
where
    S: Service<Request<Full<Bytes>>, Response = Response<B>, Error = Infallible>,
    B: Body,
{
    let mut request = Request::new(Full::new(Bytes::from_static(b"hello")));
    *request.headers_mut() = headers;
    let mut cx = Context::from_waker(Waker::noop());
    let mut future = pin!(service.call(request));
    let Poll::Ready(Ok(response)) = future.as_mut().poll(&mut cx) else {
        panic!("the service answers at once");
    };
    let mut body = pin!(response.into_body());
    while !body.is_end_stream() {
        let _ = Pin::as_mut(&mut body).poll_frame(&mut cx);
    }
}

#[test]
fn a_request_allocates_nothing_but_its_mark() {
    // The counter detects an allocation.
    assert_eq!(allocations(|| drop(Box::new(1))), 1);

    let registry = Registry::new();
    let layer = HttpServerLayer::builder()
        .with_registry(&registry)
        .with_route(|_| Some(Route::from("/orders/{id}")))
        .build();
    let mut service = layer.layer(service_fn(answer));
    let mut headers = HeaderMap::new();
    let header = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    headers.insert("traceparent", HeaderValue::from_static(header));
    // The first requests create series, exemplars and, under load, cells.
    for _ in 0..20_000 {
        serve(&mut service, HeaderMap::new());
        serve(&mut service, headers.clone());
    }
    let sampled = headers.clone();
    let all = allocations(|| {
        serve(&mut service, HeaderMap::new());
        serve(&mut service, sampled);
    });
    // The mark that an inner layer of the same kind would find.
    let mark = allocations(|| {
        Extensions::new().insert(0_usize);
    });
    assert_eq!(all, 2 * mark);
    let series = [
        ("http.request.method", "GET"),
        ("http.route", "/orders/{id}"),
        ("http.response.status_code", "200"),
        ("url.scheme", "http"),
        ("error.type", ""),
    ];
    let count = registry.value("http.server.request.duration", &series);
    assert_eq!(count.unwrap(), 40_002.0);
}

#[test]
fn a_decision_allocates_nothing() {
    use barograph_model::context::{TraceContext, TraceFlags, TraceState};
    use barograph_model::value::Attribute;
    use barograph_tracing::sampling::{
        AlwaysOff, AlwaysOn, ParentBased, Probability, RateLimited, Rule, Rules, Sampler,
        SpanStart, TraceIdRatio,
    };

    let rules = Rules::new()
        .with_rule(Rule::new().with_route("/health*"), AlwaysOff)
        .with_rule(Rule::new(), Probability::new(0.5).unwrap());
    let samplers: [&dyn Sampler; 6] = [
        &AlwaysOn,
        &TraceIdRatio::new(0.5).unwrap(),
        &ParentBased::new(Probability::new(0.5).unwrap()),
        &ParentBased::new(rules),
        &RateLimited::new(3.0).unwrap(),
        &ParentBased::default(),
    ];
    let attributes = [Attribute::new("http.route", "/orders")];
    let state = TraceState::parse(["ot=th:8,congo=t61rcWkgMzE"]).unwrap();
    for sampler in samplers {
        for id in [1, 0xff_ffff_ffff_ffff] {
            let flags = TraceFlags::SAMPLED.with(TraceFlags::RANDOM);
            let parent = TraceContext::new(0xff_ffff_ffff_ffff, 1, flags).unwrap();
            let trace_id = TraceContext::new(id, 1, flags).unwrap().trace_id();
            let root = SpanStart::new(trace_id, "GET /orders").with_attributes(&attributes);
            let child = root.with_parent(parent).with_trace_state(&state);
            let count = allocations(|| drop(sampler.sample(&root)));
            assert_eq!(count, 0, "{sampler:?}, at a root");
            if sampler.description().starts_with("ParentBased") {
                let count = allocations(|| drop(sampler.sample(&child)));
                assert_eq!(count, 0, "{sampler:?}, at a child");
            }
        }
    }
    // The exception: writing another threshold into a tracestate creates a new text.
    let root = TraceContext::new(0xff_ffff_ffff_ffff, 1, TraceFlags::RANDOM).unwrap();
    let root = SpanStart::new(root.trace_id(), "GET /orders").with_trace_state(&state);
    let sampler = Probability::new(0.25).unwrap();
    assert!(allocations(|| drop(sampler.sample(&root))) > 0);
}
