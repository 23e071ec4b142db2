//! The circuit breaker, which decides whether a receiver is contacted at all.

use std::time::Duration;

use crate::moment::{Instant, after};
use crate::retry::RetryPolicy;

/// A circuit breaker. It opens when a request shows that the receiver is unavailable. While it is open
/// only single attempts are made, at growing intervals, until one succeeds.
#[derive(Clone, Debug)]
pub(super) struct Breaker {
    interval: Duration,
    max_open: Duration,
    open: Option<Open>,
}

#[derive(Clone, Debug)]
struct Open {
    since: Instant,
    pause: Duration,
    until: Instant,
}

impl Breaker {
    /// Creates the breaker of a pipeline with this interval between cycles.
    pub(super) fn new(policy: &RetryPolicy, interval: Duration) -> Self {
        Breaker {
            interval,
            max_open: policy.max_open().max(interval),
            open: None,
        }
    }

    /// Returns true from a failure until the next success.
    pub(super) fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// Returns the earliest time of the next attempt, or `None` if it may be made at any time.
    pub(super) fn until(&self) -> Option<Instant> {
        self.open.as_ref().map(|open| open.until)
    }

    /// Records a failure in the cycle that was due at `due`. `retry_after` is the pause that the
    /// receiver asks for. Returns the longest pause between two attempts if this is the first failure.
    pub(super) fn failed(
        &mut self,
        due: Instant,
        retry_after: Option<Duration>,
    ) -> Option<Duration> {
        let longest = self.max_open;
        let retry_after = retry_after.unwrap_or_default().min(longest);
        let is_first = self.open.is_none();
        let open = self.open.get_or_insert(Open {
            since: due,
            pause: Duration::ZERO,
            until: due,
        });
        open.pause = match is_first {
            true => self.interval,
            false => open.pause.saturating_mul(2).min(longest),
        };
        open.until = after(due, open.pause.max(retry_after));
        is_first.then_some(longest)
    }

    /// Records a successful attempt. Returns the start of the outage, if there was one.
    pub(super) fn succeeded(&mut self) -> Option<Instant> {
        self.open.take().map(|open| open.since)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn breaker(interval: Duration) -> Breaker {
        Breaker::new(&RetryPolicy::new(), interval)
    }

    #[test]
    fn an_open_breaker_allows_attempts_at_growing_intervals() {
        let mut breaker = breaker(60 * SECOND);
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

    #[test]
    fn retry_after_is_limited_to_the_longest_pause_of_the_breaker() {
        let now = Instant::now();
        for (asked, granted) in [(200 * SECOND, 200), (Duration::MAX, 300), (SECOND, 60)] {
            let mut breaker = breaker(60 * SECOND);
            breaker.failed(now, Some(asked));
            assert_eq!(breaker.until(), Some(now + granted * SECOND));
        }
        let mut breaker = breaker(3600 * SECOND);
        breaker.failed(now, None);
        breaker.failed(now, None);
        assert_eq!(breaker.until(), Some(now + 3600 * SECOND));
    }
}
