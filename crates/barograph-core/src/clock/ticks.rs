//! The time of the machine, for those who ask for it all the time.
//!
//! A look at the system's clock costs some 25 ns, and a span takes three. Between two looks of a thread
//! that are a fraction of a millisecond apart, this one counts the processor's ticks instead, for a
//! third of that. How long a tick takes is measured against the monotonic clock, first over some
//! milliseconds and then again every second or so. So it is never further from the system's clock than
//! that goes wrong in such a fraction: nanoseconds, and where a machine moves to another processor with
//! other ticks, microseconds.
//!
//! A duration is the difference of two counts of ticks, however far they are apart.
//!
//! Where the processor says nothing of ticks that are all alike, or measurements do not agree
//! twice in turn, every time is a look.

#![expect(unsafe_code, reason = "ticks are read by an instruction")]

use std::arch::x86_64::{__cpuid, _rdtsc};
use std::cell::Cell;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use super::{Clock, SystemClock};

/// Nanoseconds of a tick, times 2³². [`UNKNOWN`] at first, and [`UNUSABLE`] where ticks are not alike.
static SCALE: AtomicU64 = AtomicU64::new(UNKNOWN);
const UNKNOWN: u64 = 0;
const UNUSABLE: u64 = u64::MAX;

/// What was measured last; [`UNKNOWN`] before.
static LAST: AtomicU64 = AtomicU64::new(UNKNOWN);

/// When the length of a tick was measured last, in ticks.
static MEASURED: AtomicU64 = AtomicU64::new(0);

/// Where the next measurement begins.
static BEGIN: Mutex<Option<Begin>> = Mutex::new(None);

struct Begin {
    ticks: u64,
    instant: Instant,
    /// Whether what was measured until then did not agree with what was before.
    is_doubted: bool,
}

/// Ticks that are counted from one look: 100 to 500 µs, as processors go.
const COUNTED: u64 = 1 << 19;
/// Ticks that a look may take. One that takes longer was interrupted.
const LOOK: u64 = 1 << 13;
/// Ticks over which their length is measured first, and from then on.
const FIRST: u64 = 1 << 25;
const AGAIN: u64 = 1 << 32;
/// By which part two measurements may differ: more than clocks are slewed, and than the first one is
/// off because it was short.
const AGREE: u64 = 500;

thread_local! {
    /// The last look of this thread: ticks, and nanoseconds since the Unix epoch.
    static LOOKED: (Cell<u64>, Cell<u64>) = const { (Cell::new(0), Cell::new(0)) };
}

/// Nanoseconds since the Unix epoch.
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

/// The ticks of this moment, if it is known how long they take.
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

/// The nanoseconds since `begin` gave these ticks.
#[inline]
pub(super) fn nanos_since(begin: u64) -> u64 {
    let mut scale = SCALE.load(Ordering::Relaxed);
    if scale == UNKNOWN || scale == UNUSABLE {
        scale = LAST.load(Ordering::Relaxed);
    }
    // Two processors may be some ticks apart.
    let passed = now().saturating_sub(begin);
    let nanos = (u128::from(passed) * u128::from(scale)) >> 32;
    u64::try_from(nanos).unwrap_or(u64::MAX)
}

/// Whether it is time to measure how long a tick takes.
#[inline]
fn is_due(ticks: u64) -> bool {
    let age = ticks.wrapping_sub(MEASURED.load(Ordering::Relaxed));
    SCALE.load(Ordering::Relaxed) == UNKNOWN || age >= AGAIN
}

/// Measures how long a tick takes, if enough of them have passed and nobody else does.
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
    // Between 10 ns and an eighth of one.
    let scale = u64::try_from(scale).ok();
    let scale = scale.filter(|scale| (1 << 29..10 << 32).contains(scale));
    let last = LAST.load(Ordering::Relaxed);
    let agrees = |scale: &u64| last == UNKNOWN || scale.abs_diff(last) <= last / AGREE;
    // A machine that slept or was moved is wrong once, ticks that are not alike again and again.
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

/// What a clock shows, with the ticks of that moment; none when the look at it was interrupted.
fn around<T>(clock: impl FnOnce() -> T) -> (T, Option<u64>) {
    let before = now();
    let shown = clock();
    let took = now().wrapping_sub(before);
    (shown, (took < LOOK).then(|| before.wrapping_add(took / 2)))
}

/// Whether ticks go on at one rate, whatever the processor does, and are the same on all of them.
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
            // A thread that was stopped between two looks tries again.
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
                // What a slewed clock and a short first measurement make of it.
                let off = most / 1000 + Duration::from_nanos(200);
                (least.saturating_sub(off)..=most + off).contains(&shown)
            });
            assert!(is_right, "{milliseconds} ms");
        }
        assert_eq!(nanos_since(now() + (1 << 40)), 0, "it does not go back");
    }

    #[test]
    fn it_is_never_far_from_the_clock_of_the_system() {
        // Time spent elsewhere between two looks widens what is allowed.
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
