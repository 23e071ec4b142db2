//! Up-down counters: sums that grow and shrink.

use std::fmt;

use barograph_model::descriptor::Kind;

use crate::instruments::counter::Sum;
use crate::instruments::handle::{Handle, Instrument, Sealed};
use crate::instruments::number::Number;
use crate::instruments::spec::Spec;
use crate::series::storage::Layout;

/// A sum that grows and shrinks, such as a number of items in a queue. Clones share storage.
///
/// Unlike a gauge it cannot be set, so that every thread can add in its own cell. Values that are not
/// finite are dropped and counted.
///
/// # Limits
/// An `UpDownCounter<i64>` wraps around between `i64::MAX` and `i64::MIN`. The Prometheus formats and
/// OTLP show all of its values exactly. An `UpDownCounter<f64>` adds integers exactly up to 2^53; past
/// `f64::MAX` it becomes infinite and never finite again.
///
/// ```
/// # extern crate barograph_core as barograph;
/// use barograph::Registry;
/// let queued = Registry::new().up_down_counter("queue.length").build()?;
/// queued.add(3);
/// queued.dec();
/// assert_eq!(queued.get(), 2);
/// # Ok::<(), barograph_core::RegisterError>(())
/// ```
#[derive(Clone)]
pub struct UpDownCounter<N: Number = i64> {
    sum: Sum<N>,
}

impl<N: Number> UpDownCounter<N> {
    /// Adds one.
    #[inline]
    pub fn inc(&self) {
        self.sum.add::<false>(N::ONE);
    }

    /// Subtracts one.
    #[inline]
    pub fn dec(&self) {
        self.sum.add::<false>(N::ONE.negated());
    }

    /// Adds `n`, which may be negative.
    #[inline]
    pub fn add(&self, n: N) {
        self.sum.add::<false>(n);
    }

    /// Adds one now and subtracts it when the guard is dropped.
    #[must_use = "the one is taken away when the guard is dropped"]
    pub fn track(&self) -> UpDownGuard<N> {
        self.inc();
        UpDownGuard {
            counter: self.clone(),
        }
    }

    /// Returns the current sum.
    pub fn get(&self) -> N {
        self.sum.get()
    }
}

impl<N: Number> fmt::Debug for UpDownCounter<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("UpDownCounter")
            .field(&self.sum.handle)
            .finish()
    }
}

impl<N: Number> Sealed for UpDownCounter<N> {}

impl<N: Number> Instrument for UpDownCounter<N> {
    #[inline(always)]
    fn from_handle(handle: Handle) -> Self {
        UpDownCounter {
            sum: Sum::new(handle),
        }
    }

    fn layout(_: &Spec) -> Layout {
        Layout::Sum(N::LAYOUT)
    }

    fn kind() -> Kind {
        Kind::UpDownCounter
    }
}

/// A guard that subtracts one from an up-down counter when dropped.
#[derive(Debug)]
pub struct UpDownGuard<N: Number = i64> {
    counter: UpDownCounter<N>,
}

impl<N: Number> Drop for UpDownGuard<N> {
    fn drop(&mut self) {
        self.counter.dec();
    }
}
