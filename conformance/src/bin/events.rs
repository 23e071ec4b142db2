//! A service that produces every kind of span and log record, and answers with their ids.
//!
//! - `GET /work/{numbers}/{rounds}` runs this number of rounds on each of several threads at once;
//!   for each round it returns the ids of its spans by name. `numbers` is `all`, or `finite` for
//!   finite numbers only.
//! - `GET /open/{spans}` opens this number of spans, which stay open.
//! - `GET /storm/{spans}` opens and closes this number of spans on each of several threads, as fast
//!   as it can, and logs a line in each.

use std::{
    error::Error,
    fmt,
    sync::{Mutex, PoisonError},
    thread,
};

use axum::{Router, extract::Path, routing::get};
use barograph::{
    SpanExt as _, Telemetry,
    context::{Propagation, TraceContext, TraceState},
    span::{AnyValue, Attribute, SpanLink},
};
use serde_json::{Value, json};
use tracing::{Span, field::Empty, info_span};

const THREADS: u64 = 4;

/// The `traceparent` and `tracestate` of a request from another process.
const CALLER: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const STATE: &str = "vendor=opaque,other@system=1";

/// Spans that stay open.
static OPEN: Mutex<Vec<Span>> = Mutex::new(Vec::new());

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let telemetry = Telemetry::builder("events").start()?;
    let app = Router::new()
        .route("/work/{numbers}/{rounds}", get(work))
        .route("/open/{spans}", get(open))
        .route("/storm/{spans}", get(storm));
    let address = std::env::var("HELLO_ADDR").unwrap_or("127.0.0.1:0".into());
    telemetry.serve(app, address).await?;
    Ok(())
}

async fn work(Path((numbers, rounds)): Path<(String, u64)>) -> String {
    let share = if numbers == "all" { f64::NAN } else { 0.0 };
    let rounds = on_threads(move |thread| {
        let numbers = 0..rounds;
        let numbers = numbers.map(|number| round(thread * rounds + number, share));
        numbers.collect()
    });
    json!(rounds.await).to_string()
}

async fn open(Path(spans): Path<u64>) -> String {
    let root = info_span!(target: "conformance", parent: None, "open root");
    let inside = |number| info_span!(target: "conformance", parent: &root, "open", number);
    let mut spans: Vec<Span> = (1..spans).map(inside).collect();
    spans.push(root);
    let ids: Vec<Value> = spans.iter().map(ids).collect();
    OPEN.lock()
        .unwrap_or_else(PoisonError::into_inner)
        .append(&mut spans);
    json!(ids).to_string()
}

async fn storm(Path(spans): Path<u64>) -> String {
    let done = on_threads(move |_| {
        for number in 0..spans {
            info_span!(target: "conformance", parent: None, "drop", number).in_scope(|| {
                tracing::info!(target: "conformance", number, "falls");
            });
        }
        vec![spans]
    });
    json!(done.await).to_string()
}

/// Runs the function on several threads and returns the results of all of them.
async fn on_threads<T: Send + 'static>(
    f: impl Fn(u64) -> Vec<T> + Send + Sync + 'static,
) -> Vec<T> {
    let run = move || {
        thread::scope(|scope| {
            let f = &f;
            let threads = (0..THREADS).map(|thread| scope.spawn(move || f(thread)));
            let threads: Vec<_> = threads.collect();
            let made = threads.into_iter().flat_map(|made| made.join());
            made.flatten().collect()
        })
    };
    tokio::task::spawn_blocking(run).await.unwrap_or_default()
}

fn ids(span: &Span) -> Value {
    let context = span.trace_context();
    context.map_or(Value::Null, |context| {
        json!([
            context.trace_id().to_string(),
            context.span_id().to_string()
        ])
    })
}

