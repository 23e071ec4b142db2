//! Propagation of a trace context: as text, in headers, and on the thread.
//!
//! `opentelemetry_sdk` parses and formats text only together with its carrier. In those rows it is
//! shown, with a carrier that costs nothing, and not rated.

use std::hint::black_box;
use std::ops::Range;
use std::sync::Mutex;

use barograph_core::current;
use barograph_model::context::{Propagation, TraceContext, TraceFlags};
use barograph_model::propagator::{Propagator as _, W3cTraceContext};
use barograph_tower::carrier::{Headers, HeadersMut};
use http::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry::Context;
use opentelemetry::propagation::{Extractor, Injector, TextMapPropagator as _};
use opentelemetry::trace::{self as otel, TraceContextExt as _};
use opentelemetry_http::{HeaderExtractor, HeaderInjector};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use oxtel_sdk::propagation::{
    extract_trace_context, format_traceparent, inject_trace_context, parse_traceparent,
};
use oxtel_sdk::trace::{TracerProvider, attach_remote_parent, current_span_context, span_context};
use tracing::Dispatch;
use tracing_subscriber::layer::SubscriberExt as _;

use crate::measure::{Done, OneThread, Subject, Work};
use crate::row::{Contender, Row};

pub(crate) const ROWS: &[Row] = &[
    Row::new(
        "traceparent_format",
        "ns",
        "the text of a `traceparent`",
        format,
    ),
    Row::new(
        "traceparent_parse",
        "ns",
        "a `traceparent` out of its text",
        parse,
    ),
    Row::new(
        "traceparent_inject",
        "ns",
        "a context into nine headers of HTTP",
        inject,
    ),
    Row::new(
        "traceparent_extract",
        "ns",
        "a context out of nine headers of HTTP",
        extract,
    ),
    Row::new(
        "context_read",
        "ns",
        "the span that this thread is in",
        read,
    ),
];

fn format() -> Vec<Contender> {
    let ours = run(String::new(), contexts(), |text: &mut String, context| {
        text.clear();
        text.push_str(context.to_traceparent().as_str());
    });
    let theirs = run(Bare::default(), otel_contexts(), |text, context| {
        TraceContextPropagator::new().inject_context(context, text);
    });
    let oxtel = run(String::new(), oxtel_contexts(), |text, context| {
        *text = format_traceparent(context);
    });
    vec![
        Contender::ours(ours.checked(|text, last| same(text, &text_of(last)))),
        Contender::peer(
            "oxtel",
            oxtel.checked(|text, last| same(text, &text_of(last))),
        ),
        Contender::shown(
            "opentelemetry_sdk, no headers",
            theirs.checked(|text, last| same(&text.0, &text_of(last))),
        ),
    ]
}

fn parse() -> Vec<Contender> {
    let ours = run(None, texts(), |read, text: &String| {
        *read = TraceContext::parse_traceparent(text).ok();
    });
    let bare: Vec<_> = texts().into_iter().map(Bare).collect();
    let theirs = run(Context::new(), bare, |read, text| {
        *read = TraceContextPropagator::new().extract(text);
    });
    let oxtel = run(None, texts(), |read, text: &String| {
        *read = parse_traceparent(text);
    });
    vec![
        Contender::ours(ours.checked(|read, last| same(read, &Some(last)))),
        Contender::peer(
            "oxtel",
            oxtel.checked(|read, last| {
                let context = oxtel_context(&last);
                let expected = (context.trace_id, context.span_id, context.flags);
                same(read, &Some(expected))
            }),
        ),
        Contender::shown(
            "opentelemetry_sdk, no headers",
            theirs.checked(|read, last| same(&span_of(read), &last.span_id().get())),
        ),
    ]
}

fn inject() -> Vec<Contender> {
    let sent: Vec<_> = contexts().into_iter().map(Propagation::from).collect();
    let ours = run(headers(None), sent, |headers, context| {
        W3cTraceContext.inject(context, &mut HeadersMut(headers));
    });
    let theirs = run(headers(None), otel_contexts(), |headers, context| {
        TraceContextPropagator::new().inject_context(context, &mut HeaderInjector(headers));
    });
    let oxtel = run(headers(None), oxtel_contexts(), |headers, context| {
        inject_trace_context(context, headers);
    });
    let check = |headers: &HeaderMap, last| {
        let written = headers
            .get("traceparent")
            .and_then(|value| value.to_str().ok());
        same(&written, &Some(&text_of(last)))
    };
    vec![
        Contender::ours(ours.checked(check)),
        Contender::peer("oxtel", oxtel.checked(check)),
        Contender::peer("opentelemetry_sdk", theirs.checked(check)),
    ]
}

