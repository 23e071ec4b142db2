//! Histograms with explicit buckets.

#![expect(unsafe_code, reason = "the thread's own row is written without checks")]

use std::ptr::NonNull;

use barograph_model::context::TraceContext;
use barograph_model::descriptor::Kind;

use crate::buckets::Buckets;
use crate::clock::Stopwatch;
use crate::handle::{Handle, Instrument, Sealed};
use crate::row;
use crate::spec::Spec;
use crate::stats::Rejection;
use crate::storage::Layout;
use crate::sync::Ordering;
use crate::thread::{self, POOL};

/// Observations counted in buckets, and their sum. Clones share storage.
///
/// Observing never fails, blocks or allocates. NaN and infinities are dropped and counted: they are in
/// no bucket, not in the sum, and become no exemplar.
///
/// Negative values are counted in their bucket like others. Once a series has observed one its sum can
/// fall, so from then on the sum is left out of OTLP and, together with the count, of OpenMetrics,
/// where `le="+Inf"` says the same; the text format goes on to show both. That holds until the series
/// is removed and released.
///
/// # Limits
/// Buckets count up to `u64::MAX` and wrap around to 0. The sum is a float: past `f64::MAX` it becomes
/// infinite, and stays so.
///
/// ```
/// use barograph_core::registry::Registry;
/// let registry = Registry::new();
/// let seconds = registry.histogram("job.duration").with_unit("s").register()?;
/// seconds.observe(0.25);
/// {
///     let _timer = seconds.start_timer();
/// }
/// assert_eq!(registry.value("job.duration", &[]), Some(2.0));
/// # Ok::<(), barograph_core::spec::RegisterError>(())
/// ```
#[derive(Clone)]
pub struct Histogram {
    handle: Handle,
    /// Those of the handle's storage, one step nearer.
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
        // One comparison for all: the bits of infinity, of NaN and of negative numbers are larger.
        if value.to_bits() >= f64::INFINITY.to_bits() {
            return self.observe_unusual(value);
        }
        self.count(value);
    }

    /// Drops what is no number, and notes what is negative.
    #[cold]
    #[inline(never)]
    fn observe_unusual(&self, value: f64) {
        let (series, storage) = (self.handle.series(), self.handle.storage());
        if !value.is_finite() {
            return storage.reject(Rejection::NotFinite, value);
        }
        // Not -0.0, which is as good as zero.
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
            // Inside of a trace that is sampled or may be kept, else the block would be the fast one.
            // SAFETY: as above.
            unsafe { row::observe_owned(row, bucket, value) };
            let storage = self.handle.storage();
            storage.offer_inside(self.handle.series(), bucket, value);
        } else {
            self.observe_without_row(slot, bucket, value);
        }
    }

    /// Counts where this thread has no row yet.
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
        storage.offer(series, bucket, value);
    }

    /// Counts in the row of this thread, made if need be. False where there is none to be had.
    fn observe_in_own_row(&self, slot: u32, bucket: usize, value: f64) -> bool {
        let block = if slot == 0 { None } else { thread::block() };
        let row = block.and_then(|block| POOL.make_row(block, slot, self.buckets().len()));
        if let Some(row) = row {
            // SAFETY: as in `observe`.
            unsafe { row::observe_owned(row, bucket, value) };
        }
        row.is_some()
    }

    #[inline(always)]
    fn buckets(&self) -> &Buckets {
        // SAFETY: they live as long as the storage.
        unsafe { self.buckets.as_ref() }
    }

    /// Counts one observation, and keeps it as an exemplar of this trace whatever the filter says.
    pub fn observe_with_exemplar(&self, value: f64, context: TraceContext) {
        self.observe(value);
        if value.is_finite() {
            let bucket = self.buckets().bucket_of(value);
            let storage = self.handle.storage();
            storage.keep(self.handle.series(), bucket, value, Some(context));
        }
    }

    /// Observes the seconds until the guard is dropped.
    #[must_use = "the time is taken when the guard is dropped"]
    pub fn start_timer(&self) -> TimerGuard {
        TimerGuard {
            histogram: Some(self.clone()),
            start: Stopwatch::start(),
        }
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

/// Observes, when dropped, the seconds since it was made.
pub struct TimerGuard {
    histogram: Option<Histogram>,
    start: Stopwatch,
}

impl TimerGuard {
    /// Observes nothing.
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
