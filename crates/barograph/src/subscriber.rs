//! Installs the `tracing` subscriber, which creates spans, log records and lines on the terminal.
//!
//! Each of the three has its own filter, so that fewer lines do not make traces thinner. They are
//! installed together, unless the service has already set a subscriber; then it adds the
//! [`layer`](crate::Telemetry::layer) to its own subscriber.

use std::io::{self, IsTerminal as _};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use barograph_config::signals::Signals;
use barograph_core::report;
use barograph_model::suppression;
use barograph_tracing::filter::{AnyFilter, Filter, LevelHandle};
use barograph_tracing::log::{Colors, ConsoleLayer, ConsoleLog, Format, LogLayer, RateLimit};
use barograph_tracing::redact::Redaction;
use barograph_tracing::sampling::Sampler;
use barograph_tracing::sampling::tail::TailSampling;
use barograph_tracing::trace::{Events, SpanMetrics, TraceHandle, TraceLayer};
use tracing::subscriber::NoSubscriber;
use tracing::{Subscriber, dispatcher};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::FilterExt;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::registry::LookupSpan;

use crate::diagnostics::{self, Witness, hide_probe};
use crate::push::Pushes;
use crate::self_metrics::SignalStats;
use crate::stderr::{self, Stderr};

/// Returns true if a `tracing` subscriber is already set: for the whole process, or on this thread.
///
/// `has_been_set` alone is not enough: it may have been set for a moment, on one thread.
pub(crate) fn is_subscriber_set() -> bool {
    let is_subscriber = |dispatch: &tracing::Dispatch| !dispatch.is::<NoSubscriber>();
    dispatcher::has_been_set() && dispatcher::get_default(is_subscriber)
}

/// Subscriber options set by the program. Environment variables take precedence.
#[derive(Default)]
pub(crate) struct SubscriberOptions {
    pub(crate) sampler: Option<Box<dyn Sampler>>,
    pub(crate) tail_sampling: Option<TailSampling>,
    pub(crate) redaction: Redaction,
    pub(crate) events: EventDestination,
    pub(crate) lines: ConsoleOutput,
    pub(crate) rate: Option<RateLimit>,
}

/// The destination of `tracing` events inside spans.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum EventDestination {
    /// Log records where these are pushed, else their spans.
    #[default]
    One,
    /// Both.
    Both,
}

/// True if lines are printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum ConsoleOutput {
    #[default]
    Printed,
    Off,
}

/// The layers, before they are installed.
pub(crate) struct Layers {
    spans: Option<(TraceLayer, Filter)>,
    records: Option<(LogLayer, Filter)>,
    lines: Option<(ConsoleLayer, Filter)>,
}

/// The handles of the layers, which remain after they are installed.
#[derive(Debug)]
pub(crate) struct InstalledLayers {
    pub(crate) spans: Option<TraceHandle>,
    pub(crate) tail_sampling: Option<TailSampling>,
    pub(crate) suppressed: Option<Arc<AtomicU64>>,
    pub(crate) terminal: Option<ConsoleLog>,
    pub(crate) filters: Filters,
    /// Layers for a subscriber of the service, until it takes them.
    waiting: Mutex<Option<Layers>>,
}

/// The filters, which can be changed while the service runs.
///
/// Directives have the syntax of `RUST_LOG`: `info,sqlx=warn`.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Filters {
    /// The spans that are created: the directives of `BAROGRAPH_SPANS`, else `info`.
    pub spans: LevelHandle,
    /// The log records that are pushed: the directives of `BAROGRAPH_LOGS`, else `info`.
    pub records: LevelHandle,
    /// The lines that are printed: the directives of `RUST_LOG`, else `info`.
    pub lines: LevelHandle,
}

/// Builds the layers.
pub(crate) fn layers(
    options: SubscriberOptions,
    config: Signals,
    pushes: &Pushes,
    metrics: Option<SpanMetrics>,
) -> (Layers, InstalledLayers) {
    let info = || Filter::level(tracing::level_filters::LevelFilter::INFO);
    let lines_of = config.filters.lines.unwrap_or_else(info);
    let spans_of = config.filters.spans.unwrap_or_else(info);
    let records_of = config.filters.records.unwrap_or_else(info);
    let filters = Filters {
        spans: spans_of.handle(),
        records: records_of.handle(),
        lines: lines_of.handle(),
    };
    let record_queues = pushes.log_records();
    let events = match options.events {
        EventDestination::One if !record_queues.is_empty() => Events::AsLogs,
        EventDestination::One | EventDestination::Both => Events::InSpans,
    };
    let tail_sampling = options.tail_sampling.filter(|_| metrics.is_some());
    // Where telemetry is disabled there are no metrics, and no spans.
    let trace = metrics.map(|metrics| {
        let mut builder = TraceLayer::builder(pushes.spans())
            .with_limits(config.span_limits)
            .with_redaction(options.redaction.clone())
            .with_metrics(metrics)
            .with_events(events);
        if let Some(sampler) = config.sampler {
            builder = builder.with_sampler(sampler);
        } else if let Some(sampler) = options.sampler {
            builder = builder.with_sampler(sampler);
        }
        if let Some(tail_sampling) = &tail_sampling {
            builder = builder.with_tail_sampling(tail_sampling.clone());
        }
        builder.build()
    });
    let heard_of_spans = trace.as_ref().map(TraceLayer::handle);
    let record = (!record_queues.is_empty()).then(|| {
        let builder = LogLayer::builder(record_queues)
            .with_limits(config.log_limits)
            .with_redaction(options.redaction.clone());
        match options.rate {
            Some(rate) => builder.with_rate_limit(rate).build(),
            None => builder.build(),
        }
    });
    let suppressed = record.as_ref().map(LogLayer::suppressed);
    let terminal = match options.lines {
        ConsoleOutput::Printed => terminal(config.format, options.redaction, options.rate),
        ConsoleOutput::Off => None,
    };
    let layers = Layers {
        spans: trace.map(|layer| (layer, spans_of)),
        records: record.map(|layer| (layer, records_of)),
        lines: terminal.as_ref().map(|t| (t.layer(), lines_of)),
    };
    let installed = InstalledLayers {
        spans: heard_of_spans,
        tail_sampling,
        suppressed,
        terminal,
        filters,
        waiting: Mutex::new(None),
    };
    (layers, installed)
}

