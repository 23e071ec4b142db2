//! The time of the machine, for those who ask for it all the time.
//!
//! A look at the system's clock costs some 25 ns, and a span takes three. Between two looks of a thread
//! that are a fraction of a millisecond apart, this one counts the processor's ticks instead, for a
//! third of that. How long a tick takes is measured against the monotonic clock, first over some
//! milliseconds and then again every second or so. So it is never further from the system's clock than
//! that goes wrong in such a fraction: nanoseconds, and where a machine moves to another processor with
//! other ticks, microseconds.
//!
//! Where the processor says nothing of ticks that are all alike, every time is a look.

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

/// When the length of a tick was measured last, in ticks.
static MEASURED: AtomicU64 = AtomicU64::new(0);

/// Where the next measurement begins.
static BEGIN: Mutex<Option<(u64, Instant)>> = Mutex::new(None);

/// Ticks that are counted from one look: 100 to 500 µs, as processors go.
const COUNTED: u64 = 1 << 19;
/// Ticks that a look may take. One that takes longer was interrupted.
const LOOK: u64 = 1 << 13;
/// Ticks over which their length is measured first, and from then on.
const FIRST: u64 = 1 << 25;
const AGAIN: u64 = 1 << 32;

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
        let age = ticks.wrapping_sub(MEASURED.load(Ordering::Relaxed));
        if SCALE.load(Ordering::Relaxed) == UNKNOWN || age >= AGAIN {
            measure();
        }
    }
    nanos
}

/// Measures how long a tick takes, if enough of them have passed and nobody else does.
fn measure() {
    let Ok(mut begin) = BEGIN.try_lock() else {
        return;
    };
    let (instant, Some(ticks)) = around(Instant::now) else {
        return;
    };
    let Some((begin_ticks, begin_instant)) = *begin else {
        if !are_ticks_alike() {
            SCALE.store(UNUSABLE, Ordering::Relaxed);
        }
        *begin = Some((ticks, instant));
        return;
    };
    let passed = ticks.wrapping_sub(begin_ticks);
    if passed < FIRST {
        return;
    }
    let nanos = instant.saturating_duration_since(begin_instant).as_nanos();
    let scale = (nanos << 32) / u128::from(passed);
    // Between 10 ns and an eighth of one. Anything else is no such processor, or one that slept.
    let scale = u64::try_from(scale).ok();
    let scale = scale.filter(|scale| (1 << 29..10 << 32).contains(scale));
    SCALE.store(scale.unwrap_or(UNKNOWN), Ordering::Relaxed);
    MEASURED.store(ticks, Ordering::Relaxed);
    *begin = Some((ticks, instant));
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