fn extract() -> Vec<Contender> {
    let received = || texts().iter().map(|text| headers(Some(text))).collect();
    let ours = run(Propagation::default(), received(), |read, headers| {
        *read = Propagation::default();
        W3cTraceContext.extract(&Headers(headers), read);
    });
    let theirs = run(Context::new(), received(), |read, headers| {
        *read = TraceContextPropagator::new().extract(&HeaderExtractor(headers));
    });
    let oxtel = run(None, received(), |read, headers: &HeaderMap| {
        *read = extract_trace_context(headers);
    });
    vec![
        Contender::ours(ours.checked(|read, last| same(&read.trace(), &Some(last)))),
        Contender::peer(
            "oxtel",
            oxtel.checked(|read, last| same(read, &Some(oxtel_context(&last)))),
        ),
        Contender::peer(
            "opentelemetry_sdk",
            theirs.checked(|read, last| same(&span_of(read), &last.span_id().get())),
        ),
    ]
}

/// Enters the context once per batch, and reads it in each operation.
fn read() -> Vec<Contender> {
    let context = contexts()[0];
    let each = context.trace_id().get() as u64 ^ context.span_id().get() ^ 1;
    let ours = Entered {
        enter: move || current::enter(context),
        read: || {
            current::context().map_or(0, |context| {
                let trace = context.trace_id().get() as u64;
                trace ^ context.span_id().get() ^ u64::from(context.is_sampled())
            })
        },
        each,
        sum: Mutex::new(0),
    };
    let theirs = Entered {
        enter: move || otel_context(&context).attach(),
        read: || {
            Context::map_current(|context| {
                let span = context.span();
                let span = span.span_context();
                let [trace, id] = numbers(span);
                trace ^ id ^ u64::from(span.is_sampled())
            })
        },
        each,
        sum: Mutex::new(0),
    };
    vec![
        Contender::ours(Box::new(OneThread::new(ours))),
        Contender::peer("oxtel", Box::new(OneThread::new(oxtel_read(context)))),
        Contender::peer("opentelemetry", Box::new(OneThread::new(theirs))),
    ]
}

/// The library has the context of a span in the extensions of the registry, so the thread is in a
/// span of `tracing`, whose parent is this context.
fn oxtel_read(parent: TraceContext) -> impl Work {
    let provider = TracerProvider::builder().build();
    let subscriber = tracing_subscriber::registry().with(provider.layer());
    let dispatch = Dispatch::new(subscriber);
    let span = tracing::dispatcher::with_default(&dispatch, || {
        let _parent = attach_remote_parent(oxtel_context(&parent));
        tracing::info_span!("request")
    });
    let number = |context: &oxtel_sdk::SpanContext| {
        let trace = u128::from_be_bytes(context.trace_id.to_bytes()) as u64;
        let id = u64::from_be_bytes(context.span_id.to_bytes());
        trace ^ id ^ u64::from(context.is_sampled())
    };
    Entered {
        each: span_context(&span).as_ref().map_or(0, number),
        enter: move || {
            // The span is left before the subscriber.
            let subscriber = tracing::dispatcher::set_default(&dispatch);
            (span.clone().entered(), subscriber)
        },
        read: move || current_span_context().as_ref().map_or(0, number),
        sum: Mutex::new(0),
    }
}

struct Entered<E, R> {
    enter: E,
    read: R,
    /// The number that each read returns.
    each: u64,
    sum: Mutex<u64>,
}

impl<G, E, R> Work for Entered<E, R>
where
    E: Fn() -> G + Send + Sync,
    R: Fn() -> u64 + Send + Sync,
{
    fn run(&self, range: Range<u64>) {
        let _guard = (self.enter)();
        let mut sum = 0_u64;
        for _ in range {
            sum = sum.wrapping_add((self.read)());
            // Hides from the optimizer that the context has not changed since the last operation.
            black_box(());
        }
        let mut total = self.sum.lock().expect("nobody panicked");
        *total = total.wrapping_add(sum);
    }

    fn check(&self, done: &Done) -> Result<(), String> {
        let expected = self.each.wrapping_mul(done.operations());
        same(&*self.sum.lock().expect("nobody panicked"), &expected)
    }
}

fn run<S, I, O>(state: S, inputs: Vec<I>, operation: O) -> Loop<S, I, O>
where
    O: Fn(&mut S, &I) + Send + Sync + 'static,
{
    Loop {
        state: Mutex::new(state),
        inputs,
        operation,
    }
}

/// An operation on one state with a sequence of inputs.
struct Loop<S, I, O> {
    state: Mutex<S>,
    inputs: Vec<I>,
    operation: O,
}

impl<S, I, O> Loop<S, I, O>
where
    S: Send + 'static,
    I: Send + Sync + 'static,
    O: Fn(&mut S, &I) + Send + Sync + 'static,
{
    /// Returns a subject that checks the state after the last operation against the context of that
    /// operation.
    fn checked(
        self,
        check: impl Fn(&S, TraceContext) -> Result<(), String> + Send + Sync + 'static,
    ) -> Box<dyn Subject> {
        Box::new(OneThread::new(Checked { work: self, check }))
    }
}

