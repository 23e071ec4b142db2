//! Every way in which a request can end.

use std::convert::Infallible;
use std::future::{pending, ready};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use barograph_core::registry::Registry;
use http::{Request, Response, header};
use tower::{Layer, Service, service_fn};

use crate::page::{ACTIVE, DURATION, REQUEST_SIZE, RESPONSE_SIZE, lines, setup};
use crate::script::Step::{self, Data, Fail, Panic, Trailers, Wait};
use crate::script::{Failed, Script, frame, now, request, service};

/// Checks that the request is recorded once, with this method, status, scheme and error, and with this
/// size of the response.
#[track_caller]
fn check_ended(registry: &Registry, method: &str, series: &str, size: u64) {
    assert_eq!(lines(registry, DURATION), [format!("{series} = 1")]);
    assert_eq!(
        lines(registry, RESPONSE_SIZE),
        [format!("{series} = 1/{size}")]
    );
    assert_eq!(lines(registry, REQUEST_SIZE), [format!("{series} = 1/0")]);
    assert_eq!(lines(registry, ACTIVE), [format!("{method} http = 0")]);
}

/// Checks that the request is active and not recorded.
#[track_caller]
fn check_active(registry: &Registry, method: &str) {
    assert_eq!(lines(registry, DURATION), [""; 0]);
    assert_eq!(lines(registry, ACTIVE), [format!("{method} http = 1")]);
}

/// Checks that the request ends with the `frames`th frame of the response's body and no sooner, and that
/// nothing later is recorded.
#[track_caller]
fn check(
    method: &str,
    respond: impl Fn() -> Response<Script>,
    frames: usize,
    series: &str,
    size: u64,
) {
    let (registry, layer) = setup();
    let mut service = service(&layer, respond);
    let mut body = now(service.call(request(method))).unwrap().into_body();
    for _ in 0..frames {
        check_active(&registry, method);
        let _ = frame(&mut body);
    }
    check_ended(&registry, method, series, size);
    let _ = frame(&mut body);
    check_ended(&registry, method, series, size);
    drop(body);
    check_ended(&registry, method, series, size);
}

fn response(status: u16, body: Script) -> Response<Script> {
    let response = Response::builder().status(status);
    response.body(body).unwrap()
}

fn script(steps: &[Step]) -> Script {
    Script::new(steps.iter().cloned())
}

#[test]
fn a_body_ends_when_it_gives_nothing_more() {
    let steps = [Data("ab"), Wait, Data("cde")];
    check(
        "GET",
        || response(200, script(&steps)),
        3,
        "GET 200 http",
        5,
    );
}

#[test]
fn a_body_ends_with_its_trailers() {
    // HTTP/2 servers do not poll again after trailers.
    let steps = [Data("ab"), Trailers, Wait];
    check(
        "GET",
        || response(200, script(&steps)),
        2,
        "GET 200 http",
        2,
    );
}

#[test]
fn a_body_ends_when_it_reports_its_end() {
    let body = || Script::new([Data("ab"), Data("c")]).says_when_it_ends();
    check("PUT", || response(201, body()), 2, "PUT 201 http", 3);
    let body = || Script::new([Data("ab"), Trailers]).says_when_it_ends();
    check("PUT", || response(201, body()), 2, "PUT 201 http", 2);
}

#[test]
fn a_body_ends_with_the_size_that_it_announced() {
    let body = || Script::new([Data("ab"), Data("cde"), Wait]).with_exact_size(5);
    check("GET", || response(200, body()), 2, "GET 200 http", 5);
    let respond = || {
        let mut response = response(200, script(&[Data("ab"), Data("cde"), Wait]));
        response
            .headers_mut()
            .insert(header::CONTENT_LENGTH, 5.into());
        response
    };
    check("GET", respond, 2, "GET 200 http", 5);
}

