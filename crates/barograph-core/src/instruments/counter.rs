//! Counters: sums that only grow.

use std::fmt;
use std::marker::PhantomData;

use barograph_model::context::TraceContext;
use barograph_model::descriptor::Kind;

use crate::instruments::handle::{Handle, Instrument, Sealed};
use crate::instruments::number::Number;
use crate::instruments::spec::Spec;
use crate::series::storage::Layout;
use crate::series::thread::{self, POOL};
use crate::sync::{AtomicU64, Ordering};

/// A sum that only grows. Clones share storage.
///
/// Adding never fails, blocks or allocates. A `Counter<f64>` drops values that are negative or not
/// finite and counts them in [`Stats`](crate::stats::Stats).
///
/// # Limits
/// A `Counter<u64>` wraps around to 0 past `u64::MAX`; readers take that for a reset. The Prometheus
/// formats show all of its digits. OTLP has only signed integers: a sum above `i64::MAX` is exported as
/// a double, rounded to 53 bits.
///
/// A `Counter<f64>` adds integers exactly up to 2^53. Past `f64::MAX` it becomes infinite and stays
/// infinite.
///
/// ```
/// # extern crate barograph_core as barograph;
/// use barograph::Registry;
/// let registry = Registry::new();
/// let orders = registry.counter("orders").with_help("Orders placed.").build()?;
/// orders.inc();
/// orders.clone().add(2);
/// assert_eq!(orders.get(), 3);
/// # Ok::<(), barograph_core::RegisterError>(())
/// ```
#[derive(Clone)]
pub struct Counter<N: Number = u64> {
    sum: Sum<N>,
}

impl<N: Number> Counter<N> {
    /// Adds one.
    #[inline(always)]
    pub fn inc(&self) {
        self.sum.add::<true>(N::ONE);
    }

    /// Adds `n`.
    #[inline(always)]
    pub fn add(&self, n: N) {
        self.sum.add::<true>(n);
    }

    /// Adds `n` and stores it as an exemplar of this trace, whatever the filter is.
    pub fn add_with_exemplar(&self, n: N, context: TraceContext) {
        self.sum.add::<true>(n);
        if n.refusal::<true>().is_none() {
            let series = self.sum.handle.series();
            let storage = self.sum.handle.storage();
            storage.store_exemplar(series, 0, n.to_f64(), Some(context));
        }
    }

    #[cfg(all(test, loom))]
    pub(crate) fn handle(&self) -> &Handle {
        &self.sum.handle
    }

    /// Returns the current sum. For tests and admin pages: it adds up the cells of all threads.
    pub fn get(&self) -> N {
        self.sum.get()
    }
}

impl<N: Number> fmt::Debug for Counter<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Counter").field(&self.sum.handle).finish()
    }
}

impl<N: Number> Sealed for Counter<N> {}

impl<N: Number> Instrument for Counter<N> {
    #[inline(always)]
    fn from_handle(handle: Handle) -> Self {
        Counter {
            sum: Sum::new(handle),
        }
    }

    fn layout(_: &Spec) -> Layout {
        Layout::Sum(N::LAYOUT)
    }

    fn kind() -> Kind {
        Kind::Counter
    }
}

/// A sum that all threads add to, each in its own cell once the series is busy.
#[derive(Clone)]
pub(crate) struct Sum<N> {
    pub(crate) handle: Handle,
    number: PhantomData<N>,
}

impl<N: Number> Sum<N> {
    #[inline(always)]
    pub(crate) fn new(handle: Handle) -> Self {
        Sum {
            handle,
            number: PhantomData,
        }
    }

    #[inline(always)]
    pub(crate) fn add<const GROWING: bool>(&self, n: N) {
        if n.refusal::<GROWING>().is_some() {
            return self.reject::<GROWING>(n);
        }
        // Acquire: pairs with the Release in `Storage::promote`.
        let slot = self.handle.series().hot.load(Ordering::Acquire);
        if let Some(block) = thread::fast_block()
            && let Some(cell) = block.cell(slot)
        {
            add_owned(cell, n);
        } else {
            self.add_slowly(n);
        }
    }

    /// Adds when an exemplar may be due or the thread has no cell yet. Its calls are tail calls: inside
    /// a sampled trace this is the hot path.
    #[inline(never)]
    fn add_slowly(&self, n: N) {
        let series = self.handle.series();
        // Acquire: pairs with the Release in `Storage::promote`.
        let slot = series.hot.load(Ordering::Acquire);
        if let Some(block) = thread::leased_block()
            && let Some(cell) = block.cell(slot)
        {
            add_owned(cell, n);
            // Inside a trace that is sampled or a tail-sampling candidate; otherwise the block would be
            // the fast one.
            self.handle
                .storage()
                .record_exemplar_in_trace(series, 0, n.to_f64());
        } else {
            self.add_without_cell(slot, n);
        }
    }

    #[inline(never)]
    fn add_without_cell(&self, slot: u32, n: N) {
        let (series, storage) = (self.handle.series(), self.handle.storage());
        if slot != 0
            && let Some(block) = thread::block()
            && let Some(cell) = POOL.make_cell(block, slot)
        {
            add_owned(cell, n);
        } else {
            n.add_shared(&series.cold().cell);
            if slot == 0 && thread::is_promotion_due() {
                storage.promote(series);
            }
        }
        storage.record_exemplar(series, 0, n.to_f64());
    }

    #[cold]
    fn reject<const GROWING: bool>(&self, n: N) {
        if let Some(reason) = n.refusal::<GROWING>() {
            self.handle.storage().reject(reason, n.to_f64());
        }
    }

    pub(crate) fn get(&self) -> N {
        N::from_bits(self.handle.storage().sum_bits(self.handle.series()))
    }
}

/// Adds to a cell that only this thread writes: it needs no lock prefix, and no update can be lost.
#[inline(always)]
fn add_owned<N: Number>(cell: &AtomicU64, n: N) {
    let sum = N::from_bits(cell.load(Ordering::Relaxed)).plus(n);
    cell.store(sum.to_bits(), Ordering::Relaxed);
}