struct Checked<W, C> {
    work: W,
    check: C,
}

impl<S, I, O, C> Work for Checked<Loop<S, I, O>, C>
where
    S: Send,
    I: Send + Sync,
    O: Fn(&mut S, &I) + Send + Sync,
    C: Fn(&S, TraceContext) -> Result<(), String> + Send + Sync,
{
    fn run(&self, range: Range<u64>) {
        let mut state = self.work.state.lock().expect("nobody panicked");
        for at in range {
            let input = &self.work.inputs[at as usize % self.work.inputs.len()];
            (self.work.operation)(&mut state, black_box(input));
            black_box(&mut *state);
        }
    }

    fn check(&self, Done(ranges): &Done) -> Result<(), String> {
        let last = ranges.last().map_or(0, |range| range.end - 1);
        let state = self.work.state.lock().expect("nobody panicked");
        (self.check)(&state, contexts()[last as usize % CONTEXTS])
    }
}

fn same<T: PartialEq + std::fmt::Debug>(found: &T, expected: &T) -> Result<(), String> {
    if found == expected {
        Ok(())
    } else {
        Err(format!("{found:?}, {expected:?} expected"))
    }
}

/// Few enough that their headers stay in the cache, like those of a request that was just read.
const CONTEXTS: usize = 16;

fn contexts() -> Vec<TraceContext> {
    let mut number = 0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c_u128;
    (0..CONTEXTS)
        .map(|_| {
            number = number.wrapping_mul(0x2d99_787d_5ab5_3a4d_9d1c_2f4b_6e0f_8c35) ^ number >> 61;
            let span = (number >> 32) as u64;
            TraceContext::new(number, span, TraceFlags::SAMPLED).expect("ids are not zero")
        })
        .collect()
}

fn texts() -> Vec<String> {
    contexts().into_iter().map(text_of).collect()
}

fn text_of(context: TraceContext) -> String {
    let (trace, span) = (context.trace_id().get(), context.span_id().get());
    format!("00-{trace:032x}-{span:016x}-01")
}

fn otel_contexts() -> Vec<Context> {
    contexts().iter().map(otel_context).collect()
}

fn otel_context(context: &TraceContext) -> Context {
    Context::new().with_remote_span_context(otel::SpanContext::new(
        otel::TraceId::from(context.trace_id().get()),
        otel::SpanId::from(context.span_id().get()),
        otel::TraceFlags::SAMPLED,
        true,
        otel::TraceState::NONE,
    ))
}

fn oxtel_contexts() -> Vec<oxtel_sdk::SpanContext> {
    contexts().iter().map(oxtel_context).collect()
}

fn oxtel_context(context: &TraceContext) -> oxtel_sdk::SpanContext {
    oxtel_sdk::SpanContext {
        trace_id: oxtel_sdk::TraceId::from_bytes(context.trace_id().get().to_be_bytes()),
        span_id: oxtel_sdk::SpanId::from_bytes(context.span_id().get().to_be_bytes()),
        flags: oxtel_sdk::TraceFlags::SAMPLED,
        trace_state: oxtel_sdk::TraceState::EMPTY,
        is_remote: true,
    }
}

fn span_of(context: &Context) -> u64 {
    numbers(context.span().span_context())[1]
}

/// Returns the lower half of the trace id, and the span id.
fn numbers(context: &otel::SpanContext) -> [u64; 2] {
    let trace = u128::from_be_bytes(context.trace_id().to_bytes());
    let span = u64::from_be_bytes(context.span_id().to_bytes());
    [trace as u64, span]
}

/// Returns the headers of a request to a service behind a proxy: eight, and `traceparent` as the
/// last one if there is any.
fn headers(traceparent: Option<&str>) -> HeaderMap {
    let others = [
        ("host", "shop.example.com"),
        (
            "user-agent",
            "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
        ),
        ("accept", "application/json"),
        ("accept-encoding", "gzip, deflate, br, zstd"),
        ("content-type", "application/json"),
        ("content-length", "118"),
        ("x-request-id", "7b44c2a0-5a6f-4c55-9a0e-6f1f3b5e8a11"),
        ("x-forwarded-for", "203.0.113.7"),
    ];
    let traceparent = traceparent.map(|text| ("traceparent", text));
    let all = others.into_iter().chain(traceparent);
    all.map(|(name, value)| {
        let value = HeaderValue::from_str(value).expect("plain text");
        (HeaderName::from_static(name), value)
    })
    .collect()
}

/// A carrier with one header, which has the lowest possible cost.
#[derive(Default)]
struct Bare(String);

impl Injector for Bare {
    fn set(&mut self, name: &str, value: String) {
        if name == "traceparent" {
            self.0 = value;
        }
    }
}

impl Extractor for Bare {
    fn get(&self, name: &str) -> Option<&str> {
        (name == "traceparent").then_some(&self.0)
    }

    fn keys(&self) -> Vec<&str> {
        vec!["traceparent"]
    }
}
