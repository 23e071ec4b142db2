//! The clock, and arithmetic on times that cannot panic.
//!
//! `Instant + Duration` panics when the clock cannot represent the sum. Durations come from
//! configuration and from receivers, so each is limited where it enters, and added here.

use std::time::Duration;

pub(super) use std::time::Instant;

/// The longest duration that is used as given: a year.
pub(super) const LONGEST: Duration = Duration::from_secs(365 * 24 * 3600);

/// Returns the current time of tokio's clock, which tests can pause. `Instant::now` and
/// `Instant::elapsed` would ignore that.
pub(super) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

/// Returns the moment this long after another one, at most [`LONGEST`] after it.
pub(super) fn after(moment: Instant, wait: Duration) -> Instant {
    // A clock that cannot represent the next year is at its end.
    moment.checked_add(wait.min(LONGEST)).unwrap_or(moment)
}

/// Divides a duration by `n`; returns it unchanged if `n` is 0.
pub(super) fn part(duration: Duration, n: u32) -> Duration {
    duration.checked_div(n).unwrap_or(duration)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_at_most_a_year_after_another() {
        let now = Instant::now();
        assert_eq!(after(now, Duration::ZERO), now);
        assert_eq!(after(now, LONGEST), now + LONGEST);
        for wait in [Duration::MAX, LONGEST * 2, Duration::from_secs(u64::MAX)] {
            assert_eq!(after(now, wait), now + LONGEST);
        }
    }
}
