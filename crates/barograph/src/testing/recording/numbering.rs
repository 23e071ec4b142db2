//! The clock of the layers, which numbers its readings.

use std::sync::{Arc, Mutex, PoisonError};

use barograph_core::clock::{Clock, ManualClock};

/// A clock that returns 1, 2, 3 ... and remembers the time of each reading. Clones share the numbers.
///
/// So the records of spans and events have the order in which they began, although the clock of a test
/// stands still.
#[derive(Clone, Debug)]
pub(in super::super) struct Numbering {
    clock: ManualClock,
    times: Arc<Mutex<Vec<u64>>>,
}

impl Numbering {
    pub(super) fn new(clock: ManualClock) -> Self {
        Numbering {
            clock,
            times: Arc::default(),
        }
    }

    /// Returns the time of a reading, in nanoseconds since the Unix epoch. None for 0.
    pub(in super::super) fn time(&self, number: u64) -> Option<u64> {
        let times = self.times.lock().unwrap_or_else(PoisonError::into_inner);
        let at = usize::try_from(number).ok()?.checked_sub(1)?;
        times.get(at).copied()
    }
}

impl Clock for Numbering {
    fn unix_nanos(&self) -> u64 {
        let mut times = self.times.lock().unwrap_or_else(PoisonError::into_inner);
        times.push(self.clock.unix_nanos());
        times.len() as u64
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn readings_are_numbered_and_keep_their_times() {
        let clock = ManualClock::at(5);
        let numbering = Numbering::new(clock.clone());
        let first = numbering.unix_nanos();
        clock.advance(Duration::from_nanos(2));
        let second = numbering.clone().unix_nanos();
        assert_eq!((first, second), (1, 2));
        assert_eq!(numbering.time(first), Some(5));
        assert_eq!(numbering.time(second), Some(7));
        assert_eq!((numbering.time(0), numbering.time(3)), (None, None));
    }
}
