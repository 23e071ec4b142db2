//! What is to be sent on, and sending it.

use std::time::Duration;

use axum::body::Bytes;
use axum::http::{Method, Request, header};
use barograph::carrier::HeadersMut;
use barograph::context::{Propagation, SpanId, TraceContext, TraceFlags, TraceId};
use barograph::propagator::Propagators;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;
use uuid::Uuid;

/// One request to be made.
pub(crate) struct Call {
    url: String,
    arguments: Vec<u8>,
}

/// The calls that a body asks for. A list inside of the list is a part of it.
pub(crate) fn calls(body: &[u8]) -> Result<Vec<Call>, String> {
    let list: Vec<Value> =
        serde_json::from_slice(body).map_err(|error| format!("expected a JSON list: {error}"))?;
    let mut calls = Vec::new();
    add(&list, &mut calls).ok_or("expected {\"url\": ..., \"arguments\": ...}")?;
    Ok(calls)
}

/// How deep it goes is limited by the reader of JSON.
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

/// The trace to go on with: that of the request, or a new one.
pub(crate) fn trace_of(received: &Propagation) -> TraceContext {
    received.trace().unwrap_or_else(|| {
        let flags = TraceFlags::SAMPLED.with(TraceFlags::RANDOM);
        let id = TraceId::new(Uuid::new_v4().as_u128()).expect("a UUID has bits of its version");
        TraceContext::from_ids(id, new_span_id(), flags)
    })
}

/// A new span of a trace.
pub(crate) fn span_in(trace: TraceContext) -> TraceContext {
    trace.with_span(new_span_id())
}

fn new_span_id() -> SpanId {
    let (_, random) = Uuid::new_v4().as_u64_pair();
    SpanId::new(random).expect("a UUID has bits of its variant")
}

/// Makes calls.
pub(crate) struct Client(legacy::Client<HttpConnector, Full<Bytes>>);

impl Client {
    pub(crate) fn new() -> Self {
        let builder = legacy::Client::builder(TokioExecutor::new());
        Client(builder.build_http())
    }

    /// Makes a call in a context, and waits for the end of the answer.
    pub(crate) async fn post(
        &self,
        call: Call,
        propagators: &Propagators,
        context: &Propagation,
    ) -> Result<(), String> {
        let mut request = Request::builder()
            .method(Method::POST)
            .uri(&call.url)
            .header(header::CONTENT_TYPE, "application/json")
            .body(Full::from(call.arguments))
            .map_err(|error| format!("{}: {error}", call.url))?;
        propagators.inject(context, &mut HeadersMut(request.headers_mut()));
        let answer = async {
            let response = self.0.request(request).await.map_err(|e| e.to_string())?;
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

/// Bytes of an answer that are read.
const LONGEST_ANSWER: usize = 16 << 20;

const TIMEOUT: Duration = Duration::from_secs(10);
