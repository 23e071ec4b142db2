//! The manual clock that a test sets for a thread; all other clocks read it while it is set.

use std::cell::Cell;
use std::time::Duration;

use super::{Clock as _, ManualClock};

thread_local! {
    static CLOCK: Cell<Option<&'static ManualClock>> = const { Cell::new(None) };
}

/// Sets the manual clock of this thread, and returns the previous one, to be put back.
pub(crate) fn replace(clock: Option<&'static ManualClock>) -> Option<&'static ManualClock> {
    CLOCK.replace(clock)
}

/// Returns the time on the manual clock of this thread. None if it has no such clock.
#[inline]
pub(super) fn read() -> Option<Reading> {
    let clock = CLOCK.get()?;
    Some(Reading {
        clock,
        nanos: clock.unix_nanos(),
    })
}

/// A time on a manual clock. It remembers the clock: whoever started a stopwatch in a test may ask it
/// on a thread without a manual clock.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reading {
    clock: &'static ManualClock,
    nanos: u64,
}

impl Reading {
    /// Returns the nanoseconds since the Unix epoch.
    pub(super) fn unix_nanos(self) -> u64 {
        self.nanos
    }

    /// Returns the time by which the clock has been advanced since.
    pub(super) fn elapsed(self) -> Duration {
        Duration::from_nanos(self.clock.unix_nanos().saturating_sub(self.nanos))
    }
}
