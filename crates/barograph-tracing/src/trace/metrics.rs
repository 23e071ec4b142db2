//! The metrics of spans: `otel.sdk.span.started` and `otel.sdk.span.live`.
//!
//! Source: OpenTelemetry semantic conventions 1.44, "OpenTelemetry SDK metrics".

use std::fmt;

use barograph_core::exemplar::ExemplarFilter;
use barograph_core::registry::Registry;
use barograph_core::{Counter, RegisterError, UpDownCounter};
use barograph_model::context::TraceContext;

use crate::sampling::Decision;

/// The metrics of spans. All clones share the same instruments.
///
/// `otel.sdk.span.started` counts each span by its sampling decision and the origin of its parent;
/// `otel.sdk.span.live` is the number of recorded spans that have not ended.
#[derive(Clone)]
pub struct SpanMetrics {
    /// Counters by decision, then by origin.
    started: [[Counter; 3]; 3],
    /// Counters for record-only spans and for sampled spans.
    live: [UpDownCounter; 2],
}

/// The origin of the parent of a span.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    None,
    Local,
    Remote,
}

impl Origin {
    #[inline]
    pub(super) fn of(parent: Option<TraceContext>) -> Self {
        match parent {
            None => Origin::None,
            Some(parent) if parent.is_remote() => Origin::Remote,
            Some(_) => Origin::Local,
        }
    }
}

impl SpanMetrics {
    /// Registers the instruments.
    ///
    /// # Errors
    /// Returns [`RegisterError`] if the registry has different instruments with these names.
    pub fn register(registry: &Registry) -> Result<Self, RegisterError> {
        let started = registry
            .counter("otel.sdk.span.started")
            .with_help("Spans that were started.")
            .with_unit("{span}")
            .build_with_label_names(["otel.span.sampling_result", "otel.span.parent.origin"])?;
        let live = registry
            .up_down_counter("otel.sdk.span.live")
            .with_help("Recorded spans that have not ended.")
            .with_unit("{span}")
            .build_with_label_names(["otel.span.sampling_result"])?;
        let results = ["DROP", "RECORD_ONLY", "RECORD_AND_SAMPLE"];
        let origins = ["none", "local", "remote"];
        Ok(SpanMetrics {
            started: results.map(|result| origins.map(|origin| started.bind(&[result, origin]))),
            live: ["RECORD_ONLY", "RECORD_AND_SAMPLE"].map(|result| live.bind(&[result])),
        })
    }

    /// Returns the number of started spans with this sampling decision.
    pub fn started(&self, decision: Decision) -> u64 {
        self.started[decision as usize]
            .iter()
            .map(Counter::get)
            .sum()
    }

    /// Returns the number of recorded spans that have not ended.
    pub fn live(&self) -> i64 {
        self.live.iter().map(UpDownCounter::get).sum()
    }

    #[inline]
    pub(super) fn start(&self, decision: Decision, origin: Origin) {
        self.started[decision as usize][origin as usize].inc();
    }

    /// Counts a span that starts being recorded.
    #[inline]
    pub(super) fn open(&self, is_sampled: IsSampled) {
        self.live[is_sampled as usize].inc();
    }

    /// Counts a recorded span that has ended.
    #[inline]
    pub(super) fn close(&self, is_sampled: IsSampled) {
        self.live[is_sampled as usize].dec();
    }
}

/// The sampled flag of a recorded span, which decides whether it is exported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum IsSampled {
    No,
    Yes,
}

impl fmt::Debug for SpanMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SpanMetrics")
            .field("live", &self.live())
            .finish_non_exhaustive()
    }
}

/// Creates instruments in a private registry.
impl Default for SpanMetrics {
    fn default() -> Self {
        let registry = Registry::builder()
            .with_exemplar_filter(ExemplarFilter::AlwaysOff)
            .build()
            .expect("it has no labels that could be invalid");
        SpanMetrics::register(&registry).expect("a new registry has no others")
    }
}
