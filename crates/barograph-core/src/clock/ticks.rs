//! The time of the operating system, for callers that ask for it often.
//!
//! A reading of the system clock costs some 25 ns, and a span takes three. Between two readings of a
//! thread that are a fraction of a millisecond apart, this clock counts the processor's ticks instead,
//! for a third of that cost. The length of a tick is measured against the monotonic clock, first over
//! some milliseconds and then again every second or so. The result therefore differs from the system
//! clock only by the drift in such a fraction: nanoseconds, or microseconds if the machine moves to a
//! processor with another tick rate.
//!
//! A duration is the difference of two tick counts, however far they are apart.
//!
//! If the processor does not report uniform ticks, or measurements disagree twice in a row, every call
//! reads the system clock.

#![expect(unsafe_code, reason = "ticks are read by an instruction")]

use std::arch::x86_64::{__cpuid, _rdtsc};
use std::cell::Cell;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use super::{Clock, SystemClock};

/// The nanoseconds of a tick, times 2³². [`UNKNOWN`] at first, and [`UNUSABLE`] if ticks are not
/// uniform.
static SCALE: AtomicU64 = AtomicU64::new(UNKNOWN);
const UNKNOWN: u64 = 0;
const UNUSABLE: u64 = u64::MAX;

/// The last accepted measurement of the scale; [`UNKNOWN`] before the first.
static LAST: AtomicU64 = AtomicU64::new(UNKNOWN);

/// The tick count at the last measurement of the tick length.
static MEASURED: AtomicU64 = AtomicU64::new(0);

/// The start of the next measurement.
static BEGIN: Mutex<Option<Begin>> = Mutex::new(None);

struct Begin {
    ticks: u64,
    instant: Instant,
    /// True if the measurement that ended at this point disagreed with the one before.
    is_doubted: bool,
}

/// The ticks that are counted from one reading of the system clock: 100 to 500 µs, depending on the
/// processor.
const COUNTED: u64 = 1 << 19;
/// The ticks that a reading may take. One that takes longer was interrupted.
const LOOK: u64 = 1 << 13;
/// The least number of ticks in a measurement (`FIRST`), and the number of ticks after which the length
/// is measured again (`AGAIN`).
const FIRST: u64 = 1 << 25;
const AGAIN: u64 = 1 << 32;
/// The fraction by which two measurements may differ, as its denominator: more than clocks are slewed,
/// and more than the first measurement is off because it was short.
const AGREE: u64 = 500;

thread_local! {
    /// The last reading of this thread: ticks, and nanoseconds since the Unix epoch.
    static LOOKED: (Cell<u64>, Cell<u64>) = const { (Cell::new(0), Cell::new(0)) };
}

/// Returns the nanoseconds since the Unix epoch.
#[inline]
pub(super) fn unix_nanos() -> u64 {
    let scale = SCALE.load(Ordering::Relaxed);
    if scale == UNUSABLE {
        return SystemClock.unix_nanos();
    }
    let passed = LOOKED.with(|(ticks, _)| now().wrapping_sub(ticks.get()));
    if passed < COUNTED && scale != UNKNOWN {
        return LOOKED.with(|(_, nanos)| nanos.get() + ((passed * scale) >> 32));
    }
    look()
}

#[cold]
fn look() -> u64 {
    let (nanos, ticks) = around(|| SystemClock.unix_nanos());
    if let Some(ticks) = ticks {
        LOOKED.with(|looked| {
            looked.0.set(ticks);
            looked.1.set(nanos);
        });
        if is_due(ticks) {
            measure();
        }
    }
    nanos
}

/// Returns the current tick count, or `None` while the length of a tick is not known.
#[inline]
pub(super) fn begin() -> Option<u64> {
    let scale = SCALE.load(Ordering::Relaxed);
    if scale == UNUSABLE {
        return None;
    }
    let ticks = now();
    if is_due(ticks) {
        measure();
    }
    (scale != UNKNOWN).then_some(ticks)
}

/// Returns the nanoseconds since `begin` returned this tick count.
#[inline]
pub(super) fn nanos_since(begin: u64) -> u64 {
    let mut scale = SCALE.load(Ordering::Relaxed);
    if scale == UNKNOWN || scale == UNUSABLE {
        scale = LAST.load(Ordering::Relaxed);
    }
    // The counters of two processors may be some ticks apart.
    let passed = now().saturating_sub(begin);
    let nanos = (u128::from(passed) * u128::from(scale)) >> 32;
    u64::try_from(nanos).unwrap_or(u64::MAX)
}

