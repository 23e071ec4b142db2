//! Clocks and a stopwatch.

#[cfg(feature = "test-util")]
pub(crate) mod scope;
#[cfg(not(feature = "test-util"))]
#[path = "no_scope.rs"]
mod scope;
#[cfg(target_arch = "x86_64")]
mod ticks;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// A source of the current time. Implemented by [`SystemClock`] and `TickClock`, and by [`ManualClock`]
/// for tests.
pub trait Clock: Send + Sync {
    /// Returns the nanoseconds since the Unix epoch.
    fn unix_nanos(&self) -> u64;
}

/// The clock of the operating system.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn unix_nanos(&self) -> u64 {
        if let Some(reading) = scope::read() {
            return reading.unix_nanos();
        }
        // Times before 1970 and after 2554 do not fit and are clamped; neither is worth a panic.
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |t| u64::try_from(t.as_nanos()).unwrap_or(u64::MAX))
    }
}

/// The time of the operating system, for callers that ask for it often, such as spans.
///
/// Between two readings of the system clock, some hundred microseconds apart, a thread counts the ticks
/// of the processor. That takes a third of the time and is off by nanoseconds. If the processor's ticks
/// are not known to be uniform, every call reads the clock like [`SystemClock`].
#[derive(Clone, Copy, Debug, Default)]
pub struct TickClock;

impl Clock for TickClock {
    #[inline]
    fn unix_nanos(&self) -> u64 {
        if let Some(reading) = scope::read() {
            return reading.unix_nanos();
        }
        #[cfg(target_arch = "x86_64")]
        return ticks::unix_nanos();
        #[cfg(not(target_arch = "x86_64"))]
        SystemClock.unix_nanos()
    }
}

/// A stopwatch for operations, for callers that measure often.
///
/// If the processor's ticks are known to be uniform, it counts them. That takes a third of the time of
/// two readings of [`Instant`], and is off by at most some tens of nanoseconds and a thousandth.
/// Otherwise, and in the first milliseconds of a process, it uses `Instant`.
///
/// ```
/// use barograph_core::clock::Stopwatch;
/// let stopwatch = Stopwatch::start();
/// assert!(stopwatch.elapsed().as_secs_f64() < 1.0);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Stopwatch(Start);

#[derive(Clone, Copy, Debug)]
enum Start {
    #[cfg(target_arch = "x86_64")]
    Ticks(u64),
    Instant(Instant),
    /// In a test; never made without the feature `test-util`.
    Manual(scope::Reading),
}

impl Stopwatch {
    /// Starts a stopwatch.
    #[inline]
    pub fn start() -> Self {
        if let Some(reading) = scope::read() {
            return Stopwatch(Start::Manual(reading));
        }
        #[cfg(target_arch = "x86_64")]
        if let Some(ticks) = ticks::begin() {
            return Stopwatch(Start::Ticks(ticks));
        }
        Stopwatch(Start::Instant(Instant::now()))
    }

    /// Returns the time since the start. Whether this includes time that the machine sleeps depends on
    /// the machine.
    #[inline]
    pub fn elapsed(self) -> Duration {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            Start::Ticks(ticks) => Duration::from_nanos(ticks::nanos_since(ticks)),
            Start::Instant(instant) => instant.elapsed(),
            Start::Manual(reading) => reading.elapsed(),
        }
    }
}

/// A clock that stands still until a test advances it. Clones share the time.
///
/// ```
/// use barograph_core::clock::{Clock, ManualClock};
/// use std::time::Duration;
/// let clock = ManualClock::at(1_000);
/// clock.advance(Duration::from_nanos(5));
/// assert_eq!(clock.unix_nanos(), 1_005);
/// ```
#[derive(Clone, Debug, Default)]
pub struct ManualClock(Arc<AtomicU64>);

impl ManualClock {
    /// Returns a clock that shows `unix_nanos`.
    pub fn at(unix_nanos: u64) -> Self {
        ManualClock(Arc::new(AtomicU64::new(unix_nanos)))
    }

    /// Advances the time.
    pub fn advance(&self, by: Duration) {
        let nanos = u64::try_from(by.as_nanos()).unwrap_or(u64::MAX);
        self.0.fetch_add(nanos, Ordering::Relaxed);
    }
}

impl Clock for ManualClock {
    fn unix_nanos(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
