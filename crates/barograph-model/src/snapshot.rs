//! Snapshots of all families, as streams: sources provide them and every encoder reads them.
//!
//! A million series are never made into a million objects. A [`Source`] returns its families, one
//! shared pointer each; a reader then walks the series of a family in batches and keeps its own cursor.
//! So it can stop between two batches, for as long as a slow client needs, without holding anything but
//! those pointers.
//!
//! **Invariant:** reading changes nothing. Any number of readers may walk at once, and a reader that
//! needs deltas keeps the values it saw last.

use std::sync::Arc;

use crate::bounds::Bounds;
use crate::descriptor::Descriptor;
use crate::exemplar::Exemplar;
use crate::label::Labels;

/// A source of snapshots. Its families are part of scrapes and of exports.
///
/// ```
/// use std::sync::Arc;
/// # mod barograph {
/// #     pub mod source {
/// #         pub use barograph_model::descriptor::{Descriptor, Kind};
/// #         pub use barograph_model::label::Labels;
/// #         pub use barograph_model::snapshot::{FamilyView, Point, Source, Value};
/// #     }
/// # }
/// use barograph::source::{Descriptor, FamilyView, Kind, Labels, Point, Source, Value};
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
    /// Returns every family there is now, in the order in which they were registered.
    ///
    /// Called once for each scrape or export, from any thread, also from several at once. Callbacks run
    /// here; it may take as long as they take.
    fn collect(&self) -> Vec<Arc<dyn FamilyView>>;
}

/// One family in a snapshot.
pub trait FamilyView: Send + Sync {
    /// Returns its descriptor.
    fn descriptor(&self) -> Arc<Descriptor>;

    /// Shows some series from the cursor `from` on (0 at the start), and returns the cursor for those
    /// that follow, or `None` at the end.
    ///
    /// A call shows few enough series (some hundreds) that whatever it holds is released soon. Series
    /// that are added after the first call may be shown or not. No series is shown twice.
    fn read(&self, from: usize, show: &mut dyn FnMut(&Point<'_>)) -> Option<usize>;

    /// Returns true if it is known that no two series have the same labels, and that no label name
    /// occurs twice in one. Readers check the other families.
    fn labels_are_unique(&self) -> bool {
        false
    }
}

/// The value of one series at the moment it is read.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Point<'a> {
    /// A small number that stays with a series as long as it lives; no other series of the family has
    /// it meanwhile. A reader that keeps last values can use it as an index. When a series comes back
    /// after its removal, or another takes its place, `start_unix_nano` has increased.
    pub index: usize,
    /// Its labels, without the family's constant ones.
    pub labels: Labels<'a>,
    /// Its value.
    pub value: Value<'a>,
    /// The time at which it began to count, in nanoseconds since the Unix epoch. `None` if unknown.
    pub start_unix_nano: Option<u64>,
    /// Exemplars; for a histogram at most one for each bucket, in the order of the buckets.
    pub exemplars: &'a [Exemplar],
    /// True if this is the family's overflow series, which stands for all label sets past the limit.
    /// Its only label is `otel.metric.overflow="true"`, which encoders write.
    pub is_overflow: bool,
}

impl<'a> Point<'a> {
    /// Returns a point without start time and exemplars.
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

    /// Sets the time at which it began to count, in nanoseconds since the Unix epoch.
    #[must_use]
    #[inline]
    pub fn with_start(mut self, start_unix_nano: u64) -> Self {
        self.start_unix_nano = Some(start_unix_nano);
        self
    }

    /// Sets the exemplars.
    #[must_use]
    #[inline]
    pub fn with_exemplars(mut self, exemplars: &'a [Exemplar]) -> Self {
        self.exemplars = exemplars;
        self
    }

    /// Marks the point as the family's overflow series.
    #[must_use]
    #[inline]
    pub fn as_overflow(mut self) -> Self {
        self.is_overflow = true;
        self
    }
}

/// The value of a series.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Value<'a> {
    /// An integer that is not negative.
    U64(u64),
    /// An integer.
    I64(i64),
    /// A float.
    F64(f64),
    /// A histogram's buckets and sum.
    Histogram(HistogramValue<'a>),
    /// An info, which consists of its labels.
    Info,
    /// The states that are on: bit `i` stands for `Descriptor::states[i]`.
    StateSet(u64),
}

/// The buckets and the sum of a histogram, read at one moment.
#[derive(Clone, Copy, Debug)]
pub struct HistogramValue<'a> {
    /// The family's bounds.
    pub bounds: &'a Bounds,
    /// The number of observations in each bucket, not cumulative; one more than there are bounds.
    pub buckets: &'a [u64],
    /// The sum of all observations.
    pub sum: f64,
    /// True if a negative value was ever observed, so that the sum has decreased. Once it is set it
    /// stays set for this series.
    pub has_negative: bool,
}

impl HistogramValue<'_> {
    /// Returns the number of observations: always the sum of the buckets.
    pub fn count(&self) -> u64 {
        self.buckets.iter().fold(0, |sum, n| sum.wrapping_add(*n))
    }

    /// Returns the sum, unless it can decrease because an observation was negative, or because a bound
    /// is negative, which shows that negative values are expected. Readers of OTLP and OpenMetrics
    /// treat the sum as a counter.
    ///
    /// The observations decide and not the sign of the total, so a sum that is once left out does not
    /// come back.
    ///
    /// Source: OpenTelemetry metrics data model, "Histogram"; OpenMetrics 1.0, "Histogram".
    pub fn growing_sum(&self) -> Option<f64> {
        let first = self.bounds.as_slice().first();
        let has_negative_bound = first.is_some_and(|bound| *bound < 0.0);
        // A foreign source may have summed up NaN, or not know what was observed.
        let grows = !self.has_negative && !has_negative_bound && self.sum >= 0.0;
        grows.then_some(self.sum)
    }
}
