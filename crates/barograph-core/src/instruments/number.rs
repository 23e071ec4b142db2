//! The numbers that counters and gauges hold: `u64`, `i64` and `f64`.

use crate::series::storage;
use crate::stats::Rejection;
use crate::sync::row;
use crate::sync::{AtomicU64, Ordering};

/// A number that an instrument can hold. Implemented for `u64`, `i64` and `f64`.
pub trait Number: Copy + Send + Sync + sealed::Representation + 'static {}

impl Number for u64 {}
impl Number for i64 {}
impl Number for f64 {}

pub(crate) mod sealed {
    use super::{AtomicU64, Rejection, storage};

    /// The representation of a number in a cell.
    pub trait Representation: Sized {
        const ONE: Self;
        const ZERO: Self;
        #[doc(hidden)]
        const LAYOUT: storage::NumberKind;

        fn to_bits(self) -> u64;
        fn from_bits(bits: u64) -> Self;
        fn to_f64(self) -> f64;
        fn plus(self, other: Self) -> Self;
        fn negated(self) -> Self;
        /// Returns why a sum cannot accept the number; negative numbers are refused only if `GROWING`.
        #[doc(hidden)]
        fn refusal<const GROWING: bool>(self) -> Option<Rejection>;
        /// Adds to a cell that other threads write too.
        fn add_shared(self, cell: &AtomicU64);
    }
}

macro_rules! whole {
    ($number:ident, $layout:ident) => {
        impl sealed::Representation for $number {
            const ONE: Self = 1;
            const ZERO: Self = 0;
            const LAYOUT: storage::NumberKind = storage::NumberKind::$layout;

            #[inline(always)]
            fn to_bits(self) -> u64 {
                self as u64
            }

            #[inline(always)]
            fn from_bits(bits: u64) -> Self {
                bits as $number
            }

            fn to_f64(self) -> f64 {
                self as f64
            }

            #[inline(always)]
            fn plus(self, other: Self) -> Self {
                self.wrapping_add(other)
            }

            fn negated(self) -> Self {
                self.wrapping_neg()
            }

            #[inline(always)]
            fn refusal<const GROWING: bool>(self) -> Option<Rejection> {
                #[allow(unused_comparisons, reason = "one macro for signed and unsigned")]
                (GROWING && self < 0).then_some(Rejection::Negative)
            }

            fn add_shared(self, cell: &AtomicU64) {
                cell.fetch_add(self as u64, Ordering::Relaxed);
            }
        }
    };
}

whole!(u64, U64);
whole!(i64, I64);

impl sealed::Representation for f64 {
    const ONE: Self = 1.0;
    const ZERO: Self = 0.0;
    const LAYOUT: storage::NumberKind = storage::NumberKind::F64;

    #[inline(always)]
    fn to_bits(self) -> u64 {
        self.to_bits()
    }

    #[inline(always)]
    fn from_bits(bits: u64) -> Self {
        f64::from_bits(bits)
    }

    fn to_f64(self) -> f64 {
        self
    }

    #[inline(always)]
    fn plus(self, other: Self) -> Self {
        self + other
    }

    fn negated(self) -> Self {
        -self
    }

    #[inline(always)]
    fn refusal<const GROWING: bool>(self) -> Option<Rejection> {
        // One range check accepts finite numbers and, if the sum is growing, refuses negative ones.
        let least = if GROWING { 0.0 } else { f64::MIN };
        if self >= least && self < f64::INFINITY {
            None
        } else if self.is_finite() {
            Some(Rejection::Negative)
        } else {
            Some(Rejection::NotFinite)
        }
    }

    fn add_shared(self, cell: &AtomicU64) {
        row::add_f64(cell, self);
    }
}
