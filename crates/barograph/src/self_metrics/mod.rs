//! The library's self metrics: what was rejected, and the cost of the pages.
//!
//! They are a [`Source`] like any other, with names that begin with `barograph.`.

mod table;
mod registries;
mod signals;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use barograph_core::exemplar::ExemplarFilter;
use barograph_core::registry::Registry;
use barograph_core::{Counter, Histogram};
use barograph_encode::prometheus::{Reason, Rejection, Report};
use barograph_model::bounds::Bounds;
use barograph_model::descriptor::Kind;
use barograph_model::snapshot::{FamilyView, Source};
use barograph_tracing::trace::SpanMetrics;

use crate::supervise::Supervised;

use self::table::Table;
use crate::diagnostics;

pub(crate) use signals::SignalStats;

/// The self metrics, counted here and exported as a source.
pub(crate) struct SelfMetrics {
    /// The registries whose statistics are exported, by name.
    stats: Vec<(Box<str>, Registry)>,
    /// The start time of the registries' counters, in nanoseconds since 1970.
    start: u64,
    /// The registry of the instruments below, which are exported through this source only.
    registry: Registry,
    scrapes: [Counter<u64>; Outcome::ALL.len()],
    duration: Histogram,
    sent: Counter<u64>,
    accept_errors: Vec<Counter<u64>>,
    admin_failures: [Counter<u64>; AdminFailure::ALL.len()],
    /// Counts of data that was left out of the last page.
    page: LeftOut,
    /// Counts of data that was left out of the last push.
    #[cfg(feature = "otlp")]
    push: LeftOut,
    /// The handles of the `tracing` layers.
    signals: OnceLock<SignalStats>,
    /// The sentences that were logged.
    reported: Mutex<Vec<Box<str>>>,
}

/// Counts of what could not be exported to a reader.
#[derive(Default)]
struct LeftOut {
    /// The number of families, by reason.
    families: [AtomicU64; Reason::ALL.len()],
    /// The number of points, by reason.
    points: [AtomicU64; Rejection::ALL.len()],
}

/// The outcome of a scrape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The whole page was sent.
    Complete,
    /// The client left, or was too slow.
    Cut,
    /// Too many other pages were being read.
    Busy,
}

impl Outcome {
    const ALL: [Outcome; 3] = [Outcome::Complete, Outcome::Cut, Outcome::Busy];

    fn as_str(self) -> &'static str {
        match self {
            Outcome::Complete => "complete",
            Outcome::Cut => "cut",
            Outcome::Busy => "busy",
        }
    }
}

/// A failure from which the admin server recovered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AdminFailure {
    /// Its address could not be bound.
    Listen,
    /// A request handler panicked.
    Request,
    /// A connection was closed to make room for another one.
    Evicted,
}

impl AdminFailure {
    const ALL: [AdminFailure; 3] = [
        AdminFailure::Listen,
        AdminFailure::Request,
        AdminFailure::Evicted,
    ];

    fn as_str(self) -> &'static str {
        match self {
            AdminFailure::Listen => "listen",
            AdminFailure::Request => "request",
            AdminFailure::Evicted => "evicted",
        }
    }
}

/// A listener, by which accept errors are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Listener {
    /// The listener of the pages.
    Admin,
    /// The listener of [`serve`](mod@crate::serve).
    #[cfg(feature = "axum")]
    Service,
}

impl Listener {
    const ALL: &[Listener] = &[
        Listener::Admin,
        #[cfg(feature = "axum")]
        Listener::Service,
    ];

    fn as_str(self) -> &'static str {
        match self {
            Listener::Admin => "admin",
            #[cfg(feature = "axum")]
            Listener::Service => "service",
        }
    }
}

impl SelfMetrics {
    pub(crate) fn new(stats: Vec<(Box<str>, Registry)>) -> Self {
        // Exemplars would be useless: a scrape, or the start of a span, has no trace to look up.
        let registry = Registry::builder()
            .with_exemplar_filter(ExemplarFilter::AlwaysOff)
            .build()
            .expect("it has no labels that could be invalid");
        let start = SystemTime::now().duration_since(UNIX_EPOCH);
        let start = start.map_or(0, |start| start.as_nanos() as u64);
        const FRESH: &str = "a fresh registry takes these names";
        let scrapes = registry
            .counter("barograph.scrapes")
            .with_unit("{scrape}")
            .with_help("Scrapes, by outcome.")
            .build_with_label_names(["outcome"])
            .expect(FRESH);
        let duration = registry
            .histogram("barograph.scrape.duration")
            .with_unit("s")
            .with_help("Time spent encoding a page, without waiting for the client.")
            .with_bounds(Bounds::exponential(0.000_1, 10.0, 6).expect("six bounds that rise"))
            .build()
            .expect(FRESH);
        let sent = registry
            .counter("barograph.scrape.size")
            .with_unit("By")
            .with_help("Size of pages as they were sent.")
            .build()
            .expect(FRESH);
        let accept_errors = registry
            .counter("barograph.accept.errors")
            .with_unit("{error}")
            .with_help("Failures to accept a connection, by listener.")
            .build_with_label_names(["listener"])
            .expect(FRESH);
        let accept_errors = Listener::ALL
            .iter()
            .map(|l| accept_errors.bind(&[l.as_str()]));
        let admin_failures = registry
            .counter("barograph.admin.failures")
            .with_unit("{failure}")
            .with_help("Failures of the admin server that it recovered from, by reason.")
            .build_with_label_names(["reason"])
            .expect(FRESH);
        SelfMetrics {
            accept_errors: accept_errors.collect(),
            admin_failures: AdminFailure::ALL.map(|reason| admin_failures.bind(&[reason.as_str()])),
            stats,
            start,
            scrapes: Outcome::ALL.map(|outcome| scrapes.bind(&[outcome.as_str()])),
            registry,
            duration,
            sent,
            page: LeftOut::default(),
            #[cfg(feature = "otlp")]
            push: LeftOut::default(),
            signals: OnceLock::new(),
            reported: Mutex::default(),
        }
    }