fn round(number: u64, nothing: f64) -> Value {
    let root = info_span!(
        target: "conformance", parent: None, "root",
        otel.name = "GET /round/{number}", otel.kind = "server", number,
        text = "ø \"quoted\"\n\u{1}", empty = "", negative = i64::MIN, large = u64::MAX,
        huge = i128::MIN, share = 0.1, nothing, yes = true, no = false,
        shown = %format_args!("{}-{}", 1, 2), debugged = ?Some("x"), late = Empty, never = Empty,
    );
    root.record("late", "now");
    root.set_attribute("list", vec!["a", "", "c"]);
    root.set_attribute("bytes", AnyValue::Bytes([0, 255, 10].into()));
    let inner = Attribute::new("inner", vec![1_i64, -1]);
    root.set_attribute("map", AnyValue::Map([inner].into()));
    let entered = root.enter();
    tracing::info!(target: "conformance", number, place = "root", "in the root");
    let (child, sibling) = nested(number);
    drop(entered);
    tracing::warn!(target: "conformance", parent: &root, number, place = "parent", "given a parent");
    let failed = failing(number, &root);
    let remote = continued(number);
    json!({
        "root": ids(&root), "child": child, "sibling": sibling, "failed": failed, "remote": remote,
    })
}

/// Makes spans that take their parent from the thread, with events, links and records of every
/// level.
fn nested(number: u64) -> (Value, Value) {
    let sibling =
        info_span!(target: "conformance::deep", "sibling", otel.kind = "producer", number);
    let child = info_span!(target: "conformance::deep", "child", otel.kind = "client", number);
    child.follows_from(&sibling);
    let (far, state) = caller();
    let mut link = SpanLink::new(far);
    link.trace_state = state;
    link.attributes = vec![Attribute::new("why", "told")];
    child.add_link(link);
    child.add_event("cache.miss", vec![Attribute::new("key", number)]);
    child.in_scope(|| {
        tracing::trace!(target: "conformance", number, place = "trace", "a step");
        tracing::debug!(target: "conformance", number, place = "debug", "a guess");
        tracing::info!(
            target: "conformance", number, place = "info", event.name = "order.placed",
            negative = -7, large = u64::MAX, share = 0.5, yes = true, text = "a\tb",
            "an order",
        );
        tracing::warn!(target: "conformance", number, place = "warn", debugged = ?[1, 2], "{}", "a doubt");
        tracing::error!(
            target: "conformance", number, place = "error", error = &Outer as &dyn Error, "a failure",
        );
        tracing::info!(target: "conformance", parent: None, number, place = "nowhere", "without a span");
        log::warn!(target: "conformance::log", "by the log crate, round {number}");
    });
    (ids(&child), ids(&sibling))
}

/// Makes a span that fails and whose parent is set explicitly.
fn failing(number: u64, root: &Span) -> Value {
    let span = info_span!(
        target: "conformance", parent: root, "failed", number, error = &Outer as &dyn Error,
        otel.kind = "consumer", otel.status_code = Empty, otel.status_description = Empty,
    );
    span.record("otel.status_code", "error");
    span.record("otel.status_description", "no stock");
    ids(&span)
}

/// Makes a span whose parent is in another process, and which ends on a different thread than it
/// began on.
fn continued(number: u64) -> Value {
    let span = info_span!(target: "conformance", parent: None, "continued", number, otel.status_code = "ok");
    let (caller, state) = caller();
    span.set_parent(Propagation::from(caller).with_tracestate(state));
    let ids = ids(&span);
    let ended = thread::spawn(move || {
        span.in_scope(|| tracing::info!(target: "conformance", number, place = "thread", "moved"));
    });
    ended.join().expect("a thread that ends");
    ids
}

/// Returns the trace context and trace state of a request from another process.
fn caller() -> (TraceContext, TraceState) {
    const WELL_FORMED: &str = "both are well formed";
    let caller = TraceContext::parse_traceparent(CALLER).expect(WELL_FORMED);
    let state = TraceState::parse([STATE]).expect(WELL_FORMED);
    (caller.as_remote(), state)
}

/// An error with another error as its source.
#[derive(Debug)]
struct Outer;

#[derive(Debug)]
struct Inner;

impl fmt::Display for Outer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("could not reserve")
    }
}

impl fmt::Display for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the shelf is empty")
    }
}

impl Error for Outer {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&Inner)
    }
}

impl Error for Inner {}
