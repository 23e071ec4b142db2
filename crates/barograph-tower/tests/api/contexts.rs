//! The trace context of a request: the code in which it is current, and the code in which it is not.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use barograph_core::current;
use barograph_core::registry::Registry;
use barograph_model::context::TraceContext;
use http::{Request, Response};
use tower::{Layer, Service, service_fn};

use crate::page::{ACTIVE, DURATION, RESPONSE_SIZE, exemplars, lines, setup};
use crate::script::Step::{Data, Note, Wait};
use crate::script::{Script, frame, now, request};

const SAMPLED: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const OTHER: &str = "00-11111111111111111111111111111111-2222222222222222-01";
const UNSAMPLED: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00";

type Notes = Arc<Mutex<Vec<Option<TraceContext>>>>;

fn context(header: &str) -> Option<TraceContext> {
    Some(TraceContext::parse_traceparent(header).unwrap())
}

fn request_in(headers: &[&str]) -> Request<Script> {
    let mut request = request("GET");
    for header in headers {
        let value = header.parse().unwrap();
        request.headers_mut().append("traceparent", value);
    }
    request
}

fn note(notes: &Notes) {
    notes.lock().unwrap().push(current::context());
}

/// Is pending once, so that there is a second poll.
async fn wait() {
    let mut waited = false;
    std::future::poll_fn(move |cx| {
        if std::mem::replace(&mut waited, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// Returns the context that is current in the call, in each poll of the handler and in each poll of the
/// body, for a request with these headers.
fn noted(headers: &[&str]) -> Vec<Option<TraceContext>> {
    let notes = Notes::default();
    let (_, layer) = setup();
    let mut service = layer.layer(service_fn(|_: Request<Script>| {
        note(&notes);
        let notes = notes.clone();
        async move {
            note(&notes);
            wait().await;
            note(&notes);
            let body = [Note(notes.clone()), Data("a"), Wait, Note(notes), Data("b")];
            Ok::<_, Infallible>(Response::new(Script::new(body)))
        }
    }));
    let mut body = now(service.call(request_in(headers))).unwrap().into_body();
    while frame(&mut body).is_some() {}
    assert_eq!(current::context(), None);
    drop(body);
    let notes = notes.lock().unwrap();
    notes.clone()
}

#[test]
fn a_request_is_worked_on_in_its_context() {
    assert_eq!(noted(&[SAMPLED]), [context(SAMPLED); 5]);
    assert_eq!(noted(&[UNSAMPLED]), [context(UNSAMPLED); 5]);
}

#[test]
fn an_invalid_context_is_none() {
    assert_eq!(noted(&[]), [None; 5]);
    assert_eq!(noted(&[""]), [None; 5]);
    assert_eq!(noted(&["nonsense"]), [None; 5]);
    assert_eq!(noted(&[SAMPLED, OTHER]), [None; 5]);
    assert_eq!(noted(&[SAMPLED, SAMPLED]), [None; 5]);
}

#[test]
fn the_current_context_is_the_same_before_and_after_a_poll() {
    let notes = Notes::default();
    let (_, layer) = setup();
    let mut service = layer.layer(service_fn(|_: Request<Script>| {
        let notes = notes.clone();
        async move {
            loop {
                note(&notes);
                wait().await;
            }
            #[allow(unreachable_code, reason = "says what the response would be")]
            Ok::<Response<Script>, Infallible>(unreachable!())
        }
    }));
    let mut cx = Context::from_waker(Waker::noop());
    let mut future = Box::pin(service.call(request_in(&[SAMPLED])));
    assert_eq!(current::context(), None);
    for outside in [None, context(OTHER), context(UNSAMPLED), None] {
        let _outside = outside.map(current::enter);
        assert!(future.as_mut().poll(&mut cx).is_pending());
        assert_eq!(current::context(), outside);
    }
    drop(future);
    assert_eq!(current::context(), None);
    assert_eq!(*notes.lock().unwrap(), [context(SAMPLED); 4]);
}

#[test]
fn without_a_context_of_its_own_a_request_keeps_that_around_it() {
    let _outside = current::enter(context(OTHER).unwrap());
    let notes = Notes::default();
    let (_, layer) = setup();
    let mut service = layer.layer(service_fn(|_: Request<Script>| {
        note(&notes);
        std::future::ready(Ok::<_, Infallible>(Response::new(Script::new([]))))
    }));
    now(service.call(request_in(&[]))).unwrap();
    assert_eq!(*notes.lock().unwrap(), [context(OTHER)]);
}

#[tokio::test]
async fn two_requests_on_one_thread_keep_apart_and_spawned_tasks_inherit_nothing() {
    let notes = Notes::default();
    let (registry, layer) = setup();
    let service = layer.layer(service_fn(|_: Request<Script>| {
        let notes = notes.clone();
        async move {
            let mine = current::context();
            for _ in 0..10 {
                tokio::task::yield_now().await;
                assert_eq!(current::context(), mine);
            }
            let spawned = tokio::spawn(async { current::context() });
            let spawned = spawned.await.unwrap();
            notes.lock().unwrap().push(spawned);
            assert_eq!(current::context(), mine);
            let body = Script::new([]).with_exact_size(0);
            Ok::<_, Infallible>(Response::new(body))
        }
    }));
    let call = |headers: &[&str]| service.clone().call(request_in(headers));
    let (first, second, third) = tokio::join!(call(&[SAMPLED]), call(&[OTHER]), call(&[]));
    assert!(first.is_ok() && second.is_ok() && third.is_ok());
    assert_eq!(*notes.lock().unwrap(), [None; 3]);
    assert_eq!(lines(&registry, DURATION), ["GET 200 http = 3"]);
    assert_eq!(lines(&registry, ACTIVE), ["GET http = 0"]);
}

/// Returns the contexts of the exemplars of a family, after one request with this header. Its handler
/// counts orders, and its body is dropped before the end unless it is `whole`.
fn exemplars_of(name: &str, header: &str, whole: bool) -> Vec<Option<TraceContext>> {
    let (registry, layer): (Registry, _) = setup();
    let orders = registry.counter("orders").build().unwrap();
    let mut service = layer.layer(service_fn(|_: Request<Script>| {
        let orders = orders.clone();
        async move {
            wait().await;
            orders.inc();
            let body = Script::new([Data("a"), Data("b")]);
            Ok::<_, Infallible>(Response::new(body))
        }
    }));
    let mut body = now(service.call(request_in(&[header])))
        .unwrap()
        .into_body();
    while whole && frame(&mut body).is_some() {}
    drop(body);
    let contexts = exemplars(&registry, name).into_iter().map(|e| e.context);
    contexts.collect()
}

#[test]
fn sampled_requests_leave_exemplars() {
    for name in [DURATION, RESPONSE_SIZE, "orders"] {
        for whole in [true, false] {
            assert_eq!(exemplars_of(name, SAMPLED, whole), [context(SAMPLED)]);
            assert_eq!(exemplars_of(name, UNSAMPLED, whole), []);
        }
    }
}
