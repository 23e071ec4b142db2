//! The pauses between the attempts to send a request, and the circuit breaker of a pipeline.
//!
//! These are two mechanisms. Within an export cycle, a request that met a retryable failure is retried
//! with [backoff](RetryPolicy). When a cycle has failed, the [`Breaker`] opens: only single attempts
//! are made, at growing intervals, until one succeeds. So an unavailable receiver costs next to
//! nothing, and one that comes back is not contacted by all clients at once.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher as _, Hasher as _};
use std::time::Duration;

use tokio::time::Instant;

use super::moment::{LONGEST, after};

/// The policy for retrying requests.
///
/// The first pause is 1 s. Each further pause is 1.5 times as long, up to 5 s. Each is shortened at
/// random by up to a half, so that many programs do not retry at the same moment. A longer pause that
/// a receiver asks for (`Retry-After`, `RetryInfo`) is honored, up to 5 minutes. While a receiver is
/// unavailable, a single attempt is made after one interval, then two, four and so on, but at least
/// every 5 minutes, or once an interval if that is longer, whatever the receiver asks for.
///
/// Durations of more than a year count as a year.
///
/// Source: OTLP 1.11, "Failures": exponential backoff with jitter; the numbers are those of
/// OpenTelemetry's Java SDK.
#[derive(Clone, Debug, PartialEq)]
pub struct RetryPolicy {
    first: Duration,
    factor: f64,
    longest: Duration,
    longest_pause: Duration,
}

impl RetryPolicy {
    /// Creates the default policy.
    pub fn new() -> Self {
        RetryPolicy {
            first: Duration::from_secs(1),
            factor: 1.5,
            longest: Duration::from_secs(5),
            longest_pause: Duration::from_secs(300),
        }
    }

    /// Sets the first pause between two attempts.
    #[must_use]
    pub fn with_first(mut self, pause: Duration) -> Self {
        self.first = pause.min(LONGEST);
        self
    }

    /// Sets the factor by which each pause grows. It is limited to values from 1 to 100.
    #[must_use]
    pub fn with_factor(mut self, factor: f64) -> Self {
        self.factor = factor.clamp(1.0, 100.0);
        self
    }

    /// Sets the longest pause between two attempts, apart from pauses that a receiver asks for.
    #[must_use]
    pub fn with_longest(mut self, pause: Duration) -> Self {
        self.longest = pause.min(LONGEST);
        self
    }

    /// Sets the longest pause between two attempts while a receiver is unavailable, and the longest
    /// pause that a receiver can ask for.
    #[must_use]
    pub fn with_longest_pause(mut self, pause: Duration) -> Self {
        self.longest_pause = pause.min(LONGEST);
        self
    }

    /// Creates the sequence of pauses for one request.
    pub(super) fn backoff(&self) -> Backoff {
        Backoff {
            next: self.first.min(self.longest),
            factor: self.factor,
            longest: self.longest,
            longest_asked: self.longest_pause,
        }
    }

    /// Creates the circuit breaker of a pipeline with this interval between cycles.
    pub(super) fn breaker(&self, interval: Duration) -> Breaker {
        Breaker {
            interval,
            longest_pause: self.longest_pause.max(interval),
            open: None,
        }
    }
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self::new()
    }
}

/// The pauses between the attempts to send one request.
#[derive(Debug)]
pub(super) struct Backoff {
    next: Duration,
    factor: f64,
    longest: Duration,
    /// The longest pause that a receiver can ask for.
    longest_asked: Duration,
}

impl Backoff {
    /// Returns the next pause: at least as long as the receiver asks, up to `longest_asked`.
    pub(super) fn pause(&mut self, chance: &mut Chance, asked: Option<Duration>) -> Duration {
        let pause = self.next.mul_f64(1.0 - chance.fraction() / 2.0);
        // Computed in seconds, because multiplying a large `Duration` panics.
        let grown = self.next.as_secs_f64() * self.factor;
        self.next =
            Duration::try_from_secs_f64(grown).map_or(self.longest, |d| d.min(self.longest));
        asked.map_or(pause, |asked| asked.min(self.longest_asked).max(pause))
    }
}

/// A circuit breaker, which decides whether a receiver is contacted at all.
#[derive(Debug)]
pub(super) struct Breaker {
    interval: Duration,
    longest_pause: Duration,
    open: Option<Open>,
}

#[derive(Debug)]
struct Open {
    since: Instant,
    pause: Duration,
    until: Instant,
}