    /// Registers the metrics of spans.
    pub(crate) fn spans(&self) -> SpanMetrics {
        SpanMetrics::register(&self.registry).expect("nobody else takes these names")
    }

    /// Exports the counts of spans, log records and lines, too.
    pub(crate) fn watch(&self, signals: SignalStats) {
        // It is set only once, at the start.
        let _ = self.signals.set(signals);
    }

    /// Counts a scrape that was refused.
    pub(crate) fn busy(&self) {
        self.scrapes[Outcome::Busy as usize].inc();
    }

    /// Counts a connection that could not be accepted.
    pub(crate) fn accept_failed(&self, of: Listener) {
        self.accept_errors[of as usize].inc();
    }

    /// Counts a failure of the admin server.
    pub(crate) fn admin_failed(&self, reason: AdminFailure) {
        self.admin_failures[reason as usize].inc();
    }

    /// Counts a scrape when it ends.
    pub(crate) fn scraped(&self, outcome: Outcome, spent: Duration, bytes: u64, report: &Report) {
        self.scrapes[outcome as usize].inc();
        self.duration.observe(spent.as_secs_f64());
        self.sent.add(bytes);
        // The report is complete only at the end of a page.
        if outcome == Outcome::Complete {
            self.left_out(report, &self.page);
        }
    }

    /// Counts what could not be pushed, at the end of an export cycle.
    #[cfg(feature = "otlp")]
    pub(crate) fn pushed(&self, report: &Report) {
        self.left_out(report, &self.push);
    }

    fn left_out(&self, report: &Report, of: &LeftOut) {
        let (mut families, mut points) = ([0; Reason::ALL.len()], [0; Rejection::ALL.len()]);
        for (reason, count) in report.reasons() {
            families[reason as usize] = count;
        }
        for (rejection, count, family) in report.rejections() {
            points[rejection as usize] = count;
            let reason = rejection.as_str();
            self.report_once(&format!(
                "points of family {family:?} are left out: {reason}"
            ));
        }
        for left_out in report.left_out() {
            self.report_once(&left_out.to_string());
        }
        store(&of.families, families);
        store(&of.points, points);
    }

    /// Logs a sentence once.
    fn report_once(&self, sentence: &str) {
        let mut reported = self.reported.lock().unwrap_or_else(PoisonError::into_inner);
        if reported.len() < MOST_REPORTED && !reported.iter().any(|before| **before == *sentence) {
            reported.push(sentence.into());
            drop(reported);
            diagnostics::warn(&sentence);
        }
    }

    fn tables(&self) -> Vec<Arc<dyn FamilyView>> {
        let mut restarts = Table::new(
            "barograph.thread.restarts",
            "{restart}",
            "Restarts of threads of this library after a panic or a failure, in the whole process.",
            Kind::Counter,
        )
        .since(self.start);
        for thread in Supervised::ALL {
            restarts.row(&[("thread", thread.as_str())], thread.restarts());
        }
        let left_out = [
            self.page.tables([
                (
                    "barograph.page.families.left_out",
                    "Families left out of the last page, in part or entirely, by reason.",
                ),
                (
                    "barograph.page.points.left_out",
                    "Points left out of the last page, by reason.",
                ),
            ]),
            #[cfg(feature = "otlp")]
            self.push.tables([
                (
                    "barograph.export.families.left_out",
                    "Families left out of the last export, in part or entirely, by reason.",
                ),
                (
                    "barograph.export.points.left_out",
                    "Points left out of the last export, by reason.",
                ),
            ]),
        ];
        let mut tables = registries::tables(&self.stats, self.start);
        tables.push(restarts);
        let signals = self.signals.get().map(|signals| signals.tables(self.start));
        tables
            .into_iter()
            .chain(signals.into_iter().flatten())
            .chain(left_out.into_iter().flatten())
            .map(|table| Arc::new(table) as Arc<dyn FamilyView>)
            .collect()
    }
}

impl LeftOut {
    /// Returns the families and points as metrics with these names and descriptions.
    fn tables(&self, [families, points]: [(&str, &str); 2]) -> Vec<Table> {
        let mut off = Table::new(families.0, "{family}", families.1, Kind::Gauge);
        for (reason, count) in came_up(Reason::ALL, &self.families) {
            off.row(&[("reason", reason.as_str())], count);
        }
        let mut few = Table::new(points.0, "{point}", points.1, Kind::Gauge);
        for (reason, count) in came_up(Rejection::ALL, &self.points) {
            few.row(&[("reason", reason.as_str())], count);
        }
        vec![off, few]
    }
}

impl Source for SelfMetrics {
    fn collect(&self) -> Vec<Arc<dyn FamilyView>> {
        let mut views = self.registry.collect();
        views.extend(self.tables());
        views
    }
}

fn store<const N: usize>(places: &[AtomicU64; N], counts: [u64; N]) {
    for (place, count) in places.iter().zip(counts) {
        place.store(count, Ordering::Relaxed);
    }
}

/// Returns the reasons whose count is not zero.
fn came_up<R, const N: usize>(
    reasons: [R; N],
    counts: &[AtomicU64; N],
) -> impl Iterator<Item = (R, u64)> {
    let counts = counts.iter().map(|count| count.load(Ordering::Relaxed));
    reasons.into_iter().zip(counts).filter(|(_, n)| *n > 0)
}

/// The maximum number of remembered sentences; beyond it no new ones are logged.
const MOST_REPORTED: usize = 256;
