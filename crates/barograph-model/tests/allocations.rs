//! Reading and writing a propagated context allocates the shared text of a list, and nothing else.

use std::hint::black_box;

use barograph_model::context::{Baggage, Propagation, TraceContext, TraceState};
use barograph_model::propagator::Propagators;

#[track_caller]
fn check<T>(expected: u64, f: impl FnOnce() -> T) {
    let counted = allocation_counter::measure(|| drop(black_box(f())));
    assert_eq!(counted.count_total, expected);
}

const HEADER: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

#[test]
fn a_traceparent_is_read_and_written_without_an_allocation() {
    // The check sees an allocation.
    check(1, || Box::new(1));

    let context = TraceContext::parse_traceparent(HEADER).unwrap();
    check(0, || TraceContext::parse_traceparent(HEADER));
    check(0, || TraceContext::parse_traceparent(&HEADER[1..]));
    check(0, || context.to_traceparent());
}

#[test]
fn headers_are_read_without_an_allocation() {
    let headers = [("host", "x"), ("Traceparent", HEADER), ("accept", "*/*")];
    let default = Propagators::default();
    check(0, || default.extract(&headers.as_slice()));
    let headers = [
        ("traceparent", HEADER),
        ("tracestate", "a=1"),
        ("tracestate", "b=2"),
        ("baggage", "c=3"),
    ];
    check(2, || default.extract(&headers.as_slice()));
    let b3 = [(
        "b3",
        "80f198ee56343ba864fe8b2a57d3eff7-e457b5a2e4d86bd1-1-05e3ac9a4f6e3b90",
    )];
    let propagators = Propagators::parse("b3,b3multi,jaeger").0;
    check(0, || propagators.extract(&b3.as_slice()));
    let jaeger = [("uber-trace-id", "abc:def:0:1")];
    check(0, || propagators.extract(&jaeger.as_slice()));
}

#[test]
fn a_list_is_one_shared_text() {
    let none: [&str; 0] = [];
    check(0, || TraceState::parse(none));
    check(1, || TraceState::parse(["a=1 , b=2", "c=3"]));
    check(0, || TraceState::parse(["not valid"]));
    check(0, || Baggage::parse(none));
    check(1, || Baggage::parse(["a=1,b=2;p;q=1"]));

    let context = TraceContext::parse_traceparent(HEADER).unwrap();
    let received = Propagation::from(context)
        .with_tracestate(TraceState::parse(["a=1"]).unwrap())
        .with_baggage(Baggage::parse(["b=2"]));
    check(0, || received.clone().with_trace(context));
    check(0, || received.baggage().get("b").map(|value| value.len()));
}