#[test]
fn an_empty_body_ends_with_the_head() {
    let body = || Script::new([]).says_when_it_ends();
    check("GET", || response(200, body()), 0, "GET 200 http", 0);
    let body = || Script::new([]).with_exact_size(0);
    check("GET", || response(200, body()), 0, "GET 200 http", 0);
}

#[test]
fn a_response_that_can_have_no_body_ends_with_the_head() {
    let body = || Script::new([Data("ab")]).with_exact_size(2);
    check("HEAD", || response(200, body()), 0, "HEAD 200 http", 0);
    check("GET", || response(304, body()), 0, "GET 304 http", 0);
    let (registry, layer) = setup();
    let mut service = service(&layer, || response(204, Script::new([])));
    drop(now(service.call(request("GET"))).unwrap());
    check_ended(&registry, "GET", "GET 204 http", 0);
}

#[test]
fn only_failures_of_the_server_are_errors() {
    let body = || Script::new([]).with_exact_size(0);
    check("GET", || response(404, body()), 0, "GET 404 http", 0);
    check("GET", || response(500, body()), 0, "GET 500 http 500", 0);
    check("GET", || response(503, body()), 0, "GET 503 http 503", 0);
    check("GET", || response(599, body()), 0, "GET 599 http 599", 0);
}

#[test]
fn a_body_that_fails_is_an_error() {
    let body = || Script::new([Data("ab"), Fail]);
    check(
        "GET",
        || response(200, body()),
        2,
        "GET 200 http body_error",
        2,
    );
}

#[test]
fn the_error_reaches_the_server() {
    let (_, layer) = setup();
    let mut service = service(&layer, || response(200, Script::new([Fail])));
    let mut body = now(service.call(request("GET"))).unwrap().into_body();
    assert_eq!(frame(&mut body).unwrap().unwrap_err(), Failed);
}

#[test]
fn a_client_that_leaves_before_the_head_disconnects() {
    let (registry, layer) = setup();
    let mut service = layer.layer(service_fn(|_: Request<Script>| {
        pending::<Result<Response<Script>, Infallible>>()
    }));
    let future = service.call(request("GET"));
    check_active(&registry, "GET");
    drop(future);
    assert_eq!(
        lines(&registry, DURATION),
        ["GET http client_disconnect = 1"]
    );
    assert_eq!(lines(&registry, ACTIVE), ["GET http = 0"]);
    // There was no response, so there is no size.
    assert_eq!(lines(&registry, RESPONSE_SIZE), [""; 0]);
}

#[test]
fn a_client_that_leaves_within_the_body_disconnects() {
    let (registry, layer) = setup();
    let mut service = service(&layer, || {
        response(200, Script::new([Data("ab"), Data("c")]))
    });
    let mut body = now(service.call(request("GET"))).unwrap().into_body();
    let _ = frame(&mut body);
    check_active(&registry, "GET");
    drop(body);
    check_ended(&registry, "GET", "GET 200 http client_disconnect", 2);
}

#[test]
fn a_service_that_fails_is_an_error() {
    let (registry, layer) = setup();
    let mut service = layer.layer(service_fn(|_: Request<Script>| {
        ready(Err::<Response<Script>, _>(Failed))
    }));
    assert_eq!(
        now(service.call(request("GET"))).map(drop).unwrap_err(),
        Failed
    );
    assert_eq!(lines(&registry, DURATION), ["GET http service_error = 1"]);
    assert_eq!(lines(&registry, ACTIVE), ["GET http = 0"]);
}

