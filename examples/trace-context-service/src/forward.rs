//! Parses the requested calls, and makes them.

use std::time::Duration;

use axum::body::Bytes;
use axum::http::{Method, Request, header};
use barograph::HttpClientLayer;
use barograph::layers::HttpClient;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;
use tower::{Layer as _, ServiceExt as _};

/// A request to make.
pub(crate) struct Call {
    url: String,
    arguments: Vec<u8>,
}

/// Returns the calls that a body requests. Nested lists are flattened.
pub(crate) fn calls(body: &[u8]) -> Result<Vec<Call>, String> {
    let list: Vec<Value> =
        serde_json::from_slice(body).map_err(|error| format!("expected a JSON list: {error}"))?;
    let mut calls = Vec::new();
    add(&list, &mut calls).ok_or("expected {\"url\": ..., \"arguments\": ...}")?;
    Ok(calls)
}

/// Adds the calls of a list. The JSON parser limits the depth of the recursion.
fn add(list: &[Value], calls: &mut Vec<Call>) -> Option<()> {
    for entry in list {
        if let Value::Array(list) = entry {
            add(list, calls)?;
            continue;
        }
        let url = entry.get("url").and_then(Value::as_str)?.to_owned();
        let arguments = match entry.get("arguments") {
            None | Some(Value::Null) => b"[]".to_vec(),
            Some(arguments) => arguments.to_string().into_bytes(),
        };
        calls.push(Call { url, arguments });
    }
    Some(())
}

/// A client that makes each call in its own span and propagates the span's context.
#[derive(Clone)]
pub(crate) struct Client(HttpClient<legacy::Client<HttpConnector, Full<Bytes>>>);

impl Client {
    pub(crate) fn new() -> Self {
        let client = legacy::Client::builder(TokioExecutor::new()).build_http();
        Client(HttpClientLayer::new().layer(client))
    }

    /// Makes a call, and waits for the end of the response.
    pub(crate) async fn post(&self, call: Call) -> Result<(), String> {
        let request = Request::builder()
            .method(Method::POST)
            .uri(&call.url)
            .header(header::CONTENT_TYPE, "application/json")
            .body(Full::from(call.arguments))
            .map_err(|error| format!("{}: {error}", call.url))?;
        let client = self.0.clone();
        let answer = async {
            let response = client.oneshot(request).await.map_err(|e| e.to_string())?;
            let body = Limited::new(response.into_body(), LONGEST_ANSWER);
            body.collect().await.map_err(|e| e.to_string())
        };
        match tokio::time::timeout(TIMEOUT, answer).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(format!("{}: {error}", call.url)),
            Err(_) => Err(format!("{}: no answer in {TIMEOUT:?}", call.url)),
        }
    }
}

/// The maximum number of bytes read of a response.
const LONGEST_ANSWER: usize = 16 << 20;

const TIMEOUT: Duration = Duration::from_secs(10);