impl Layers {
    /// Installs them as the global subscriber, records of the `log` crate included. Returns true if
    /// they were installed.
    pub(crate) fn install(self) -> bool {
        let Layers {
            spans,
            records,
            lines,
        } = self;
        let filters = [
            spans.as_ref().map(|(_, filter)| filter.clone()),
            records.as_ref().map(|(_, filter)| filter.clone()),
            lines.as_ref().map(|(_, filter)| filter.clone()),
        ];
        let subscriber = tracing_subscriber::registry()
            .with(AnyFilter::new(filters.into_iter().flatten()))
            .with(spans.map(|(layer, filter)| layer.with_own_filter(filter)))
            .with(records.map(|(layer, filter)| layer.with_own_filter(filter)))
            .with(lines.map(|(layer, filter)| {
                let witness = Witness::new(filter.clone());
                layer.with_own_filter(filter).and_then(witness)
            }));
        // Another thread may have set one meanwhile.
        let is_set = set_global(subscriber);
        if is_set {
            // An error means that the service has set a logger, which stays.
            let _ = tracing_log::LogTracer::init();
        }
        is_set
    }

    /// Stores them for the subscriber of the service.
    pub(crate) fn wait(self, installed: &InstalledLayers) {
        *installed
            .waiting
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Some(self);
    }
}

impl InstalledLayers {
    /// Returns the handles that the self metrics read.
    pub(crate) fn stats(&self) -> SignalStats {
        SignalStats {
            spans: self.spans.clone(),
            tail_sampling: self.tail_sampling.clone(),
            suppressed: self.suppressed.clone(),
            terminal: self.terminal.clone(),
        }
    }

    /// Takes the stored layers, for a subscriber of the service.
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

    /// Takes the stored layers, for a subscriber that is already in use.
    pub(crate) fn reload_layer<S>(&self) -> Option<Box<dyn Layer<S> + Send + Sync>>
    where
        S: Subscriber + for<'a> LookupSpan<'a> + Send + Sync,
    {
        let Layers { spans, records, .. } = self.take()?;
        // `with_filter` is for layers that are present when their subscriber is built: a filtered layer
        // that is put into a `reload::Layer` later has no filter id, and panics.
        let spans = spans.map(|(layer, filter)| layer.with_own_filter(filter).boxed());
        let records = records.map(|(layer, filter)| layer.with_own_filter(filter).boxed());
        all(spans.into_iter().chain(records))
    }

    fn take(&self) -> Option<Layers> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.take()
    }

    /// Waits a moment until lines are written, so that what is printed next follows them.
    pub(crate) fn settle_lines(&self) {
        if let Some(terminal) = &self.terminal {
            // Lines that are not written in time follow it.
            let _ = terminal.flush(A_LINE);
        }
    }

    /// Waits until lines are written. From now on a thread that logs waits a moment until its line is
    /// written: the process is about to end, and queued lines would be lost.
    pub(crate) fn end_lines(&self, limit: Duration) {
        diagnostics::settle(A_LINE);
        if let Some(terminal) = &self.terminal {
            terminal.write_through(A_LINE);
            // Lines that are not written in time are written later, or counted.
            let _ = terminal.flush(limit);
        }
    }
}

/// Combines the layers; None if there are none, since an empty layer would disable all callsites.
///
/// Not with `and_then`: directly above a registry, only the outer one of two layers joined in that
/// way is asked for the levels that it wants.
fn all<S: Subscriber>(
    layers: impl Iterator<Item = Box<dyn Layer<S> + Send + Sync>>,
) -> Option<Box<dyn Layer<S> + Send + Sync>> {
    let layers: Vec<_> = layers.collect();
    (!layers.is_empty()).then(|| layers.boxed())
}

/// Sets the global subscriber. Returns true if it was set.
fn set_global<S: Subscriber + Send + Sync>(subscriber: S) -> bool {
    let is_set = tracing::subscriber::set_global_default(subscriber).is_ok();
    if is_set {
        diagnostics::set_ours::<S>();
    }
    is_set
}

/// The time that a line may take to be written while the caller waits for it.
const A_LINE: Duration = Duration::from_millis(100);

/// Logs the reports of the crates below.
pub(crate) fn log_reports() {
    report::set_hook(|report| diagnostics::warn_without_waiting(&report.message));
}

/// Starts the terminal, whose lines are written by its own thread.
fn terminal(format: Format, redaction: Redaction, rate: Option<RateLimit>) -> Option<ConsoleLog> {
    let format = match format {
        Format::Pretty(_) if !io::stderr().is_terminal() => Format::Pretty(Colors::Off),
        format => format,
    };
    let mut builder = ConsoleLog::builder()
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
            // This thread may exit the process, which must not wait for this thread.
            let _suppressed = suppression::suppress();
            writer.run(Stderr::new());
        });
    match spawned {
        Ok(_) => Some(terminal),
        Err(error) => {
            let text = format!(
                "no log lines are printed, because their thread cannot be started: {error}"
            );
            diagnostics::print(&text);
            None
        }
    }
}

impl std::fmt::Debug for Layers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Layers").finish_non_exhaustive()
    }
}
