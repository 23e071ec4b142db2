//! The added cost of observing an operation: a span, a duration with two labels, a count of errors.
//!
//! The operation is an async block that is immediately ready, so that only the instrumentation is
//! measured. No peer does all of it in one call; each is what a service writes by hand, with a span
//! of `tracing` and instruments that are held or looked up as the documentation shows.

use std::future::Future;
use std::hint::black_box;
use std::ops::Range;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use barograph_core::registry::Registry;
use barograph_tracing::observe;
use metrics_exporter_prometheus::PrometheusBuilder;
use opentelemetry::KeyValue;
use tracing::Instrument as _;
use tracing_subscriber::layer::SubscriberExt as _;

use crate::measure::{Done, Ops, Subject, Threads, Work, expect};
use crate::row::{Contender, Row};
use crate::rows::otel::Otel;
use crate::rows::oxtel::Oxtel;
use crate::workload::BOUNDS_11;

pub(crate) const ROWS: &[Row] = &[
    Row::new(
        "observe_overhead",
        "ns",
        "an operation with a duration and a span that nobody subscribes to",
        contenders::<Nobody>,
    ),
    Row::new(
        "observe_overhead_span",
        "ns",
        "the same with a bare registry of spans as subscriber",
        contenders::<Spans>,
    ),
    Row::new(
        "observe_overhead_off",
        "ns",
        "an observed operation where nothing is recorded and nobody subscribes",
        off,
    ),
];

/// The subscriber that receives the spans.
trait Subscriber: Send + Sync + 'static {
    fn run(f: impl FnOnce());
}

struct Nobody;

impl Subscriber for Nobody {
    fn run(f: impl FnOnce()) {
        f();
    }
}

struct Spans;

impl Subscriber for Spans {
    fn run(f: impl FnOnce()) {
        // A layer that enables every span, and does nothing with it.
        struct Layer;
        impl<S: tracing::Subscriber> tracing_subscriber::Layer<S> for Layer {}
        let spans = tracing_subscriber::registry().with(Layer);
        tracing::subscriber::with_default(spans, f);
    }
}

fn contenders<S: Subscriber>() -> Vec<Contender> {
    fn one<S: Subscriber>(work: impl Work + 'static) -> Box<dyn Subject> {
        Threads::One.run(Subscribed::<_, S>(work, std::marker::PhantomData))
    }
    vec![
        Contender::ours(one::<S>(function("Function"))),
        Contender::peer("tracing + metrics", one::<S>(metrics())),
        Contender::peer("tracing + oxtel", one::<S>(oxtel())),
        Contender::peer("tracing + otel", one::<S>(otel())),
        Contender::peer("tracing + otel-bound", one::<S>(otel_bound())),
        Contender::peer("tracing + prometheus", one::<S>(prometheus())),
        Contender::shown("ours, #[observe]", one::<S>(attribute())),
        Contender::shown("ours, guard", one::<S>(guard())),
        Contender::shown("tracing alone", one::<S>(span_alone())),
    ]
}

fn off() -> Vec<Contender> {
    vec![
        Contender::ours(Threads::One.run(disabled())),
        Contender::shown("not observed", Threads::One.run(bare())),
    ]
}

struct Subscribed<W, S>(W, std::marker::PhantomData<S>);

impl<W: Work, S: Subscriber> Work for Subscribed<W, S> {
    fn run(&self, range: Range<u64>) {
        S::run(|| self.0.run(range));
    }

    fn check(&self, done: &Done) -> Result<(), String> {
        self.0.check(done)
    }
}

/// The observed operation.
async fn operation(at: u64) -> Result<u64, std::num::ParseIntError> {
    Ok(black_box(at))
}

#[inline(always)]
fn now<F: Future>(future: F) -> F::Output {
    let mut cx = Context::from_waker(Waker::noop());
    match pin!(future).poll(&mut cx) {
        Poll::Ready(output) => output,
        Poll::Pending => unreachable!("it is ready at once"),
    }
}

fn function(service: &'static str) -> impl Work {
    Ops::new(
        (service, recorded(service)),
        |(service, _), at| {
            let _ = black_box(now(observe::observe(service, "GetUser", operation(at))));
        },
        |(service, before), done| done.expect_total(1.0, recorded(service) - before),
    )
}

fn attribute() -> impl Work {
    #[observe::observe(crate = "barograph_tracing", service = "Attribute", name = "GetUser")]
    async fn observed(at: u64) -> Result<u64, std::num::ParseIntError> {
        operation(at).await
    }
    Ops::new(
        recorded("Attribute"),
        |_, at| {
            let _ = black_box(now(observed(at)));
        },
        |before, done| done.expect_total(1.0, recorded("Attribute") - before),
    )
}

fn guard() -> impl Work {
    Ops::new(
        ("Guard", recorded("Guard")),
        |(service, _), at| {
            let guard = observe::begin(service, "GetUser");
            guard.finish(&black_box(now(operation(at))));
        },
        |(service, before), done| done.expect_total(1.0, recorded(service) - before),
    )
}

/// The count in the global registry, which includes that of rows that ran before.
fn recorded(service: &str) -> f64 {
    let labels = [
        ("operation.service", service),
        ("operation.name", "GetUser"),
    ];
    let points = Registry::global().value("operation.duration", &labels);
    points.unwrap_or(0.0)
}

/// The exporter keeps raw samples until they are drained, which is part of the cost of an
/// observation.
fn metrics() -> impl Work {
    let recorder = PrometheusBuilder::new()
        .set_buckets(&BOUNDS_11)
        .expect("there are bounds")
        .build_recorder();
    let (drained, page) = (recorder.handle(), recorder.handle());
    Recorded {
        recorder,
        upkeep: move || drained.run_upkeep(),
        page: move || page.render(),
    }
}

