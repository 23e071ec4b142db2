//! The bucket bounds of explicit histograms.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

/// The upper bounds of a histogram's buckets: finite, increasing, each inclusive (`le`).
///
/// One more bucket, up to infinity, follows the last bound. Clones share storage.
#[derive(Clone, Debug, PartialEq)]
pub struct Bounds(Arc<[f64]>);

impl Bounds {
    /// The most buckets that a histogram can have, including the one up to infinity.
    pub const MAX_BUCKETS: usize = 1024;

    /// Returns custom bounds.
    ///
    /// # Errors
    /// [`InvalidBounds`] if a bound is not finite or does not increase, or there are too many.
    ///
    /// ```
    /// # mod barograph {
    /// #     pub use barograph_model::bounds::Bounds;
    /// # }
    /// use barograph::Bounds;
    /// assert_eq!(Bounds::new([0.1, 0.5, 1.0])?.as_slice(), [0.1, 0.5, 1.0]);
    /// assert!(Bounds::new([1.0, 0.5]).is_err());
    /// # Ok::<(), barograph_model::bounds::InvalidBounds>(())
    /// ```
    pub fn new(bounds: impl Into<Vec<f64>>) -> Result<Self, InvalidBounds> {
        let bounds = bounds.into();
        if bounds.len() >= Self::MAX_BUCKETS {
            return Err(InvalidBounds::TooMany {
                count: bounds.len(),
            });
        }
        if let Some(&bound) = bounds.iter().find(|b| !b.is_finite()) {
            return Err(InvalidBounds::NotFinite { bound });
        }
        if let Some(pair) = bounds.windows(2).find(|pair| pair[0] >= pair[1]) {
            return Err(InvalidBounds::NotRising {
                bound: pair[1],
                after: pair[0],
            });
        }
        // -0.0 and 0.0 are one bound, which must not be written in two ways.
        Ok(Bounds(bounds.into_iter().map(|b| b + 0.0).collect()))
    }

    /// Returns `count` bounds from `start` on, `width` apart.
    ///
    /// # Errors
    /// Fails like [`Bounds::new`], for example if `width` is not positive.
    pub fn linear(start: f64, width: f64, count: usize) -> Result<Self, InvalidBounds> {
        Self::generate(count, |i| start + width * i as f64)
    }

    /// Returns `count` bounds from `start` on, each `factor` times the one before.
    ///
    /// # Errors
    /// Fails like [`Bounds::new`], for example if `factor` is not greater than one.
    pub fn exponential(start: f64, factor: f64, count: usize) -> Result<Self, InvalidBounds> {
        Self::generate(count, |i| start * factor.powi(i as i32))
    }

    fn generate(count: usize, bound: impl Fn(usize) -> f64) -> Result<Self, InvalidBounds> {
        if count >= Self::MAX_BUCKETS {
            return Err(InvalidBounds::TooMany { count });
        }
        Self::new((0..count).map(bound).collect::<Vec<_>>())
    }

    /// Returns bounds in seconds, for requests: the 14 bounds of the HTTP semantic conventions.
    pub fn http_seconds() -> Self {
        Self::known(&[
            0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0,
        ])
    }

    /// Returns bounds in seconds, from 1 ms to 10 s.
    pub fn latency() -> Self {
        Self::known(&[
            0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
        ])
    }

    /// Returns bounds in bytes, from 1 KiB to 100 MiB.
    pub fn sizes() -> Self {
        const KIB: f64 = 1024.0;
        const MIB: f64 = 1024.0 * KIB;
        Self::known(&[
            KIB,
            4.0 * KIB,
            16.0 * KIB,
            64.0 * KIB,
            256.0 * KIB,
            MIB,
            4.0 * MIB,
            16.0 * MIB,
            64.0 * MIB,
            100.0 * MIB,
        ])
    }

