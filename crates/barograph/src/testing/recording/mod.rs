//! Recording of the code that runs in a capture: its scope, its subscriber, and what they recorded.

mod sink;
mod numbering;
mod undecided;

use std::collections::HashSet;
use std::fmt;
use std::sync::{Arc, OnceLock};

use barograph_core::clock::{Clock as _, ManualClock};
use barograph_core::registry::{CaptureScope, Registry};
use barograph_model::log::LogRecord;
use barograph_model::span::SpanRecord;
use barograph_tracing::filter::Filter;
use barograph_tracing::log::LogLayer;
use barograph_tracing::sampling::AlwaysOn;
use barograph_tracing::trace::{Events, TraceHandle, TraceLayer};
use tracing::level_filters::LevelFilter;
use tracing::subscriber::Interest;
use tracing::{Dispatch, Event, Id, Metadata, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};

use self::numbering::Numbering;
use self::sink::Sink;

/// The settings of a recording, which begins when code runs in the capture.
#[derive(Clone, Debug)]
pub(super) struct Recorder {
    pub(super) clock: ManualClock,
    /// The time at which the clock stood when it was set.
    pub(super) start_unix_nano: u64,
    filter: Arc<Filter>,
    pub(super) with_ids: bool,
    pub(super) with_times: bool,
    recording: Arc<OnceLock<Recording>>,
}

/// A scope and a subscriber, and the records that it made.
pub(super) struct Recording {
    pub(super) scope: CaptureScope,
    pub(super) dispatch: Dispatch,
    pub(super) numbering: Numbering,
    trace: TraceHandle,
    spans: Arc<Sink<SpanRecord>>,
    logs: Arc<Sink<LogRecord>>,
}

/// The records of a recording.
#[derive(Debug, Default)]
pub(super) struct Records {
    /// The spans that have ended.
    pub(super) spans: Vec<Arc<SpanRecord>>,
    /// The spans that have not.
    pub(super) open: Vec<SpanRecord>,
    pub(super) logs: Vec<Arc<LogRecord>>,
    /// The number of records for which there was no room.
    pub(super) lost: u64,
}

impl Recorder {
    /// Sets the clock. What was recorded before is forgotten.
    pub(super) fn set_clock(&mut self, clock: ManualClock) {
        self.start_unix_nano = clock.unix_nanos();
        self.clock = clock;
        self.recording = Arc::default();
    }

    /// Sets the filter. What was recorded before is forgotten.
    pub(super) fn set_filter(&mut self, filter: Filter) {
        self.filter = Arc::new(filter);
        self.recording = Arc::default();
    }

    /// Returns the recording, which the first call begins.
    pub(super) fn begin(&self, registry: &Registry) -> &Recording {
        self.recording
            .get_or_init(|| Recording::new(registry, &self.clock, &self.filter))
    }

    /// Returns the recording, if it has begun.
    pub(super) fn recording(&self) -> Option<&Recording> {
        self.recording.get()
    }
}

impl Default for Recorder {
    fn default() -> Self {
        Recorder {
            clock: ManualClock::at(START_UNIX_NANO),
            start_unix_nano: START_UNIX_NANO,
            filter: Arc::new(Filter::level(LevelFilter::INFO)),
            with_ids: false,
            with_times: false,
            recording: Arc::default(),
        }
    }
}

impl Recording {
    fn new(registry: &Registry, clock: &ManualClock, filter: &Arc<Filter>) -> Self {
        undecided::ask_each_time();
        let numbering = Numbering::new(clock.clone());
        let (spans, logs) = (Arc::new(Sink::new()), Arc::new(Sink::new()));
        let trace = TraceLayer::builder(spans.queue().clone())
            .with_sampler(AlwaysOn)
            .with_events(Events::AsLogs)
            .with_clock(numbering.clone())
            .build();
        let handle = trace.handle();
        let log = LogLayer::builder(logs.queue().clone())
            .with_clock(numbering.clone())
            .build();
        let subscriber = tracing_subscriber::registry()
            .with(trace)
            .with(log)
            .with(Outermost {
                filter: filter.clone(),
                spans: spans.clone(),
                logs: logs.clone(),
            });
        Recording {
            scope: CaptureScope::new(registry, clock),
            dispatch: Dispatch::new(subscriber),
            numbering,
            trace: handle,
            spans,
            logs,
        }
    }

    /// Returns all that was recorded until now.
    pub(super) fn records(&self) -> Records {
        // First the open spans: one that ends meanwhile is in both lists, and not in none.
        let mut open = self.trace.open_spans();
        let spans = self.spans.records();
        let ended: HashSet<_> = spans.iter().map(|span| span.context.span_id()).collect();
        open.retain(|span| !ended.contains(&span.context.span_id()));
        Records {
            open,
            logs: self.logs.records(),
            lost: self.spans.lost() + self.logs.lost(),
            spans,
        }
    }
}

impl fmt::Debug for Recording {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recording")
            .field("scope", &self.scope)
            .finish_non_exhaustive()
    }
}

/// The layer around the two others. It has one filter for both: filters of single layers share state on
/// a thread, which nested subscribers would mix up.
struct Outermost {
    filter: Arc<Filter>,
    spans: Arc<Sink<SpanRecord>>,
    logs: Arc<Sink<LogRecord>>,
}

impl<S: Subscriber> Layer<S> for Outermost {
    fn register_callsite(&self, _: &'static Metadata<'static>) -> Interest {
        Interest::sometimes()
    }

    fn enabled(&self, metadata: &Metadata<'_>, context: Context<'_, S>) -> bool {
        tracing_subscriber::layer::Filter::enabled(&*self.filter, metadata, &context)
    }

    fn on_event(&self, _: &Event<'_>, _: Context<'_, S>) {
        self.logs.pushed();
    }

    fn on_close(&self, _: Id, _: Context<'_, S>) {
        self.spans.pushed();
    }
}

/// The time of a capture, 2020-01-01T00:00:00Z, unless it has another clock.
const START_UNIX_NANO: u64 = 1_577_836_800_000_000_000;
