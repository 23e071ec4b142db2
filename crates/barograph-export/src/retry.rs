//! The policy for the pauses between the attempts to send a request. The loop around it is
//! `Sender::send_with_retry` in the pipeline.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher as _, Hasher as _};
use std::time::Duration;

use super::moment::LONGEST;

/// The policy for retrying requests.
///
/// The first pause is 1 s. Each further pause is 1.5 times as long, up to 5 s. Each is shortened at
/// random by up to a half, so that many programs do not retry at the same moment. A longer pause that
/// a receiver asks for (`Retry-After`, `RetryInfo`) is honored, up to 5 minutes. While a receiver is
/// unavailable, a single attempt is made after one interval between export cycles, then two, four and
/// so on, but at least every 5 minutes, or once an interval if that is longer, whatever the receiver
/// asks for.
///
/// Durations of more than a year count as a year.
///
/// Source: OTLP 1.11, "Failures": exponential backoff with jitter; the numbers are those of
/// OpenTelemetry's Java SDK.
#[derive(Clone, Debug, PartialEq)]
pub struct RetryPolicy {
    initial_interval: Duration,
    multiplier: f64,
    max_interval: Duration,
    max_open: Duration,
}

impl RetryPolicy {
    /// Creates the default policy.
    pub fn new() -> Self {
        RetryPolicy {
            initial_interval: Duration::from_secs(1),
            multiplier: 1.5,
            max_interval: Duration::from_secs(5),
            max_open: Duration::from_secs(300),
        }
    }

    /// Sets the first pause between two attempts.
    #[must_use]
    pub fn with_initial_interval(mut self, pause: Duration) -> Self {
        self.initial_interval = pause.min(LONGEST);
        self
    }

    /// Sets the factor by which each pause grows. It is limited to values from 1 to 100.
    #[must_use]
    pub fn with_multiplier(mut self, multiplier: f64) -> Self {
        self.multiplier = multiplier.clamp(1.0, 100.0);
        self
    }

    /// Sets the longest pause between two attempts, apart from pauses that a receiver asks for.
    #[must_use]
    pub fn with_max_interval(mut self, pause: Duration) -> Self {
        self.max_interval = pause.min(LONGEST);
        self
    }

    /// Sets the longest pause between two attempts while a receiver is unavailable, and the longest
    /// pause that a receiver can ask for.
    #[must_use]
    pub fn with_max_open(mut self, pause: Duration) -> Self {
        self.max_open = pause.min(LONGEST);
        self
    }

    /// Returns the interval before the second attempt, without jitter.
    pub(super) fn first_interval(&self) -> Duration {
        self.initial_interval.min(self.max_interval)
    }

    /// Returns the interval that follows on this one.
    pub(super) fn next_interval(&self, interval: Duration) -> Duration {
        // Computed in seconds, because multiplying a large `Duration` panics.
        let grown = Duration::try_from_secs_f64(interval.as_secs_f64() * self.multiplier);
        grown.map_or(self.max_interval, |grown| grown.min(self.max_interval))
    }

    /// Returns the pause before the next attempt: the interval with jitter, or what the receiver asks
    /// for if that is longer, up to `max_open`.
    pub(super) fn pause(
        &self,
        interval: Duration,
        jitter: &mut Jitter,
        retry_after: Option<Duration>,
    ) -> Duration {
        let pause = interval.mul_f64(1.0 - jitter.fraction() / 2.0);
        let asked = retry_after.unwrap_or_default().min(self.max_open);
        pause.max(asked)
    }

    /// Returns the longest time between two attempts while a receiver is unavailable.
    pub(super) fn max_open(&self) -> Duration {
        self.max_open
    }
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self::new()
    }
}

/// A random number generator that keeps programs from acting in step. Not for secrets.
#[derive(Debug)]
pub(super) struct Jitter(u64);

impl Jitter {
    /// Creates a generator with a random seed.
    pub(super) fn new() -> Self {
        Jitter(RandomState::new().build_hasher().finish())
    }

    /// Returns a number from 0 up to but not including 1.
    ///
    /// Source: Steele, Lea and Flood, "Fast splittable pseudorandom number generators".
    pub(super) fn fraction(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        (mixed >> 11) as f64 / (1_u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn intervals_grow_up_to_the_maximum_and_have_jitter() {
        let mut jitter = Jitter(7);
        let policy = RetryPolicy::new();
        for _ in 0..100 {
            let mut interval = policy.first_interval();
            for whole in [1.0, 1.5, 2.25, 3.375, 5.0, 5.0] {
                let pause = policy.pause(interval, &mut jitter, None).as_secs_f64();
                assert!(
                    pause > whole / 2.0 - 0.001 && pause <= whole,
                    "{pause} of {whole}"
                );
                interval = policy.next_interval(interval);
            }
        }
        let mut first = || policy.pause(policy.first_interval(), &mut jitter, None);
        assert_ne!(first(), first());
    }

    #[test]
    fn retry_after_is_a_minimum_up_to_a_limit() {
        let mut jitter = Jitter(7);
        let policy = RetryPolicy::new();
        let mut pause = |retry_after| policy.pause(SECOND, &mut jitter, Some(retry_after));
        assert_eq!(pause(9 * SECOND), 9 * SECOND);
        assert_eq!(pause(Duration::MAX), 300 * SECOND);
        assert!(pause(Duration::ZERO) > SECOND / 2);
    }

    #[test]
    fn extreme_policies_do_not_panic() {
        let mut jitter = Jitter(7);
        let policy = RetryPolicy::new()
            .with_initial_interval(Duration::MAX)
            .with_max_interval(Duration::MAX)
            .with_multiplier(f64::INFINITY);
        for policy in [policy.clone(), policy.with_initial_interval(Duration::ZERO)] {
            let mut interval = policy.first_interval();
            for _ in 0..100 {
                policy.pause(interval, &mut jitter, None);
                interval = policy.next_interval(interval);
            }
        }
    }
}
