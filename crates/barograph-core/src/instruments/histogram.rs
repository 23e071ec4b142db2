//! Histograms with explicit buckets.

#![expect(unsafe_code, reason = "the thread's own row is written without checks")]

use std::fmt;
use std::ptr::NonNull;

use barograph_model::context::TraceContext;
use barograph_model::descriptor::Kind;

use crate::clock::Stopwatch;
use crate::instruments::handle::{Handle, Instrument, Sealed};
use crate::instruments::spec::Spec;
use crate::series::buckets::Buckets;
use crate::series::storage::Layout;
use crate::series::thread::{self, POOL};
use crate::stats::Rejection;
use crate::sync::Ordering;
use crate::sync::row;

/// Observations counted in buckets, with their sum. Clones share storage.
///
/// Observing never fails, blocks or allocates. NaN and infinities are dropped and counted as rejected:
/// they are in no bucket and not in the sum, and become no exemplar.
///
/// Negative values are counted in their bucket like others. Once a series has observed one, its sum can
/// decrease, so from then on the sum is omitted from OTLP and, together with the count, from
/// OpenMetrics, where `le="+Inf"` has the count; the Prometheus text format continues to show both.
/// The sum stays left out until the series is removed and released.
///
/// # Limits
/// Bucket counts wrap around to 0 past `u64::MAX`. The sum is a float: past `f64::MAX` it becomes
/// infinite and stays infinite.
///
/// ```
/// # extern crate barograph_core as barograph;
/// use barograph::Registry;
/// let registry = Registry::new();
/// let seconds = registry.histogram("job.duration").with_unit("s").build()?;
/// seconds.observe(0.25);
/// {
///     let _timer = seconds.start_timer();
/// }
/// assert_eq!(registry.value("job.duration", &[]), Some(2.0));
/// # Ok::<(), barograph_core::RegisterError>(())
/// ```
#[derive(Clone)]
pub struct Histogram {
    handle: Handle,
    /// The buckets of the handle's storage, cached to save an indirection.
    buckets: NonNull<Buckets>,
}

// SAFETY: buckets do not change, and live as long as the storage.
unsafe impl Send for Histogram {}
// SAFETY: as above.
unsafe impl Sync for Histogram {}

impl Histogram {
    /// Counts one observation.
    #[inline(always)]
    pub fn observe(&self, value: f64) {
        // One comparison covers all: the bits of infinity, NaN and negative numbers are not smaller.
        if value.to_bits() >= f64::INFINITY.to_bits() {
            return self.observe_unusual(value);
        }
        self.count(value);
    }

    /// Drops values that are not finite, and notes negative ones.
    #[cold]
    #[inline(never)]
    fn observe_unusual(&self, value: f64) {
        let (series, storage) = (self.handle.series(), self.handle.storage());
        if !value.is_finite() {
            return storage.reject(Rejection::NotFinite, value);
        }
        // Not -0.0, which counts as zero.
        if value < 0.0 && series.cold().note_negative() {
            storage.report_negative(value);
        }
        self.count(value);
    }

    #[inline(always)]
    fn count(&self, value: f64) {
        let bucket = self.buckets().bucket_of(value);
        // Acquire: pairs with the Release in `Storage::promote`.
        let slot = self.handle.series().hot.load(Ordering::Acquire);
        if let Some(block) = thread::fast_block()
            && let Some(row) = block.row(slot)
        {
            // SAFETY: rows of this series have as many buckets as its family, and live while there
            // is a handle. The block is leased by this thread.
            unsafe { row::observe_owned(row, bucket, value) };
        } else if let Some(block) = thread::leased_block()
            && let Some(row) = block.row(slot)
        {
            // Inside a trace that is sampled or a tail-sampling candidate; otherwise the block would be
            // the fast one.
            // SAFETY: as above.
            unsafe { row::observe_owned(row, bucket, value) };
            let storage = self.handle.storage();
            storage.record_exemplar_in_trace(self.handle.series(), bucket, value);
        } else {
            self.observe_without_row(slot, bucket, value);
        }
    }

    /// Counts an observation when this thread has no row yet.
    #[inline(never)]
    fn observe_without_row(&self, slot: u32, bucket: usize, value: f64) {
        let (series, storage) = (self.handle.series(), self.handle.storage());
        if !self.observe_in_own_row(slot, bucket, value) {
            let shared = storage.shared_row(series, self.buckets().len());
            let is_free = shared.try_observe_shared(bucket, value);
            if slot == 0 && (!is_free || thread::is_promotion_due()) {
                storage.promote(series);
            }
            // Acquire: pairs with the Release in `Storage::promote`.
            let slot = series.hot.load(Ordering::Acquire);
            if !is_free && !self.observe_in_own_row(slot, bucket, value) {
                shared.add(bucket, value);
            }
        }
        storage.record_exemplar(series, bucket, value);
    }

    /// Counts in the row of this thread, made if needed. Returns false if no row is available.
    fn observe_in_own_row(&self, slot: u32, bucket: usize, value: f64) -> bool {
        let block = if slot == 0 { None } else { thread::block() };
        let row = block.and_then(|block| POOL.make_row(block, slot, self.buckets().len()));
        if let Some(row) = row {
            // SAFETY: as in `count`.
            unsafe { row::observe_owned(row, bucket, value) };
        }
        row.is_some()
    }

    #[inline(always)]
    fn buckets(&self) -> &Buckets {
        // SAFETY: they live as long as the storage.
        unsafe { self.buckets.as_ref() }
    }

    /// Counts one observation and stores it as an exemplar of this trace, whatever the filter is.
    pub fn observe_with_exemplar(&self, value: f64, context: TraceContext) {
        self.observe(value);
        if value.is_finite() {
            let bucket = self.buckets().bucket_of(value);
            let storage = self.handle.storage();
            storage.store_exemplar(self.handle.series(), bucket, value, Some(context));
        }
    }

    /// Starts a timer that observes the elapsed seconds when the guard is dropped.
    #[must_use = "the time is taken when the guard is dropped"]
    pub fn start_timer(&self) -> TimerGuard {
        TimerGuard {
            histogram: Some(self.clone()),
            start: Stopwatch::start(),
        }
    }
}

impl fmt::Debug for Histogram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Histogram").field(&self.handle).finish()
    }
}

impl Sealed for Histogram {}

impl Instrument for Histogram {
    #[inline(always)]
    fn from_handle(handle: Handle) -> Self {
        let Layout::Histogram(buckets) = &handle.storage().layout else {
            unreachable!("registration compares the kinds");
        };
        let buckets = NonNull::from(&**buckets);
        Histogram { handle, buckets }
    }

    fn layout(spec: &Spec) -> Layout {
        Layout::Histogram(Box::new(Buckets::new(spec.bounds())))
    }

    fn kind() -> Kind {
        Kind::Histogram
    }
}

/// A guard that observes, when dropped, the seconds since it was made.
#[derive(Debug)]
pub struct TimerGuard {
    histogram: Option<Histogram>,
    start: Stopwatch,
}

impl TimerGuard {
    /// Drops the guard without an observation.
    pub fn discard(mut self) {
        self.histogram = None;
    }
}

impl Drop for TimerGuard {
    fn drop(&mut self) {
        if let Some(histogram) = &self.histogram {
            histogram.observe(self.start.elapsed().as_secs_f64());
        }
    }
}