    /// Returns bounds for rates per second, from 1 to 100,000.
    pub fn throughput() -> Self {
        Self::known(&[1.0, 5.0, 10.0, 50.0, 100.0, 500.0, 1e3, 5e3, 1e4, 5e4, 1e5])
    }

    /// Returns the default bounds of OpenTelemetry, for values of any unit but seconds.
    pub fn otel_default() -> Self {
        Self::known(&[
            0.0, 5.0, 10.0, 25.0, 50.0, 75.0, 100.0, 250.0, 500.0, 750.0, 1e3, 2.5e3, 5e3, 7.5e3,
            1e4,
        ])
    }

    fn known(bounds: &[f64]) -> Self {
        Bounds(bounds.into())
    }

    /// Returns the bounds, in increasing order.
    #[inline]
    pub fn as_slice(&self) -> &[f64] {
        &self.0
    }

    /// Returns the number of buckets: one more than bounds.
    pub fn buckets(&self) -> usize {
        self.0.len() + 1
    }

    /// Returns the bucket that `value` falls into: the first whose bound is not less.
    pub fn bucket_of(&self, value: f64) -> usize {
        self.0.partition_point(|bound| *bound < value)
    }
}

/// The error of invalid bounds.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum InvalidBounds {
    /// A bound is NaN or infinite; the bucket up to infinity always exists.
    NotFinite {
        /// The offending bound.
        bound: f64,
    },
    /// A bound is not greater than the one before it.
    NotRising {
        /// The offending bound.
        bound: f64,
        /// The one before it.
        after: f64,
    },
    /// There are more bounds than [`Bounds::MAX_BUCKETS`] leaves room for.
    TooMany {
        /// The number of bounds.
        count: usize,
    },
}

impl fmt::Display for InvalidBounds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            InvalidBounds::NotFinite { bound } => {
                write!(f, "invalid bucket bound {bound}: expected a finite number")
            }
            InvalidBounds::NotRising { bound, after } => {
                write!(
                    f,
                    "invalid bucket bound {bound}: expected more than {after}"
                )
            }
            InvalidBounds::TooMany { count } => write!(
                f,
                "{count} bucket bounds: expected at most {}",
                Bounds::MAX_BUCKETS - 1
            ),
        }
    }
}

impl Error for InvalidBounds {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ready_made_bounds_would_pass_the_check() {
        for bounds in [
            Bounds::http_seconds(),
            Bounds::latency(),
            Bounds::sizes(),
            Bounds::throughput(),
            Bounds::otel_default(),
        ] {
            assert_eq!(Bounds::new(bounds.as_slice().to_vec()), Ok(bounds));
        }
        assert_eq!(Bounds::http_seconds().buckets(), 15);
    }

    #[test]
    fn makers_give_rising_bounds_or_say_why_not() {
        assert_eq!(
            Bounds::linear(1.0, 2.0, 3).unwrap().as_slice(),
            [1.0, 3.0, 5.0]
        );
        assert_eq!(
            Bounds::exponential(1.0, 2.0, 4).unwrap().as_slice(),
            [1.0, 2.0, 4.0, 8.0]
        );
        let message = |bounds: Result<Bounds, InvalidBounds>| bounds.unwrap_err().to_string();
        assert_eq!(
            message(Bounds::linear(1.0, 0.0, 2)),
            "invalid bucket bound 1: expected more than 1"
        );
        assert_eq!(
            message(Bounds::exponential(1.0, f64::NAN, 2)),
            "invalid bucket bound NaN: expected a finite number"
        );
        assert_eq!(
            message(Bounds::linear(0.0, 1.0, 5000)),
            "5000 bucket bounds: expected at most 1023"
        );
    }

    #[test]
    fn a_value_on_a_bound_belongs_to_that_bucket() {
        let bounds = Bounds::new([1.0, 2.0]).unwrap();
        let buckets = [0.5, 1.0, 1.5, 2.0, 2.5].map(|v| bounds.bucket_of(v));
        assert_eq!(buckets, [0, 0, 1, 1, 2]);
    }
}
