//! Finds the bucket of a value in a time that does not depend on the value.
//!
//! A float's exponent and first mantissa bits, read as an integer, grow with the float. They index a
//! small list that gives the first bucket the value can be in; with enough mantissa bits at most two
//! bounds lie in the range of one entry, so two comparisons decide. Bounds that would need more than
//! [`MOST_MANTISSA_BITS`] are found by binary search.

#![expect(unsafe_code, reason = "indices are bounded by how the list is made")]

use barograph_model::bounds::Bounds;

const MOST_MANTISSA_BITS: u32 = 8;

/// The bounds of a histogram and the list that finds a bucket.
#[derive(Debug)]
#[doc(hidden)]
pub struct Buckets {
    bounds: Bounds,
    shift: u32,
    first: i64,
    last: i64,
    /// The first candidate bucket for each key from `first` on. Empty if the bounds are searched.
    starts: Box<[u16]>,
    /// The bounds, followed by two that no value exceeds.
    padded: Box<[f64]>,
}

impl Buckets {
    pub(crate) fn new(bounds: Bounds) -> Self {
        let mut padded = bounds.as_slice().to_vec();
        padded.extend([f64::INFINITY; 2]);
        let mut buckets = Buckets {
            bounds,
            shift: 52,
            first: 0,
            last: 0,
            starts: [].into(),
            padded: padded.into(),
        };
        for mantissa_bits in 0..=MOST_MANTISSA_BITS {
            if buckets.index_by(52 - mantissa_bits) {
                break;
            }
        }
        buckets
    }

    pub(crate) fn bounds(&self) -> &Bounds {
        &self.bounds
    }

    pub(crate) fn len(&self) -> usize {
        self.bounds.buckets()
    }

    /// Builds the list of starts. Returns false if no bound is positive, the list would be too long, or
    /// the range of an entry would hold more than two bounds.
    fn index_by(&mut self, shift: u32) -> bool {
        let bounds = self.bounds.as_slice();
        let key = |value: f64| value.to_bits() as i64 >> shift;
        let Some(first) = bounds.iter().copied().find(|bound| *bound > 0.0).map(key) else {
            // No bound is positive: rare enough to fall back to the search.
            return false;
        };
        let last = key(bounds[bounds.len() - 1]) + 1;
        if last - first > 4096 {
            return false;
        }
        let mut starts = Vec::new();
        for k in first..=last {
            // The first entry covers everything below it, including negative values; the last one
            // everything above it.
            let least = if k == first {
                f64::NEG_INFINITY
            } else {
                f64::from_bits((k << shift) as u64).min(f64::MAX)
            };
            let most = if k == last {
                f64::MAX
            } else {
                f64::from_bits((((k + 1) << shift) - 1) as u64)
            };
            let start = self.bounds.bucket_of(least);
            if self.bounds.bucket_of(most) - start > 2 {
                return false;
            }
            starts.push(u16::try_from(start).expect("at most 1,024 buckets"));
        }
        self.shift = shift;
        self.first = first;
        self.last = last;
        self.starts = starts.into();
        true
    }

    /// Returns the bucket of a finite value: the first whose bound is not less than the value.
    #[inline(always)]
    pub(crate) fn bucket_of(&self, value: f64) -> usize {
        if self.starts.is_empty() {
            return self.bounds.bucket_of(value);
        }
        // A negative float is a negative integer here and is clamped to the first entry.
        let key = (value.to_bits() as i64 >> self.shift) - self.first;
        let key = key.max(0).min(self.last - self.first);
        // SAFETY: the list has an entry for each key from `first` to `last`.
        let start = usize::from(unsafe { *self.starts.get_unchecked(key as usize) });
        // SAFETY: a start is at most the number of bounds, and two more follow them.
        let bound = |i: usize| unsafe { *self.padded.get_unchecked(start + i) };
        start + usize::from(bound(0) < value) + usize::from(bound(1) < value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn agree(buckets: &Buckets, value: f64) {
        let expected = buckets.bounds.bucket_of(value);
        assert_eq!(
            buckets.bucket_of(value),
            expected,
            "{value:e} in {:?}",
            buckets.bounds
        );
    }

    #[test]
    fn every_bound_and_its_neighbors_fall_where_a_search_finds_them() {
        let many = Bounds::exponential(0.001, 1.05, 256).unwrap();
        let lines = Bounds::linear(1.0, 1.0, 64).unwrap();
        let dense = Bounds::linear(1.0, 1e-9, 500).unwrap();
        let negative = Bounds::new([-2.0, -1.0, 0.0]).unwrap();
        let around_zero = Bounds::new([-1.0, -0.5, 0.0, 0.5]).unwrap();
        let none = Bounds::new([]).unwrap();
        let tiny = Bounds::new([f64::MIN_POSITIVE / 4.0, f64::MAX]).unwrap();
        for bounds in [
            Bounds::http_seconds(),
            Bounds::latency(),
            Bounds::sizes(),
            Bounds::throughput(),
            Bounds::otel_default(),
            many,
            lines,
            dense,
            negative,
            around_zero,
            none,
            tiny,
        ] {
            let buckets = Buckets::new(bounds);
            for bound in buckets.bounds.as_slice() {
                for value in [bound.next_down(), *bound, bound.next_up()] {
                    if value.is_finite() {
                        agree(&buckets, value);
                        agree(&buckets, -value);
                    }
                }
            }
            for value in [0.0, -0.0, 5e-324, f64::MIN_POSITIVE, f64::MAX, f64::MIN] {
                agree(&buckets, value);
            }
        }
    }

    #[test]
    fn ready_made_bounds_are_not_searched() {
        for bounds in [
            Bounds::http_seconds(),
            Bounds::latency(),
            Bounds::sizes(),
            Bounds::throughput(),
            Bounds::otel_default(),
        ] {
            assert!(!Buckets::new(bounds).starts.is_empty());
        }
    }

    proptest! {
        #[test]
        fn any_bounds_and_value_agree_with_a_search(
            mut bounds in prop::collection::vec(-1e3f64..1e6, 0..40),
            values in prop::collection::vec(prop::num::f64::NORMAL | prop::num::f64::SUBNORMAL | prop::num::f64::ZERO, 20),
            near in prop::collection::vec(-1e3f64..1e6, 20),
        ) {
            bounds.sort_by(f64::total_cmp);
            bounds.dedup();
            let buckets = Buckets::new(Bounds::new(bounds).unwrap());
            for value in values.into_iter().chain(near) {
                agree(&buckets, value);
            }
        }
    }
}