fn oxtel() -> impl Work {
    let oxtel = Oxtel::new();
    Recorded {
        recorder: oxtel.recorder().clone(),
        upkeep: || {},
        page: move || oxtel.page(),
    }
}

/// The macros of `metrics`, with this recorder.
struct Recorded<R, U, P> {
    recorder: R,
    upkeep: U,
    page: P,
}

impl<R, U, P> Work for Recorded<R, U, P>
where
    R: metrics::Recorder + Send + Sync,
    U: Fn() + Send + Sync,
    P: Fn() -> String + Send + Sync,
{
    fn run(&self, range: Range<u64>) {
        metrics::with_local_recorder(&self.recorder, || {
            for at in range {
                let observed = async {
                    let start = Instant::now();
                    let output = operation(at).await;
                    let labels = [("service", "UserService"), ("operation", "GetUser")];
                    metrics::histogram!("took", &labels).record(start.elapsed().as_secs_f64());
                    if output.is_err() {
                        metrics::counter!("errors", &labels).increment(1);
                    }
                    output
                };
                let _ = black_box(now(observed.instrument(tracing::info_span!("GetUser"))));
                if at % 65_536 == 0 {
                    (self.upkeep)();
                }
            }
        });
    }

    fn check(&self, done: &Done) -> Result<(), String> {
        expect_page(done, &(self.page)())
    }
}

fn otel() -> impl Work {
    let otel = Otel::new();
    let meter = otel.meter();
    let took = meter
        .f64_histogram("took")
        .with_boundaries(BOUNDS_11.to_vec());
    let (took, errors) = (took.build(), meter.u64_counter("errors").build());
    Ops::new(
        (took, errors, otel),
        |(took, errors, _), at| {
            let observed = async {
                let start = Instant::now();
                let output = operation(at).await;
                let labels = [
                    KeyValue::new("service", "UserService"),
                    KeyValue::new("operation", "GetUser"),
                ];
                took.record(start.elapsed().as_secs_f64(), &labels);
                if output.is_err() {
                    errors.add(1, &labels);
                }
                output
            };
            let _ = black_box(now(observed.instrument(tracing::info_span!("GetUser"))));
        },
        |(_, _, otel), done| expect_page(done, &otel.page()),
    )
}

fn otel_bound() -> impl Work {
    let otel = Otel::new();
    let meter = otel.meter();
    let labels = [
        KeyValue::new("service", "UserService"),
        KeyValue::new("operation", "GetUser"),
    ];
    let took = meter
        .f64_histogram("took")
        .with_boundaries(BOUNDS_11.to_vec());
    let took = took.build().bind(&labels);
    let errors = meter.u64_counter("errors").build().bind(&labels);
    Ops::new(
        (took, errors, otel),
        |(took, errors, _), at| {
            let observed = async {
                let start = Instant::now();
                let output = operation(at).await;
                took.record(start.elapsed().as_secs_f64());
                if output.is_err() {
                    errors.add(1);
                }
                output
            };
            let _ = black_box(now(observed.instrument(tracing::info_span!("GetUser"))));
        },
        |(_, _, otel), done| expect_page(done, &otel.page()),
    )
}

fn prometheus() -> impl Work {
    let options = prometheus::HistogramOpts::new("took", "Time.").buckets(BOUNDS_11.to_vec());
    let labels = ["service", "operation"];
    let took = prometheus::HistogramVec::new(options, &labels).expect("valid options");
    let options = prometheus::Opts::new("errors", "Errors.");
    let errors = prometheus::IntCounterVec::new(options, &labels).expect("valid options");
    Ops::new(
        (took, errors),
        |(took, errors), at| {
            let observed = async {
                let start = Instant::now();
                let output = operation(at).await;
                let labels = ["UserService", "GetUser"];
                let took = took.with_label_values(&labels);
                took.observe(start.elapsed().as_secs_f64());
                if output.is_err() {
                    errors.with_label_values(&labels).inc();
                }
                output
            };
            let _ = black_box(now(observed.instrument(tracing::info_span!("GetUser"))));
        },
        |(took, _), done| {
            let took = took.with_label_values(&["UserService", "GetUser"]);
            expect(
                "count",
                done.operations() as f64,
                took.get_sample_count() as f64,
            )
        },
    )
}

fn span_alone() -> impl Work {
    Ops::new(
        (),
        |(), at| {
            let span = tracing::info_span!("GetUser");
            let _ = black_box(now(operation(at).instrument(span)));
        },
        |(), _| Ok(()),
    )
}

fn bare() -> impl Work {
    Ops::new(
        (),
        |(), at| {
            let _ = black_box(now(operation(at)));
        },
        |(), _| Ok(()),
    )
}

/// This row is the last one, since nothing is recorded in the global registry after it.
fn disabled() -> impl Work {
    Registry::global().disable();
    Ops::new(
        "Disabled",
        |service, at| {
            let _ = black_box(now(observe::observe(service, "GetUser", operation(at))));
        },
        |service, _| expect("points", 0.0, recorded(service)),
    )
}

fn expect_page(done: &Done, text: &str) -> Result<(), String> {
    let line = text.lines().find(|line| line.starts_with("took_count{"));
    let count = line.and_then(|line| line.rsplit(' ').next()?.parse().ok());
    let count: f64 = count.ok_or("no count on the page")?;
    expect("count", done.operations() as f64, count)
}
