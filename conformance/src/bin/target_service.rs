//! The service that the attack tests run against. It pushes all three signals, serves many kinds of
//! requests, and retries so soon that it notices a recovered receiver within a second.
//!
//! Arguments: `protocol=grpc|http/protobuf|http/json`, and for each signal the receiver's URL,
//! `metrics=`, `traces=`, `logs=`; a signal without a URL is not pushed. `queue_dir=` is the
//! directory of the persistent queues, `queue_bytes=` their size limit, `queue=` the number of
//! spans and log records that may be queued, `request_timeout=` the time limit in milliseconds of
//! an export with all its attempts, `request_time=` the time limit in milliseconds of requests in
//! progress at shutdown.
//!
//! - `GET /orders/{id}` is an ordinary request with a span, a log record and a counter.
//! - `GET /wait/{ms}` waits, `GET /block/{ms}` blocks its worker thread for that time.
//! - `GET /series/{series}` creates this number of series of a histogram.
//! - `GET /open/{spans}` opens this number of spans, which stay open.
//! - `GET /lines/{lines}` writes this number of log lines from a separate thread.
//! - `GET /events` sends an event every 50 ms without end, `POST /shop.Orders/Watch` a gRPC
//!   message.
//! - `GET /socket` switches to a protocol that echoes what it receives.

use std::{
    convert::Infallible,
    path::Path,
    sync::{Mutex, PoisonError},
    thread,
    time::Duration,
};

use axum::{
    Router,
    body::Body,
    extract::{self, Request},
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse as _, Response},
    routing::{get, post},
};
use barograph::{
    HttpServerLayer, Telemetry, counter,
    export::{
        Client, ClientConfig, Endpoint, PersistentQueueConfig, Protocol, Push, RetryPolicy,
        Schedule, Signal,
    },
    histogram,
};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
    time::{Instant, interval_at},
};
use tokio_stream::{StreamExt as _, wrappers::IntervalStream};
use tracing::{Span, info_span};

/// Two on every machine, so that the tests know how many requests block all of them.
const WORKERS: usize = 2;
const EXPORT_INTERVAL: Duration = Duration::from_millis(100);
const REQUEST_TIMEOUT: Duration = Duration::from_millis(300);
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_millis(500);
const EVENT_INTERVAL: Duration = Duration::from_millis(50);

/// Spans that stay open.
static OPEN: Mutex<Vec<Span>> = Mutex::new(Vec::new());

fn main() -> Result<(), Box<dyn std::error::Error>> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(WORKERS)
        .enable_all()
        .build()?
        .block_on(serve())
}

async fn serve() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let argument = |name: &str| {
        let mut values = arguments.iter();
        values.find_map(|argument| argument.strip_prefix(name)?.strip_prefix('='))
    };
    let mut builder = Telemetry::builder("target");
    for (name, signal) in [
        ("metrics", Signal::Metrics),
        ("traces", Signal::Traces),
        ("logs", Signal::Logs),
    ] {
        if let Some(endpoint) = argument(name) {
            let protocol = argument("protocol").unwrap_or("http/protobuf");
            let timeout = argument("request_timeout").map(|ms| ms.parse().expect("milliseconds"));
            let timeout = timeout.map_or(REQUEST_TIMEOUT, Duration::from_millis);
            let mut push = push(signal, protocol, endpoint, timeout);
            if let Some(directory) = argument("queue_dir") {
                let mut config = PersistentQueueConfig::new();
                if let Some(bytes) = argument("queue_bytes") {
                    config = config.with_max_bytes(bytes.parse().expect("a number of bytes"));
                }
                push = push.with_persistent_queue(Path::new(directory).join(name), config);
            }
            if let Some(records) = argument("queue") {
                let records = records.parse().expect("`queue` is a number of records");
                push = push.with_queue(records, 512);
            }
            builder = builder.with_push(push);
        }
    }
    let telemetry = builder.start()?;
    let app = Router::new()
        .route("/orders/{id}", get(order))
        .route("/wait/{ms}", get(wait))
        .route("/block/{ms}", get(block))
        .route("/series/{series}", get(series))
        .route("/open/{spans}", get(open))
        .route("/lines/{lines}", get(lines))
        .route(
            "/events",
            get(|| async { events("text/event-stream", b"data: now\n\n") }),
        )
        .route(
            "/shop.Orders/Watch",
            post(|| async { events("application/grpc", b"\0\0\0\0\x03now") }),
        )
        .route("/socket", get(socket))
        .layer(HttpServerLayer::new());
    let address = std::env::var("HELLO_ADDR").unwrap_or("127.0.0.1:0".into());
    let mut server = telemetry.server(app);
    if let Some(ms) = argument("request_time") {
        let time = Duration::from_millis(ms.parse().expect("milliseconds"));
        server = server.with_request_time(time);
    }
    server.serve(TcpListener::bind(address).await?).await?;
    Ok(())
}

