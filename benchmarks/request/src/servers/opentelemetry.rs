//! The service with the usual OpenTelemetry crates: the SDK, `tracing-opentelemetry`, and
//! middleware written by hand after their examples.
//!
//! Sampler, receiver and intervals come from the environment, as for barograph. It has no
//! exemplars, and no ids in its log line.

use std::error::Error;
use std::time::Instant;

use axum::extract::{MatchedPath, Path, Request, State};
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::{Router, routing::get};
use opentelemetry::metrics::{Counter, Histogram, MeterProvider as _, UpDownCounter};
use opentelemetry::trace::TracerProvider as _;
use opentelemetry::{KeyValue, global};
use opentelemetry_http::HeaderExtractor;
use opentelemetry_otlp::{MetricExporter, SpanExporter};
use opentelemetry_sdk::metrics::{PeriodicReader, SdkMeterProvider};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tokio::net::TcpListener;
use tower_http::trace::TraceLayer;
use tracing::level_filters::LevelFilter;
use tracing::{Span, field};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

pub(super) async fn serve(listener: TcpListener) -> Result<(), Box<dyn Error>> {
    global::set_text_map_propagator(TraceContextPropagator::new());
    // The exporters' client blocks when it is created, which is not permitted inside the runtime.
    let (spans, metrics) = tokio::task::spawn_blocking(|| {
        let spans = SpanExporter::builder().with_http().build();
        let metrics = MetricExporter::builder().with_http().build();
        spans.and_then(|spans| Ok((spans, metrics?)))
    })
    .await??;
    let tracers = SdkTracerProvider::builder()
        .with_batch_exporter(spans)
        .build();
    let meters = SdkMeterProvider::builder()
        .with_reader(PeriodicReader::builder(metrics).build())
        .build();
    tracing_subscriber::registry()
        .with(LevelFilter::INFO)
        .with(tracing_opentelemetry::layer().with_tracer(tracers.tracer("shop")))
        .with(
            tracing_subscriber::fmt::layer()
                .json()
                .with_writer(std::io::stderr),
        )
        .init();
    let meter = meters.meter("shop");
    let requests = Requests {
        duration: meter
            .f64_histogram("http.server.request.duration")
            .with_unit("s")
            .with_boundaries(BOUNDS.to_vec())
            .build(),
        active: meter
            .i64_up_down_counter("http.server.active_requests")
            .with_unit("{request}")
            .build(),
    };
    let orders = meter.u64_counter("orders").build();
    let traces = TraceLayer::new_for_http()
        .make_span_with(span_of)
        .on_request(())
        .on_response(|response: &Response, _, span: &Span| {
            let status = response.status();
            span.record("http.response.status_code", status.as_u16());
            if status.is_server_error() {
                span.record("otel.status_code", "ERROR");
            }
        })
        .on_body_chunk(())
        .on_eos(());
    let app = Router::new()
        .route("/orders/{id}", get(order))
        .with_state(orders)
        .layer(middleware::from_fn_with_state(requests, record))
        .layer(traces);
    axum::serve(listener, app)
        .with_graceful_shutdown(super::stopped())
        .await?;
    // So that the receiver gets everything.
    tokio::task::spawn_blocking(move || tracers.shutdown().and(meters.shutdown())).await??;
    Ok(())
}

async fn order(State(orders): State<Counter<u64>>, Path(id): Path<u64>) -> String {
    orders.add(1, &[KeyValue::new("kind", "web")]);
    tracing::info!(id, "order read");
    format!("order {id}")
}

/// Creates the span of a request, with the attributes of the semantic conventions.
fn span_of(request: &Request) -> Span {
    let method = request.method().as_str();
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map(MatchedPath::as_str);
    let header = |name| {
        let value = request.headers().get(name)?;
        value.to_str().ok()
    };
    let span = tracing::info_span!(
        "http_server",
        otel.name = format!("{method} {}", route.unwrap_or_default()),
        otel.kind = "server",
        otel.status_code = field::Empty,
        http.request.method = method,
        http.route = route,
        http.response.status_code = field::Empty,
        url.path = request.uri().path(),
        url.query = request.uri().query(),
        url.scheme = "http",
        server.address = header("host"),
        network.protocol.version = "1.1",
        user_agent.original = header("user-agent"),
    );
    let parent = global::get_text_map_propagator(|propagator| {
        propagator.extract(&HeaderExtractor(request.headers()))
    });
    // Setting the parent fails if the span is disabled.
    let _ = span.set_parent(parent);
    span
}

#[derive(Clone)]
struct Requests {
    duration: Histogram<f64>,
    active: UpDownCounter<i64>,
}

/// Records the metrics of a request.
async fn record(State(requests): State<Requests>, request: Request, next: Next) -> Response {
    let start = Instant::now();
    let method = KeyValue::new("http.request.method", request.method().to_string());
    let scheme = KeyValue::new("url.scheme", "http");
    let route = request.extensions().get::<MatchedPath>();
    let route = route.map_or("", MatchedPath::as_str).to_owned();
    let active = [method.clone(), scheme.clone()];
    requests.active.add(1, &active);
    let response = next.run(request).await;
    requests.active.add(-1, &active);
    let labels = [
        method,
        KeyValue::new("http.route", route),
        KeyValue::new(
            "http.response.status_code",
            i64::from(response.status().as_u16()),
        ),
        scheme,
    ];
    let seconds = start.elapsed().as_secs_f64();
    requests.duration.record(seconds, &labels);
    response
}

/// The bounds that the semantic conventions recommend, as in barograph.
const BOUNDS: [f64; 14] = [
    0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0,
];