/// Returns true if it is time to measure the length of a tick.
#[inline]
fn is_due(ticks: u64) -> bool {
    let age = ticks.wrapping_sub(MEASURED.load(Ordering::Relaxed));
    SCALE.load(Ordering::Relaxed) == UNKNOWN || age >= AGAIN
}

/// Measures the length of a tick, if enough ticks have passed and no other thread is measuring.
#[cold]
fn measure() {
    let Ok(mut begin) = BEGIN.try_lock() else {
        return;
    };
    let (instant, Some(ticks)) = around(Instant::now) else {
        return;
    };
    let Some(since) = &*begin else {
        if !are_ticks_alike() {
            SCALE.store(UNUSABLE, Ordering::Relaxed);
        }
        *begin = Some(Begin {
            ticks,
            instant,
            is_doubted: false,
        });
        return;
    };
    let passed = ticks.wrapping_sub(since.ticks);
    if passed < FIRST {
        return;
    }
    let nanos = instant.saturating_duration_since(since.instant).as_nanos();
    let scale = (nanos << 32) / u128::from(passed);
    // Between an eighth of a nanosecond and 10 ns.
    let scale = u64::try_from(scale).ok();
    let scale = scale.filter(|scale| (1 << 29..10 << 32).contains(scale));
    let last = LAST.load(Ordering::Relaxed);
    let agrees = |scale: &u64| last == UNKNOWN || scale.abs_diff(last) <= last / AGREE;
    // A machine that slept or was moved disagrees once; ticks that are not uniform disagree repeatedly.
    let (scale, is_doubted) = match scale {
        Some(scale) if agrees(&scale) => {
            LAST.store(scale, Ordering::Relaxed);
            (scale, false)
        }
        _ if since.is_doubted => (UNUSABLE, true),
        _ => (UNKNOWN, true),
    };
    SCALE.store(scale, Ordering::Relaxed);
    MEASURED.store(ticks, Ordering::Relaxed);
    *begin = Some(Begin {
        ticks,
        instant,
        is_doubted,
    });
}

/// Reads a clock. Returns the tick count of that moment too, unless the reading was interrupted.
fn around<T>(clock: impl FnOnce() -> T) -> (T, Option<u64>) {
    let before = now();
    let shown = clock();
    let took = now().wrapping_sub(before);
    (shown, (took < LOOK).then(|| before.wrapping_add(took / 2)))
}

/// Returns true if ticks have one rate in all states of the processor and are the same on all
/// processors.
fn are_ticks_alike() -> bool {
    const LEAF: u32 = 0x8000_0007;
    const INVARIANT: u32 = 1 << 8;
    #[allow(unused_unsafe, reason = "newer compilers know that it is safe")]
    let ask = |leaf| {
        // SAFETY: every processor of x86-64 has the instruction.
        unsafe { __cpuid(leaf) }
    };
    ask(0x8000_0000).eax >= LEAF && ask(LEAF).edx & INVARIANT != 0
}

#[inline]
fn now() -> u64 {
    // SAFETY: every processor of x86-64 has the instruction.
    unsafe { _rdtsc() }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn durations_are_those_of_the_monotonic_clock() {
        while SCALE.load(Ordering::Relaxed) == UNKNOWN && are_ticks_alike() {
            begin();
        }
        for milliseconds in [0, 1, 20, 100] {
            // A thread that was stopped between two readings tries again.
            let is_right = (0..20).any(|_| {
                let before = Instant::now();
                let Some(ticks) = begin() else {
                    return true;
                };
                let inside = Instant::now();
                std::thread::sleep(Duration::from_millis(milliseconds));
                let least = inside.elapsed();
                let shown = Duration::from_nanos(nanos_since(ticks));
                let most = before.elapsed();
                // The error of a slewed clock and a short first measurement.
                let off = most / 1000 + Duration::from_nanos(200);
                (least.saturating_sub(off)..=most + off).contains(&shown)
            });
            assert!(is_right, "{milliseconds} ms");
        }
        assert_eq!(nanos_since(now() + (1 << 40)), 0, "it does not go back");
    }

    #[test]
    fn it_is_never_far_from_the_clock_of_the_system() {
        // A thread that was stopped between two readings widens the allowed range.
        const OFF: u64 = 20_000;
        let begin = Instant::now();
        while begin.elapsed() < Duration::from_millis(100) {
            let before = SystemClock.unix_nanos();
            let shown = unix_nanos();
            let after = SystemClock.unix_nanos();
            let allowed = before - OFF..=after + OFF;
            assert!(allowed.contains(&shown), "{shown} in {allowed:?}");
        }
        let scale = SCALE.load(Ordering::Relaxed);
        assert_eq!(scale != UNKNOWN && scale != UNUSABLE, are_ticks_alike());
    }
}
