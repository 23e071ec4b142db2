//! A service to be held against the W3C Trace Context test suite: `cargo run -p
//! trace-context-service -- --listen 127.0.0.1:8080`, then `SPEC_LEVEL=2 python3 test.py
//! http://127.0.0.1:8080/test` in the suite.
//!
//! `POST /test` takes a JSON list of `{"url": U, "arguments": [...]}`, and posts the arguments of
//! each to its URL, in the context that the request came with, or in a new one.

mod forward;

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use barograph::carrier::Headers;
use barograph::propagator::Propagators;
use tokio::net::TcpListener;

use crate::forward::{Client, calls};

struct Service {
    propagators: Propagators,
    client: Client,
}

async fn test(
    State(service): State<Arc<Service>>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<&'static str, (StatusCode, String)> {
    let calls = calls(&body).map_err(|error| (StatusCode::BAD_REQUEST, error))?;
    let received = service.propagators.extract(&Headers(&headers));
    // What is sent without a parent is one trace all the same.
    let trace = forward::trace_of(&received);
    for call in calls {
        let sent = received.clone().with_trace(forward::span_in(trace));
        let answer = service.client.post(call, &service.propagators, &sent).await;
        answer.map_err(|error| (StatusCode::BAD_GATEWAY, error))?;
    }
    Ok("{}")
}

#[tokio::main]
#[expect(clippy::print_stdout, reason = "a program says where it listens")]
async fn main() -> Result<(), String> {
    let mut arguments = std::env::args().skip(1);
    let address = match (arguments.next().as_deref(), arguments.next()) {
        (Some("--listen"), Some(address)) => address,
        (None, None) => "127.0.0.1:8080".to_owned(),
        _ => return Err("usage: trace-context-service [--listen ADDRESS]".to_owned()),
    };
    let service = Service {
        propagators: Propagators::default(),
        client: Client::new(),
    };
    let app = Router::new()
        .route("/test", post(test))
        .with_state(Arc::new(service));
    let told = |error| format!("{address}: {error}");
    let listener = TcpListener::bind(&address).await.map_err(told)?;
    println!("listening on {}", listener.local_addr().map_err(told)?);
    axum::serve(listener, app).await.map_err(told)
}