fn push(signal: Signal, protocol: &str, endpoint: &str, timeout: Duration) -> Push {
    let protocol = match protocol {
        "grpc" => Protocol::Grpc,
        "http/protobuf" => Protocol::HttpProtobuf,
        "http/json" => Protocol::HttpJson,
        other => panic!("there is no protocol {other}"),
    };
    let endpoint = Endpoint::parse(protocol, endpoint).expect("an endpoint that a client takes");
    let client = Client::new(ClientConfig::new(endpoint), signal).expect("a client");
    let push = match signal {
        Signal::Traces => Push::spans("otlp", client),
        Signal::Logs => Push::log_records("otlp", client),
        _ => Push::metrics("otlp", client),
    };
    push.with_schedule(
        Schedule::new()
            .with_interval(EXPORT_INTERVAL)
            .with_request_timeout(timeout),
    )
    .with_retry(
        RetryPolicy::new()
            .with_initial_interval(FIRST_PAUSE)
            .with_max_interval(LONGEST_PAUSE)
            .with_max_open(LONGEST_PAUSE),
    )
}

async fn order(extract::Path(id): extract::Path<u64>) -> String {
    counter!("orders", kind = "web").inc();
    info_span!("look up", id).in_scope(|| tracing::info!("order {id} read"));
    format!("order {id}")
}

async fn wait(extract::Path(ms): extract::Path<u64>) -> &'static str {
    tokio::time::sleep(Duration::from_millis(ms)).await;
    tracing::info!("waited for {ms} ms");
    "waited"
}

async fn block(extract::Path(ms): extract::Path<u64>) -> &'static str {
    thread::sleep(Duration::from_millis(ms));
    "blocked"
}

async fn series(extract::Path(series): extract::Path<u64>) -> &'static str {
    for number in 0..series {
        histogram!("work.size", number = number).observe(number as f64);
    }
    "made"
}

async fn open(extract::Path(spans): extract::Path<u64>) -> &'static str {
    let mut opened: Vec<Span> = (0..spans)
        .map(|number| info_span!(parent: None, "open", number))
        .collect();
    OPEN.lock()
        .unwrap_or_else(PoisonError::into_inner)
        .append(&mut opened);
    "open"
}

async fn lines(extract::Path(lines): extract::Path<u64>) -> &'static str {
    thread::spawn(move || {
        for number in 0..lines {
            tracing::info!(number, "one line of a flood");
        }
    });
    "flowing"
}

/// Sends the same event repeatedly, without end.
fn events(kind: &'static str, event: &'static [u8]) -> Response {
    let ticks = interval_at(Instant::now(), EVENT_INTERVAL);
    let events = IntervalStream::new(ticks).map(move |_| Ok::<_, Infallible>(event));
    let mut response = Response::new(Body::from_stream(events));
    let kind = HeaderValue::from_static(kind);
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

async fn socket(request: Request) -> Response {
    tokio::spawn(async move {
        let Ok(upgraded) = hyper::upgrade::on(request).await else {
            return;
        };
        let (mut stream, mut buffer) = (TokioIo::new(upgraded), [0; 1024]);
        while let Ok(length @ 1..) = stream.read(&mut buffer).await {
            if stream.write_all(&buffer[..length]).await.is_err() {
                return;
            }
        }
    });
    let headers = [(header::CONNECTION, "upgrade"), (header::UPGRADE, "echo")];
    (StatusCode::SWITCHING_PROTOCOLS, headers).into_response()
}
