//! How long to wait before a request is tried again, and when not to try at all.
//!
//! Two things are apart here. Within a round, a request that met a passing fault is tried again after
//! a [back-off](RetryPolicy). When a round has failed, the [`Breaker`] opens: nothing is sent but a
//! single try now and then, at growing distances, until one gets through. So a receiver that is away
//! costs next to nothing, and one that comes back is not met by everybody at once.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher as _, Hasher as _};
use std::time::Duration;

use tokio::time::Instant;

use super::moment::{LONGEST, after};

/// How requests are tried again.
///
/// The first pause is 1 s, each further one half as long again, up to 5 s; each is shortened by chance
/// by up to a half, so that many programs do not knock at the same moment. What a receiver asks for
/// (`Retry-After`, `RetryInfo`) is honored where it is longer. While a receiver is away, a single try
/// is made after one interval, then two, four and so on, but at least every 5 minutes, or once an
/// interval where that is longer, whatever it asks for.
///
/// Durations of more than a year count as a year.
///
/// Source: OTLP 1.11, "Failures": exponential back-off with jitter; the numbers are those of
/// OpenTelemetry's Java SDK.
#[derive(Clone, Debug, PartialEq)]
pub struct RetryPolicy {
    first: Duration,
    factor: f64,
    longest: Duration,
    longest_pause: Duration,
}

impl RetryPolicy {
    /// The defaults.
    pub fn new() -> Self {
        RetryPolicy {
            first: Duration::from_secs(1),
            factor: 1.5,
            longest: Duration::from_secs(5),
            longest_pause: Duration::from_secs(300),
        }
    }

    /// The first pause between two tries.
    #[must_use]
    pub fn with_first(mut self, pause: Duration) -> Self {
        self.first = pause.min(LONGEST);
        self
    }

    /// How many times as long as the one before each further pause is. Below 1 it counts as 1.
    #[must_use]
    pub fn with_factor(mut self, factor: f64) -> Self {
        self.factor = factor.clamp(1.0, 100.0);
        self
    }

    /// The longest pause between two tries, what a receiver asks for left out.
    #[must_use]
    pub fn with_longest(mut self, pause: Duration) -> Self {
        self.longest = pause.min(LONGEST);
        self
    }

    /// How long a receiver that is away is left alone at the most, even if it asks for more.
    #[must_use]
    pub fn with_longest_pause(mut self, pause: Duration) -> Self {
        self.longest_pause = pause.min(LONGEST);
        self
    }

    /// The pauses of one request.
    pub(super) fn backoff(&self) -> Backoff {
        Backoff {
            next: self.first.min(self.longest),
            factor: self.factor,
            longest: self.longest,
            longest_asked: self.longest_pause,
        }
    }

    /// The breaker of a pipeline with rounds at this distance.
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

/// The pauses between the tries of one request.
#[derive(Debug)]
pub(super) struct Backoff {
    next: Duration,
    factor: f64,
    longest: Duration,
    /// The longest pause that a receiver is granted.
    longest_asked: Duration,
}

impl Backoff {
    /// How long to wait now: at least as long as the receiver asks, within what it is granted.
    pub(super) fn pause(&mut self, chance: &mut Chance, asked: Option<Duration>) -> Duration {
        let pause = self.next.mul_f64(1.0 - chance.fraction() / 2.0);
        // In seconds, since a product of large durations panics.
        let grown = self.next.as_secs_f64() * self.factor;
        self.next =
            Duration::try_from_secs_f64(grown).map_or(self.longest, |d| d.min(self.longest));
        asked.map_or(pause, |asked| asked.min(self.longest_asked).max(pause))
    }
}

/// Whether a receiver is tried at all.
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
    /// Whether the receiver was away when it was tried last.
    pub(super) fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// The next moment at which the receiver may be tried. None: any.
    pub(super) fn until(&self) -> Option<Instant> {
        self.open.as_ref().map(|open| open.until)
    }

    /// A round that began at `began` has failed. `asked` is how long the receiver wants to be left
    /// alone. Returns the longest pause to come when it is the first failure.
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

    /// A try has got through. Returns since when the receiver was away.
    pub(super) fn succeeded(&mut self) -> Option<Instant> {
        self.open.take().map(|open| open.since)
    }
}

/// Chance enough that programs do not act in step; not for secrets.
#[derive(Debug)]
pub(super) struct Chance(u64);

impl Chance {
    /// Another one each time.
    pub(super) fn new() -> Self {
        Chance(RandomState::new().build_hasher().finish())
    }

    /// From 0 to 1, that not included.
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
