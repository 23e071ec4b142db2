//! A token bucket: a limit of a number per second.
//!
//! # Protocol
//!
//! One word holds the time until which all tokens are taken. A caller takes a token by moving that
//! time forward by the interval of one token, unless it would then be further ahead of now than the
//! depth of the bucket. Threads do so by compare and swap; a thread that loses the race tries
//! again. The word guards no other memory, so all accesses are Relaxed.

use std::error::Error;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

/// A token bucket that fills at a steady rate and holds the tokens of one second, but at least one.
pub(super) struct Bucket {
    per_second: f64,
    /// The interval of one token, in nanoseconds.
    each: u64,
    depth: u64,
    given_until: AtomicU64,
}

impl Bucket {
    pub(super) fn new(per_second: f64) -> Result<Self, InvalidRate> {
        if !(SLOWEST..=FASTEST).contains(&per_second) {
            return Err(InvalidRate(per_second));
        }
        let each = (SECOND as f64 / per_second).round() as u64;
        Ok(Bucket {
            per_second,
            each,
            depth: each.max(SECOND),
            given_until: AtomicU64::new(0),
        })
    }

    pub(super) fn per_second(&self) -> f64 {
        self.per_second
    }

    /// Takes a token, and returns false if there is none at this time, in nanoseconds since the
    /// Unix epoch.
    #[inline]
    pub(super) fn take(&self, now: u64) -> bool {
        self.take_from(self.depth, now)
    }

    /// Takes a token if half of the capacity stays for callers of `take`. The full capacity is used
    /// if half of it would be less than one token.
    pub(super) fn take_of_half(&self, now: u64) -> bool {
        let half = self.depth / 2;
        self.take_from(if half < self.each { self.depth } else { half }, now)
    }

    #[inline]
    fn take_from(&self, depth: u64, now: u64) -> bool {
        let full = now.saturating_add(self.depth);
        let limit = now.saturating_add(depth);
        let mut until = self.given_until.load(Ordering::Relaxed);
        loop {
            // The time is this far ahead only if the clock was set back; then the bucket counts as
            // empty.
            let was_set_back = until > full.saturating_add(SECOND);
            let next = until.clamp(now, full).saturating_add(self.each);
            let is_free = next <= limit;
            if !is_free && !was_set_back {
                return false;
            }
            let new = if is_free { next } else { full };
            match self.given_until.compare_exchange_weak(
                until,
                new,
                Ordering::Relaxed,
                Ordering::Relaxed,
            ) {
                Ok(_) => return is_free,
                Err(seen) => until = seen,
            }
        }
    }
}

const SECOND: u64 = 1_000_000_000;
const SLOWEST: f64 = 1e-6;
const FASTEST: f64 = 1e9;

/// The error for a rate that is out of range.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct InvalidRate(pub f64);

impl fmt::Display for InvalidRate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "invalid rate {}: expected {EXPECTED_RATE}", self.0)
    }
}

impl Error for InvalidRate {}

pub(super) const EXPECTED_RATE: &str = "a number a second from 0.000001 to 1000000000";

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns how many of `times` attempts at this time succeed.
    fn taken(bucket: &Bucket, times: usize, now: u64) -> usize {
        (0..times).filter(|_| bucket.take(now)).count()
    }

    #[test]
    fn a_second_is_what_it_holds() {
        let bucket = Bucket::new(10.0).unwrap();
        let start = 1_700_000_000 * SECOND;
        assert_eq!(taken(&bucket, 100, start), 10);
        assert_eq!(taken(&bucket, 100, start + SECOND / 10 - 1), 0);
        assert_eq!(taken(&bucket, 100, start + SECOND / 10), 1);
        assert_eq!(taken(&bucket, 100, start + SECOND), 9);
        assert_eq!(taken(&bucket, 100, start + 3600 * SECOND), 10);
    }

    #[test]
    fn half_of_it_stays_for_those_who_need_it_more() {
        let bucket = Bucket::new(10.0).unwrap();
        let halves = |now| (0..100).filter(|_| bucket.take_of_half(now)).count();
        assert_eq!(halves(SECOND), 5);
        assert_eq!(taken(&bucket, 100, SECOND), 5);
        assert_eq!(halves(SECOND + SECOND / 2), 0);
        assert_eq!(halves(SECOND + SECOND / 10 * 6), 1);
        let slow = Bucket::new(1.5).unwrap();
        assert!(slow.take_of_half(SECOND) && !slow.take_of_half(SECOND));
    }

    #[test]
    fn a_rate_below_one_gives_one_now_and_then() {
        let bucket = Bucket::new(0.1).unwrap();
        assert_eq!(taken(&bucket, 5, 100 * SECOND), 1);
        assert_eq!(taken(&bucket, 5, 109 * SECOND), 0);
        assert_eq!(taken(&bucket, 5, 110 * SECOND), 1);
        for bad in [0.0, -1.0, 1e-7, 2e9, f64::NAN, f64::INFINITY] {
            assert!(Bucket::new(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_clock_that_is_set_back_does_not_stop_it() {
        let bucket = Bucket::new(10.0).unwrap();
        assert_eq!(taken(&bucket, 100, 5000 * SECOND), 10);
        // A thread that read the clock slightly earlier gets nothing more.
        assert_eq!(taken(&bucket, 100, 5000 * SECOND - 1000), 0);
        assert_eq!(taken(&bucket, 100, 1000 * SECOND), 0);
        assert_eq!(taken(&bucket, 100, 1000 * SECOND + SECOND / 2), 5);
    }

    #[test]
    fn threads_together_get_no_more_concurrently() {
        let bucket = Bucket::new(1000.0).unwrap();
        let take = || -> usize {
            let times = (0..200).map(|ms| SECOND + ms * 1_000_000);
            times.map(|now| taken(&bucket, 20, now)).sum()
        };
        let all: usize = std::thread::scope(|scope| {
            let threads = [(); 4].map(|()| scope.spawn(take));
            threads.map(|thread| thread.join().unwrap()).iter().sum()
        });
        // The tokens of one second, and those of the 199 milliseconds.
        assert_eq!(all, 1199);
    }
}
