//! Whoever hears `tracing`: what makes spans, log records and lines on the terminal of it.
//!
//! Each of the three has a filter of its own, so that fewer lines do not make traces thinner. They are
//! installed together, unless the service has set a subscriber before; then it takes the
//! [`layer`](crate::Telemetry::layer) into its own.

use std::io::{self, IsTerminal as _};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use barograph_core::report;
use barograph_edge::filter::{Filter, InvalidFilter, LevelHandle};
use barograph_edge::log::{
    Colors, Format, LogLayer, LogLimits, RateLimit, Terminal, TerminalLayer,
};
use barograph_edge::redact::Redaction;
use barograph_edge::sampling::Sampler;
use barograph_edge::sampling::keep::Keep;
use barograph_edge::trace::{Events, SpanLimits, SpanMetrics, TraceHandle, TraceLayer};
use barograph_model::suppression;
use tracing::subscriber::NoSubscriber;
use tracing::{Subscriber, dispatcher};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::FilterExt;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::registry::LookupSpan;

use crate::config::Config;
use crate::diagnostics::{self, Witness, hide_probe};
use crate::env::Notice;
use crate::events_env::limits::Limits;
use crate::events_env::output::{self, Output};
use crate::late::Late;
use crate::own::Watched;
use crate::push::Pushes;
use crate::stderr::{self, Stderr};

/// Whether somebody hears `tracing` already: in the whole process, or on this thread.
///
/// That somebody was set says too little: it may have been for a moment, and for one thread.
pub(crate) fn is_heard() -> bool {
    let is_somebody = |heard: &tracing::Dispatch| !heard.is::<NoSubscriber>();
    dispatcher::has_been_set() && dispatcher::get_default(is_somebody)
}

/// What the program wants heard. What the environment says beats it.
#[derive(Default)]
pub(crate) struct Wishes {
    pub(crate) sampler: Option<Box<dyn Sampler>>,
    pub(crate) keep: Option<Keep>,
    pub(crate) redaction: Redaction,
    pub(crate) events: EventsOf,
    pub(crate) lines: Lines,
    pub(crate) rate: Option<RateLimit>,
}

/// Where events of `tracing` go that are inside of spans.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum EventsOf {
    /// Into log records where these are pushed, else into their spans.
    #[default]
    One,
    /// Into both.
    Both,
}

/// Whether lines are printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Lines {
    #[default]
    Printed,
    Off,
}

/// The layers, to be installed.
pub(crate) struct Layers {
    spans: Option<(TraceLayer, Filter)>,
    records: Option<(LogLayer, Filter)>,
    lines: Option<(TerminalLayer, Filter)>,
}

/// What remains of the layers when they are installed.
#[derive(Debug)]
pub(crate) struct Heard {
    pub(crate) spans: Option<TraceHandle>,
    pub(crate) keep: Option<Keep>,
    pub(crate) suppressed: Option<Arc<AtomicU64>>,
    pub(crate) terminal: Option<Terminal>,
    pub(crate) filters: Filters,
    /// Layers that wait for a subscriber of the service.
    waiting: Mutex<Option<Layers>>,
}

/// What is let through, changed while the service runs.
///
/// Directives are those of `RUST_LOG`: `info,sqlx=warn`.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Filters {
    /// Which spans there are: what `BAROGRAPH_SPANS` says, else `info`.
    pub spans: LevelHandle,
    /// Which log records are pushed: what `BAROGRAPH_LOGS` says, else `info`.
    pub records: LevelHandle,
    /// Which lines are printed: what `RUST_LOG` says, else `info`.
    pub lines: LevelHandle,
}

