//! Gauges: current values.

#![expect(unsafe_code, reason = "a gauge keeps the address of its cell")]

use std::fmt;
use std::marker::PhantomData;
use std::ptr::NonNull;

use barograph_model::descriptor::Kind;

use crate::instruments::handle::{Handle, Instrument, Sealed};
use crate::instruments::number::Number;
use crate::instruments::spec::Spec;
use crate::series::storage::{Layout, REMOVED_BITS};
use crate::sync::{AtomicU64, Ordering};

/// A current value that can be set, such as a temperature. Clones share storage.
///
/// Every value of the type can be set and is shown as it was set; for `f64` this includes NaN and
/// infinities.
///
/// # Limits
/// Adding to a `Gauge<i64>` wraps around between `i64::MAX` and `i64::MIN`. A `Gauge<f64>` adds as
/// floats do: it becomes infinite past `f64::MAX`, and NaN stays NaN until another value is set.
///
/// ```
/// # extern crate barograph_core as barograph;
/// use barograph::Registry;
/// let registry = Registry::new();
/// let temperature = registry.gauge("room.temperature").with_unit("Cel").build()?;
/// temperature.set(21.5);
/// temperature.sub(0.5);
/// assert_eq!(temperature.get(), 21.0);
/// # Ok::<(), barograph_core::RegisterError>(())
/// ```
#[derive(Clone)]
pub struct Gauge<N: Number = f64> {
    /// Keeps the cell alive.
    handle: Handle,
    /// The cell of the handle's series, cached to save an indirection.
    cell: NonNull<AtomicU64>,
    number: PhantomData<N>,
}

// SAFETY: cells are shared by atomics, and live as long as the storage.
unsafe impl<N: Number> Send for Gauge<N> {}
// SAFETY: as above.
unsafe impl<N: Number> Sync for Gauge<N> {}

impl<N: Number> Gauge<N> {
    /// Sets the value.
    #[inline(always)]
    pub fn set(&self, value: N) {
        let bits = value.to_bits();
        if bits == REMOVED_BITS {
            // The only value that has another meaning in a cell.
            return self.handle.storage().set_to_mark(self.handle.series());
        }
        self.cell().store(bits, Ordering::Relaxed);
    }

    /// Adds one.
    #[inline]
    pub fn inc(&self) {
        self.add(N::ONE);
    }

    /// Subtracts one.
    #[inline]
    pub fn dec(&self) {
        self.sub(N::ONE);
    }

    /// Adds `n`.
    pub fn add(&self, n: N) {
        let mut old = self.cell().load(Ordering::Relaxed);
        loop {
            let new = N::from_bits(old).plus(n).to_bits();
            if old == REMOVED_BITS || new == REMOVED_BITS {
                return self.add_at_mark(n);
            }
            let swap =
                self.cell()
                    .compare_exchange_weak(old, new, Ordering::Relaxed, Ordering::Relaxed);
            match swap {
                Ok(_) => return,
                Err(now) => old = now,
            }
        }
    }

    /// Subtracts `n`.
    #[inline]
    pub fn sub(&self, n: N) {
        self.add(n.negated());
    }

    /// Returns the current value.
    pub fn get(&self) -> N {
        let bits = self.cell().load(Ordering::Relaxed);
        let (storage, series) = (self.handle.storage(), self.handle.series());
        if bits == REMOVED_BITS && !storage.is_at_mark(series) {
            N::ZERO
        } else {
            N::from_bits(bits)
        }
    }

    /// Adds one now and subtracts it when the guard is dropped, to count operations in flight.
    ///
    /// ```
    /// # use barograph_core::registry::Registry;
    /// # let requests = Registry::new().gauge_i64("requests").build()?;
    /// {
    ///     let _in_flight = requests.track();
    ///     assert_eq!(requests.get(), 1);
    /// }
    /// assert_eq!(requests.get(), 0);
    /// # Ok::<(), barograph_core::RegisterError>(())
    /// ```
    #[must_use = "the one is taken away when the guard is dropped"]
    pub fn track(&self) -> InFlightGuard<N> {
        self.inc();
        InFlightGuard {
            gauge: self.clone(),
        }
    }

    /// Adds to a gauge that has the removal mark or would get it. A removed gauge starts again at zero.
    #[cold]
    fn add_at_mark(&self, n: N) {
        let (storage, series) = (self.handle.storage(), self.handle.series());
        storage.change_at_mark(series, |bits| {
            bits.map_or(N::ZERO, N::from_bits).plus(n).to_bits()
        });
    }

    #[inline(always)]
    fn cell(&self) -> &AtomicU64 {
        // SAFETY: it lives as long as the storage.
        unsafe { self.cell.as_ref() }
    }
}

impl<N: Number> fmt::Debug for Gauge<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Gauge").field(&self.handle).finish()
    }
}

impl<N: Number> Sealed for Gauge<N> {}

impl<N: Number> Instrument for Gauge<N> {
    #[inline(always)]
    fn from_handle(handle: Handle) -> Self {
        Gauge {
            cell: NonNull::from(&handle.series().cold().cell),
            handle,
            number: PhantomData,
        }
    }

    fn layout(_: &Spec) -> Layout {
        Layout::Value(N::LAYOUT)
    }

    fn kind() -> Kind {
        Kind::Gauge
    }
}

/// A guard that subtracts one from a gauge when dropped.
#[derive(Debug)]
pub struct InFlightGuard<N: Number = f64> {
    gauge: Gauge<N>,
}

impl<N: Number> Drop for InFlightGuard<N> {
    fn drop(&mut self) {
        self.gauge.dec();
    }
}