impl Breaker {
    /// Returns true if the receiver was unavailable at the last attempt.
    pub(super) fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// Returns the earliest time of the next attempt, or `None` if it may be made at any time.
    pub(super) fn until(&self) -> Option<Instant> {
        self.open.as_ref().map(|open| open.until)
    }

    /// Records the failure of a cycle that began at `began`. `asked` is the pause that the receiver
    /// asks for. Returns the longest pause between two attempts if this is the first failure.
    pub(super) fn failed(&mut self, began: Instant, asked: Option<Duration>) -> Option<Duration> {
        let longest = self.longest_pause;
        let asked = asked.unwrap_or_default().min(longest);
        let is_first = self.open.is_none();
        let open = self.open.get_or_insert(Open {
            since: began,
            pause: Duration::ZERO,
            until: began,
        });
        open.pause = match is_first {
            true => self.interval,
            false => open.pause.saturating_mul(2).min(longest),
        };
        open.until = after(began, open.pause.max(asked));
        is_first.then_some(longest)
    }

    /// Records a successful attempt. Returns the start of the outage, if there was one.
    pub(super) fn succeeded(&mut self) -> Option<Instant> {
        self.open.take().map(|open| open.since)
    }
}

/// A random number generator that keeps programs from acting in step. Not for secrets.
#[derive(Debug)]
pub(super) struct Chance(u64);

impl Chance {
    /// Creates a generator with a random seed.
    pub(super) fn new() -> Self {
        Chance(RandomState::new().build_hasher().finish())
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
    fn pauses_grow_up_to_the_longest_and_differ_by_chance() {
        let mut chance = Chance(7);
        let policy = RetryPolicy::new();
        for _ in 0..100 {
            let mut backoff = policy.backoff();
            for whole in [1.0, 1.5, 2.25, 3.375, 5.0, 5.0] {
                let pause = backoff.pause(&mut chance, None).as_secs_f64();
                assert!(
                    pause > whole / 2.0 - 0.001 && pause <= whole,
                    "{pause} of {whole}"
                );
            }
        }
        let mut first = || policy.backoff().pause(&mut chance, None);
        assert_ne!(first(), first());
    }

    #[test]
    fn what_the_receiver_asks_for_is_the_least_up_to_the_longest_pause() {
        let mut chance = Chance(7);
        let mut backoff = RetryPolicy::new().backoff();
        assert_eq!(backoff.pause(&mut chance, Some(9 * SECOND)), 9 * SECOND);
        assert_eq!(
            backoff.pause(&mut chance, Some(Duration::MAX)),
            300 * SECOND
        );
        assert!(backoff.pause(&mut chance, Some(Duration::ZERO)) > SECOND / 2);
    }

    #[test]
    fn extreme_policies_do_not_panic() {
        let mut chance = Chance(7);
        let policy = RetryPolicy::new()
            .with_first(Duration::MAX)
            .with_longest(Duration::MAX)
            .with_factor(f64::INFINITY);
        let mut backoff = policy.with_first(Duration::ZERO).backoff();
        for _ in 0..100 {
            backoff.pause(&mut chance, None);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_breaker_tries_at_growing_distances() {
        let mut breaker = RetryPolicy::new().breaker(60 * SECOND);
        let start = Instant::now();
        let mut pauses = Vec::new();
        let mut now = start;
        for _ in 0..6 {
            breaker.failed(now, None);
            let until = breaker.until().unwrap();
            pauses.push((until - now).as_secs());
            now = until;
        }
        assert_eq!(pauses, [60, 120, 240, 300, 300, 300]);
        assert_eq!(breaker.succeeded(), Some(start));
        assert!(!breaker.is_open());
        assert_eq!(breaker.failed(now, None), Some(300 * SECOND));
        assert_eq!(breaker.until(), Some(now + 60 * SECOND));
    }

    #[tokio::test(start_paused = true)]
    async fn a_receiver_cannot_ask_to_be_left_alone_for_ever() {
        let now = Instant::now();
        for (asked, granted) in [(200 * SECOND, 200), (Duration::MAX, 300), (SECOND, 60)] {
            let mut breaker = RetryPolicy::new().breaker(60 * SECOND);
            breaker.failed(now, Some(asked));
            assert_eq!(breaker.until(), Some(now + granted * SECOND));
        }
        let mut breaker = RetryPolicy::new().breaker(3600 * SECOND);
        breaker.failed(now, None);
        breaker.failed(now, None);
        assert_eq!(breaker.until(), Some(now + 3600 * SECOND));
    }
}
