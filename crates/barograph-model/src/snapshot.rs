//! All families at an instant, as a stream: what a source shows and every encoder reads.
//!
//! A million series are never made into a million objects. A [`Source`] gives its families, one
//! shared pointer each; a reader then walks the series of a family in batches and keeps a cursor of
//! its own, so it can stop between two batches, for as long as a slow client needs, without holding
//! anything but those pointers.
//!
//! **Invariant:** reading changes nothing. Any number of readers may walk at once, and a reader that
//! wants differences keeps the values it saw last.

use std::sync::Arc;

use crate::bounds::Bounds;
use crate::descriptor::Descriptor;
use crate::exemplar::Exemplar;
use crate::label::Labels;

/// Gives snapshots. Whoever implements it is on the page and in the push.
///
/// ```
/// use std::sync::Arc;
/// use barograph_model::descriptor::{Descriptor, Kind};
/// use barograph_model::label::Labels;
/// use barograph_model::snapshot::{FamilyView, Point, Source, Value};
///
/// struct Answer;
///
/// impl Source for Answer {
///     fn collect(&self) -> Vec<Arc<dyn FamilyView>> {
///         vec![Arc::new(Answer)]
///     }
/// }
///
/// impl FamilyView for Answer {
///     fn descriptor(&self) -> Arc<Descriptor> {
///         Arc::new(Descriptor::new("answer", Kind::Gauge))
///     }
///     fn read(&self, _from: usize, show: &mut dyn FnMut(&Point<'_>)) -> Option<usize> {
///         show(&Point::new(0, Labels::EMPTY, Value::U64(42)));
///         None
///     }
/// }
///
/// assert_eq!(Answer.collect()[0].descriptor().name, "answer".into());
/// ```
pub trait Source: Send + Sync {
    /// Shows every family there is now, in the order in which they were registered.
    ///
    /// Called once for each scrape or push, from any thread, also from several at once. This is
    /// where callbacks run; it may take as long as they take.
    fn collect(&self) -> Vec<Arc<dyn FamilyView>>;
}

/// One family in a snapshot.
pub trait FamilyView: Send + Sync {
    /// What it is.
    fn descriptor(&self) -> Arc<Descriptor>;

    /// Shows some series from the cursor `from` on (0 at the start), and gives the cursor for those
    /// that follow, or none at the end.
    ///
    /// A call shows few enough series (some hundreds) that whatever it holds on to is let go soon.
    /// Series that come later than the first call may be shown or not. No series is shown twice.
    fn read(&self, from: usize, show: &mut dyn FnMut(&Point<'_>)) -> Option<usize>;

    /// Whether it is known that no two series have the same labels, and no label name stands twice
    /// in one. Readers check the others.
    fn labels_are_unique(&self) -> bool {
        false
    }
}

/// The value of one series at the moment it is read.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Point<'a> {
    /// A small number that stays with a series as long as it lives; no other series of the family
    /// has it meanwhile. A reader that keeps last values can use it as an index. When a series
    /// comes back after its removal, or another takes its place, `start_unix_nano` has grown.
    pub index: usize,
    /// Its labels, without the family's constant ones.
    pub labels: Labels<'a>,
    /// Its value.
    pub value: Value<'a>,
    /// When it began to count, in nanoseconds since the Unix epoch. None when unknown.
    pub start_unix_nano: Option<u64>,
    /// Exemplars; of a histogram at most one for each bucket, in the order of the buckets.
    pub exemplars: &'a [Exemplar],
    /// Whether this is the family's overflow series, which stands for all label sets past the
    /// limit. It has no labels of its own but `otel.metric.overflow="true"`, which encoders write.
    pub is_overflow: bool,
}

impl<'a> Point<'a> {
    /// A point without start time and exemplars.
    #[inline]
    pub fn new(index: usize, labels: Labels<'a>, value: Value<'a>) -> Self {
        Point {
            index,
            labels,
            value,
            start_unix_nano: None,
            exemplars: &[],
            is_overflow: false,
        }
    }

    /// With the time at which it began to count, in nanoseconds since the Unix epoch.
    #[must_use]
    #[inline]
    pub fn with_start(mut self, start_unix_nano: u64) -> Self {
        self.start_unix_nano = Some(start_unix_nano);
        self
    }

    /// With exemplars.
    #[must_use]
    #[inline]
    pub fn with_exemplars(mut self, exemplars: &'a [Exemplar]) -> Self {
        self.exemplars = exemplars;
        self
    }

    /// As the family's overflow series.
    #[must_use]
    #[inline]
    pub fn as_overflow(mut self) -> Self {
        self.is_overflow = true;
        self
    }
}

/// What a series holds.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Value<'a> {
    /// A whole number that is not negative.
    U64(u64),
    /// A whole number.
    I64(i64),
    /// Any number.
    F64(f64),
    /// A histogram's buckets and sum.
    Histogram(HistogramValue<'a>),
    /// An info: its labels say it all.
    Info,
    /// Which states are on: bit `i` stands for `Descriptor::states[i]`.
    StateSet(u64),
}

/// Buckets and sum of a histogram, seen at one instant.
#[derive(Clone, Copy, Debug)]
pub struct HistogramValue<'a> {
    /// The family's bounds.
    pub bounds: &'a Bounds,
    /// Observations in each bucket, not accumulated; one more than there are bounds.
    pub buckets: &'a [u64],
    /// The sum of all observations.
    pub sum: f64,
    /// Whether an observation below zero was ever made, so that the sum has fallen. Once it is set it
    /// stays set for this series.
    pub has_negative: bool,
}

impl HistogramValue<'_> {
    /// How many observations there are: always the sum of the buckets.
    pub fn count(&self) -> u64 {
        self.buckets.iter().fold(0, |sum, n| sum.wrapping_add(*n))
    }

    /// The sum, unless it may fall: unless an observation was negative, or a bound is, which says that
    /// some are expected to be. Readers of OTLP and OpenMetrics treat the sum as a counter.
    ///
    /// What was observed decides and not the sign of the total, so a sum that is left out once does
    /// not come back.
    ///
    /// Source: OpenTelemetry metrics data model, "Histogram"; OpenMetrics 1.0, "Histogram".
    pub fn growing_sum(&self) -> Option<f64> {
        let first = self.bounds.as_slice().first();
        let has_negative_bound = first.is_some_and(|bound| *bound < 0.0);
        // A source other than ours may have summed up NaN, or not know what was observed.
        let grows = !self.has_negative && !has_negative_bound && self.sum >= 0.0;
        grows.then_some(self.sum)
    }
}
