//! The added cost of a trace context while exemplars are captured from it.
//!
//! oxtel captures them from the current span of `tracing`, at each observation. `prometheus-client` can
//! store exemplars that the caller makes. Both are shown and not rated: the cost of barograph is so
//! close to zero that a ratio would say nothing.

use std::ops::Range;

use barograph_core::current;
use barograph_core::registry::Registry;
use barograph_model::context::{TraceContext, TraceFlags};
use oxtel_sdk::trace::{Sampler, TracerProvider, span_context};
use tracing::{Dispatch, Span, info_span};
use tracing_subscriber::layer::SubscriberExt as _;

use crate::measure::{Difference, Done, Ops, Subject, Work};
use crate::row::{Contender, Row};
use crate::rows::histograms::{expect_page, ours_with_registry, oxtel_with};
use crate::rows::ours;
use crate::rows::oxtel::Oxtel;
use crate::workload::{BOUNDS_11, Values};

pub(crate) const ROWS: &[Row] = &[
    Row::new(
        "exemplar_unsampled_extra",
        "ns",
        "added by a trace context that is not sampled",
        || extra(TraceFlags::default()),
    ),
    Row::new(
        "exemplar_sampled_extra",
        "ns",
        "added by a sampled trace context, rate limited",
        || extra(TraceFlags::SAMPLED),
    ),
];

fn extra(flags: TraceFlags) -> Vec<Contender> {
    let context = TraceContext::new(TRACE, SPAN, flags).expect("ids are not zero");
    vec![
        Contender::ours(captured(context)),
        Contender::shown("oxtel, each time", captured_by_oxtel(flags)),
        Contender::shown("prometheus-client, by hand each time", by_hand(context)),
    ]
}

/// The same histogram without and with a context.
fn captured(context: TraceContext) -> Box<dyn Subject> {
    let (without, with) = (ours_with_registry(ours::registry()), ours::registry());
    let observed = ours_with_registry(with.clone());
    Box::new(Difference::new(
        without,
        InContext {
            observed,
            registry: with,
            context,
        },
    ))
}

/// Observes inside a trace context; the check expects an exemplar on the page only if the context
/// is sampled.
struct InContext<W> {
    observed: W,
    registry: Registry,
    context: TraceContext,
}

impl<W: Work> Work for InContext<W> {
    fn run(&self, range: Range<u64>) {
        let _guard = current::enter(self.context);
        self.observed.run(range);
    }

    fn check(&self, done: &Done) -> Result<(), String> {
        self.observed.check(done)?;
        let page = ours::open_metrics(&self.registry);
        let found = page.contains(&self.context.trace_id().to_string());
        if found == self.context.is_sampled() {
            Ok(())
        } else {
            Err(format!("exemplar on the page: {found}"))
        }
    }
}

/// The same histogram outside and inside of a span, under the same subscriber.
fn captured_by_oxtel(flags: TraceFlags) -> Box<dyn Subject> {
    let sampler = match flags.contains(TraceFlags::SAMPLED) {
        true => Sampler::AlwaysOn,
        false => Sampler::AlwaysOff,
    };
    let provider = TracerProvider::builder().with_sampler(sampler).build();
    let subscriber = tracing_subscriber::registry().with(provider.layer());
    let dispatch = Dispatch::new(subscriber);
    let span = tracing::dispatcher::with_default(&dispatch, || info_span!("request"));
    let in_span = |span| {
        let oxtel = Oxtel::new();
        InSpan {
            observed: oxtel_with(oxtel.clone()),
            oxtel,
            dispatch: dispatch.clone(),
            span,
        }
    };
    Box::new(Difference::new(in_span(Span::none()), in_span(span)))
}

/// Observes inside a span; the check expects an exemplar on the page only if the span is sampled.
struct InSpan<W> {
    observed: W,
    oxtel: Oxtel,
    dispatch: Dispatch,
    span: Span,
}

impl<W: Work> Work for InSpan<W> {
    fn run(&self, range: Range<u64>) {
        tracing::dispatcher::with_default(&self.dispatch, || {
            self.span.in_scope(|| self.observed.run(range));
        });
    }

    fn check(&self, done: &Done) -> Result<(), String> {
        self.observed.check(done)?;
        let page = self.oxtel.open_metrics();
        let context = span_context(&self.span);
        let is_on_page = |context: &oxtel_sdk::SpanContext| {
            page.contains(&format!("trace_id=\"{}\"", context.trace_id))
        };
        let found = context.as_ref().is_some_and(is_on_page);
        if found == context.is_some_and(|context| context.is_sampled()) {
            Ok(())
        } else {
            Err(format!("exemplar on the page: {found}"))
        }
    }
}

fn by_hand(context: TraceContext) -> Box<dyn Subject> {
    Box::new(Difference::new(
        with_exemplars(None),
        with_exemplars(Some(context)),
    ))
}

fn with_exemplars(context: Option<TraceContext>) -> impl Work {
    use prometheus_client::metrics::exemplar::HistogramWithExemplars;
    let histogram = HistogramWithExemplars::<[(&str, String); 1]>::new(BOUNDS_11.into_iter());
    let mut registry = prometheus_client::registry::Registry::default();
    registry.register("took", "Time.", histogram.clone());
    let values = Values::get();
    Ops::new(
        (histogram, registry),
        move |(histogram, _), at| {
            let sampled = context.filter(TraceContext::is_sampled);
            let labels = sampled.map(|context| [("trace_id", context.trace_id().to_string())]);
            histogram.observe(values.at(at), labels, None);
        },
        |(_, registry), done| {
            let mut text = String::new();
            prometheus_client::encoding::text::encode(&mut text, registry)
                .map_err(|error| error.to_string())?;
            expect_page(done, &text)
        },
    )
}

const TRACE: u128 = 0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c;
const SPAN: u64 = 0xb7ad_6b71_6920_3331;