/// Makes the layers.
pub(crate) fn layers(
    wishes: Wishes,
    config: &mut Config,
    pushes: &Pushes,
    metrics: Option<SpanMetrics>,
) -> (Layers, Heard) {
    let Config {
        events: config,
        notices,
        ..
    } = config;
    let Output {
        lines,
        spans,
        records,
        ..
    } = &config.output;
    let lines_of = filter(notices, output::LINES, lines.as_deref());
    let spans_of = filter(notices, output::SPANS, spans.as_deref());
    let records_of = filter(notices, output::RECORDS, records.as_deref());
    let filters = Filters {
        spans: spans_of.handle(),
        records: records_of.handle(),
        lines: lines_of.handle(),
    };
    let outlets = pushes.log_records();
    let events = match wishes.events {
        EventsOf::One if !outlets.is_empty() => Events::AsLogs,
        EventsOf::One | EventsOf::Both => Events::InSpans,
    };
    let keep = std::mem::take(&mut config.keep).or(wishes.keep);
    let keep = keep.filter(|_| metrics.is_some());
    // Where telemetry is off there are no metrics, and no spans.
    let trace = metrics.map(|metrics| {
        let mut builder = TraceLayer::builder(pushes.spans())
            .with_limits(span_limits(&config.limits))
            .with_redaction(wishes.redaction.clone())
            .with_metrics(metrics)
            .with_events(events);
        if let Some(sampler) = &config.sampler {
            builder = builder.with_sampler(sampler.clone());
        } else if let Some(sampler) = wishes.sampler {
            builder = builder.with_sampler(sampler);
        }
        if let Some(keep) = &keep {
            builder = builder.with_keep(keep.clone());
        }
        builder.build()
    });
    let heard_of_spans = trace.as_ref().map(TraceLayer::handle);
    let record = (!outlets.is_empty()).then(|| {
        let builder = LogLayer::builder(outlets)
            .with_limits(log_limits(&config.limits))
            .with_redaction(wishes.redaction.clone());
        match wishes.rate {
            Some(rate) => builder.with_rate_limit(rate).build(),
            None => builder.build(),
        }
    });
    let suppressed = record.is_some().then(|| pushes.suppressed_records());
    let terminal = match wishes.lines {
        Lines::Printed => terminal(&config.output, wishes.redaction, wishes.rate),
        Lines::Off => None,
    };
    let layers = Layers {
        spans: trace.map(|layer| (layer, spans_of)),
        records: record.map(|layer| (layer, records_of)),
        lines: terminal.as_ref().map(|t| (t.layer(), lines_of)),
    };
    let heard = Heard {
        spans: heard_of_spans,
        keep,
        suppressed,
        terminal,
        filters,
        waiting: Mutex::new(None),
    };
    (layers, heard)
}

impl Layers {
    /// Makes them those of the process, records of the `log` crate included. Returns whether they are.
    pub(crate) fn install(self) -> bool {
        let Layers {
            spans,
            records,
            lines,
        } = self;
        let subscriber = tracing_subscriber::registry()
            .with(spans.map(|(layer, filter)| layer.with_filter(filter)))
            .with(records.map(|(layer, filter)| layer.with_filter(filter)))
            .with(lines.map(|(layer, filter)| layer.and_then(Witness).with_filter(filter)));
        // Another thread may have been first by a moment.
        let is_set = set_global(subscriber);
        if is_set {
            // An error says that the service has set a logger, which stays.
            let _ = tracing_log::LogTracer::init();
        }
        is_set
    }

    /// Keeps them for the subscriber of the service.
    pub(crate) fn wait(self, heard: &Heard) {
        *heard.waiting.lock().unwrap_or_else(PoisonError::into_inner) = Some(self);
    }
}

impl Heard {
    /// Who counts what is heard.
    pub(crate) fn watched(&self) -> Watched {
        Watched {
            spans: self.spans.clone(),
            keep: self.keep.clone(),
            suppressed: self.suppressed.clone(),
            terminal: self.terminal.clone(),
        }
    }

    /// The layers that wait, for a subscriber of the service.
    pub(crate) fn layer<S>(&self) -> Option<Box<dyn Layer<S> + Send + Sync>>
    where
        S: Subscriber + for<'a> LookupSpan<'a> + Send + Sync,
    {
        let Layers { spans, records, .. } = self.take()?;
        let hidden = |filter: Filter| FilterExt::<S>::and(filter, hide_probe());
        let spans = spans.map(|(layer, filter)| layer.with_filter(hidden(filter)).boxed());
        let records = records.map(|(layer, filter)| layer.with_filter(hidden(filter)).boxed());
        all(spans.into_iter().chain(records))
    }

    /// The same, for a subscriber that is in use already.
    pub(crate) fn late_layer<S>(&self) -> Option<Box<dyn Layer<S> + Send + Sync>>
    where
        S: Subscriber + for<'a> LookupSpan<'a> + Send + Sync,
    {
        let Layers { spans, records, .. } = self.take()?;
        let spans = spans.map(|(layer, filter)| Late::new(layer, filter).boxed());
        let records = records.map(|(layer, filter)| Late::new(layer, filter).boxed());
        all(spans.into_iter().chain(records))
    }

