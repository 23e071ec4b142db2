//! The system allocator, which counts live bytes while a memory row asks for it.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

/// Counts only while switched on, so that libraries that allocate while recording or rendering
/// do not pay for the counting of a row that is not about memory.
pub(crate) struct Counting;

/// Live bytes that `build` leaves behind, with what it built.
///
/// Only one thread may allocate meanwhile: bytes are counted process-wide. Bytes are those that
/// were asked for, without the allocator's own overhead, which favors nobody who makes few and
/// large allocations.
pub(crate) fn live_bytes_of<T>(build: impl FnOnce() -> T) -> (i64, T) {
    LIVE.store(0, Ordering::Relaxed);
    ON.store(true, Ordering::Relaxed);
    let built = build();
    ON.store(false, Ordering::Relaxed);
    (LIVE.load(Ordering::Relaxed), built)
}

fn count(bytes: i64) {
    if ON.load(Ordering::Relaxed) {
        LIVE.fetch_add(bytes, Ordering::Relaxed);
    }
}

fn size(layout: Layout) -> i64 {
    i64::try_from(layout.size()).expect("a layout is never larger than isize::MAX")
}

// SAFETY: each call goes to the system allocator unchanged; counting touches only two atomics.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(size(layout));
        // SAFETY: the caller's promises are passed on as they are.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(size(layout));
        // SAFETY: the caller's promises are passed on as they are.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        let new = i64::try_from(new_size).expect("the caller promises at most isize::MAX");
        count(new - size(layout));
        // SAFETY: the caller's promises are passed on as they are.
        unsafe { System.realloc(pointer, layout, new_size) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(-size(layout));
        // SAFETY: the caller's promises are passed on as they are.
        unsafe { System.dealloc(pointer, layout) }
    }
}

static ON: AtomicBool = AtomicBool::new(false);
static LIVE: AtomicI64 = AtomicI64::new(0);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_counts_and_what_is_dropped_does_not() {
        let (bytes, kept) = live_bytes_of(|| {
            drop(vec![0_u8; 4096]);
            let mut grown = Vec::with_capacity(16);
            grown.resize(1_000, 7_u8);
            grown.shrink_to_fit();
            grown
        });
        assert_eq!(kept.len(), 1_000);
        // Test threads may allocate meanwhile; what was dropped here would be far beyond that.
        assert!((1_000..3_000).contains(&bytes), "{bytes}");
    }
}