#[test]
fn a_panic_is_recorded_when_it_passes_and_continues() {
    let (registry, layer) = setup();
    let mut service = layer.layer(service_fn(|_: Request<Script>| async {
        if true {
            panic!("in the handler");
        }
        Ok::<_, Infallible>(Response::new(Script::new([])))
    }));
    let mut future = Box::pin(service.call(request("GET")));
    let mut cx = Context::from_waker(Waker::noop());
    let panic = catch_unwind(AssertUnwindSafe(|| {
        future.as_mut().poll(&mut cx).map(|_| ())
    }));
    let panic = panic.expect_err("the panic goes on");
    assert_eq!(panic.downcast_ref(), Some(&"in the handler"));
    // The code that caught the panic may keep the future.
    assert_eq!(lines(&registry, DURATION), ["GET http panic = 1"]);
    assert_eq!(lines(&registry, ACTIVE), ["GET http = 0"]);
    drop(future);
    assert_eq!(lines(&registry, DURATION), ["GET http panic = 1"]);
}

#[test]
fn a_panic_in_the_call_itself_is_recorded() {
    let (registry, layer) = setup();
    let mut service = service(&layer, || panic!("in the call"));
    let panicked = catch_unwind(AssertUnwindSafe(|| drop(service.call(request("GET")))));
    assert!(panicked.is_err());
    assert_eq!(lines(&registry, DURATION), ["GET http panic = 1"]);
    assert_eq!(lines(&registry, ACTIVE), ["GET http = 0"]);
}

#[test]
fn a_panic_in_the_body_is_recorded() {
    let (registry, layer) = setup();
    let mut service = service(&layer, || response(200, Script::new([Data("ab"), Panic])));
    let mut body = now(service.call(request("GET"))).unwrap().into_body();
    let _ = frame(&mut body);
    let panicked = catch_unwind(AssertUnwindSafe(|| frame(&mut body).is_some()));
    assert!(panicked.is_err());
    check_ended(&registry, "GET", "GET 200 http panic", 2);
    drop(body);
    check_ended(&registry, "GET", "GET 200 http panic", 2);
}

#[test]
fn an_upgraded_connection_is_no_request_any_more() {
    for (method, status) in [("GET", 101), ("CONNECT", 200)] {
        let (registry, layer) = setup();
        let mut service = service(&layer, || response(status, Script::new([Wait])));
        let future = service.call(request(method));
        check_active(&registry, method);
        let response = now(future).unwrap();
        for _ in 0..2 {
            assert_eq!(lines(&registry, DURATION), [""; 0]);
            assert_eq!(lines(&registry, RESPONSE_SIZE), [""; 0]);
            assert_eq!(lines(&registry, REQUEST_SIZE), [""; 0]);
            assert_eq!(lines(&registry, ACTIVE), [format!("{method} http = 0")]);
        }
        drop(response);
        assert_eq!(lines(&registry, DURATION), [""; 0]);
        assert_eq!(lines(&registry, ACTIVE), [format!("{method} http = 0")]);
    }
    let refused = || response(405, Script::new([]).with_exact_size(0));
    check("CONNECT", refused, 0, "CONNECT 405 http", 0);
}

#[test]
fn the_body_has_the_size_hint_of_the_inner_one() {
    let (_, layer) = setup();
    let mut service = service(&layer, || {
        let body = Script::new([Data("abc")]).with_exact_size(3);
        response(200, body.says_when_it_ends())
    });
    let mut body = now(service.call(request("GET"))).unwrap().into_body();
    assert_eq!(http_body::Body::size_hint(&body).exact(), Some(3));
    assert!(!http_body::Body::is_end_stream(&body));
    let data = frame(&mut body).unwrap().unwrap().into_data().unwrap();
    assert_eq!(data, "abc");
    assert!(http_body::Body::is_end_stream(&body));
}

#[test]
fn a_body_that_waits_is_still_active() {
    let (registry, layer) = setup();
    let mut service = service(&layer, || response(200, Script::new([Wait, Data("a")])));
    let mut body = pin!(now(service.call(request("GET"))).unwrap().into_body());
    let mut cx = Context::from_waker(Waker::noop());
    let first = http_body::Body::poll_frame(Pin::as_mut(&mut body), &mut cx);
    assert!(matches!(first, Poll::Pending));
    check_active(&registry, "GET");
}