    fn take(&self) -> Option<Layers> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.take()
    }

    /// Waits a moment until lines are written, so that what is printed next stands behind them.
    pub(crate) fn settle_lines(&self) {
        if let Some(terminal) = &self.terminal {
            // What is not written in time stands behind it.
            let _ = terminal.flush(A_LINE);
        }
    }

    /// Waits until lines are written. From here on whoever says something waits a moment until it is
    /// written: the process is about to end, and what waits would end with it.
    pub(crate) fn end_lines(&self, limit: Duration) {
        diagnostics::settle(A_LINE);
        if let Some(terminal) = &self.terminal {
            terminal.write_through(A_LINE);
            // What is not written in time is written later, or counted.
            let _ = terminal.flush(limit);
        }
    }
}

/// Layers as one; none where there are none, since an empty layer would say that nobody listens.
///
/// Not by `and_then`: straight above a registry, of two layers that are joined so only the outer one
/// is asked for the levels that it wants.
fn all<S: Subscriber>(
    layers: impl Iterator<Item = Box<dyn Layer<S> + Send + Sync>>,
) -> Option<Box<dyn Layer<S> + Send + Sync>> {
    let layers: Vec<_> = layers.collect();
    (!layers.is_empty()).then(|| layers.boxed())
}

/// Makes a subscriber that of the process. Returns whether it is.
fn set_global<S: Subscriber + Send + Sync>(subscriber: S) -> bool {
    let is_set = tracing::subscriber::set_global_default(subscriber).is_ok();
    if is_set {
        diagnostics::set_ours::<S>();
    }
    is_set
}

/// How long a line may take to be written where somebody waits for it.
const A_LINE: Duration = Duration::from_millis(100);

/// Logs what the rooms below report.
pub(crate) fn hear_reports() {
    report::set_hook(|report| diagnostics::warn_without_waiting(&report.message));
}

/// The filter that is asked for; `info` where nothing is, or nothing that makes sense.
fn filter(notices: &mut Vec<Notice>, variable: &'static str, directives: Option<&str>) -> Filter {
    let info = || Filter::level(tracing::level_filters::LevelFilter::INFO);
    let Some(directives) = directives else {
        return info();
    };
    directives.parse().unwrap_or_else(|error: InvalidFilter| {
        notices.push(Notice::ignored(variable, directives, error.expected()));
        info()
    })
}

/// The terminal, whose lines are written by a thread of its own.
fn terminal(output: &Output, redaction: Redaction, rate: Option<RateLimit>) -> Option<Terminal> {
    let colors = match io::stderr().is_terminal() && !output.is_plain {
        true => Colors::On,
        false => Colors::Off,
    };
    let format = match output.format {
        Some(output::Format::Json) => Format::Json,
        Some(output::Format::TracingJson) => Format::SubscriberJson,
        Some(output::Format::Pretty) | None => Format::Pretty(colors),
    };
    let mut builder = Terminal::builder()
        .with_format(format)
        .with_redaction(redaction)
        .with_child_output(stderr::write_in_child);
    if let Some(rate) = rate {
        builder = builder.with_rate_limit(rate);
    }
    let (terminal, writer) = builder.build();
    let spawned = std::thread::Builder::new()
        .name("barograph-lines".into())
        .spawn(|| {
            // An exit on this thread must not wait for it.
            let _suppressed = suppression::suppress();
            writer.run(Stderr::new());
        });
    match spawned {
        Ok(_) => Some(terminal),
        Err(error) => {
            let text = format!("no log lines are printed, since there is no thread: {error}");
            diagnostics::print(&text);
            None
        }
    }
}

fn span_limits(limits: &Limits) -> SpanLimits {
    let mut all = SpanLimits::default();
    set(&mut all.value_length, limits.span_value_length);
    set(&mut all.attributes, limits.span_attributes);
    set(&mut all.events, limits.span_events);
    set(&mut all.links, limits.span_links);
    set(&mut all.event_attributes, limits.event_attributes);
    set(&mut all.link_attributes, limits.link_attributes);
    all
}

fn log_limits(limits: &Limits) -> LogLimits {
    let mut all = LogLimits::default();
    set(&mut all.value_length, limits.log_value_length);
    set(&mut all.attributes, limits.log_attributes);
    all
}

fn set(limit: &mut usize, given: Option<usize>) {
    *limit = given.unwrap_or(*limit);
}

impl std::fmt::Debug for Layers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Layers").finish_non_exhaustive()
    }
}
