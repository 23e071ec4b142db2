//! Arithmetic on times that no value can make panic.
//!
//! `Instant + Duration` panics where the clock cannot show the sum. Durations come from
//! configuration and from receivers, so each is bounded where it comes in, and added here.

use std::time::Duration;

use tokio::time::Instant;

/// The longest duration that is used as it was given: a year.
pub(super) const LONGEST: Duration = Duration::from_secs(365 * 24 * 3600);

/// The moment this long after another one, or [`LONGEST`] after it where that is sooner.
pub(super) fn after(moment: Instant, wait: Duration) -> Instant {
    // A clock that cannot show the next year is at its end.
    moment.checked_add(wait.min(LONGEST)).unwrap_or(moment)
}

/// The n-th part of a duration.
pub(super) fn part(duration: Duration, n: u32) -> Duration {
    duration.checked_div(n).unwrap_or(duration)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_moment_is_at_most_a_year_after_another() {
        let now = Instant::now();
        assert_eq!(after(now, Duration::ZERO), now);
        assert_eq!(after(now, LONGEST), now + LONGEST);
        for wait in [Duration::MAX, LONGEST * 2, Duration::from_secs(u64::MAX)] {
            assert_eq!(after(now, wait), now + LONGEST);
        }
    }
}
