//! A service for the W3C Trace Context test suite: `cargo run -p trace-context-service -- --listen
//! 127.0.0.1:8080`, then `SPEC_LEVEL=2 python3 test.py http://127.0.0.1:8080/test` in the suite.
//!
//! `POST /test` takes a JSON list of `{"url": U, "arguments": [...]}`, and posts the arguments of
//! each to its URL, in the trace context of the request, or in a new one.

mod forward;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use barograph::{HttpServerLayer, Telemetry};
use tokio::net::TcpListener;

use crate::forward::{Client, calls};

/// The server layer continues the trace of the request, and the client layer propagates it.
async fn test(
    State(client): State<Client>,
    body: Bytes,
) -> Result<&'static str, (StatusCode, String)> {
    let calls = calls(&body).map_err(|error| (StatusCode::BAD_REQUEST, error))?;
    for call in calls {
        let answer = client.post(call).await;
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
    let telemetry = Telemetry::builder("trace-context-service")
        .without_listener()
        .without_start_line()
        .start();
    let _telemetry = telemetry.map_err(|error| error.to_string())?;
    let app = Router::new()
        .route("/test", post(test))
        .layer(HttpServerLayer::new())
        .with_state(Client::new());
    let told = |error| format!("{address}: {error}");
    let listener = TcpListener::bind(&address).await.map_err(told)?;
    println!("listening on {}", listener.local_addr().map_err(told)?);
    axum::serve(listener, app).await.map_err(told)
}
