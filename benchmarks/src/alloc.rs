//! The system allocator, which counts live bytes during a memory row.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

/// An allocator that counts only while a thread asks for it, so that other rows do not pay for the
/// counting when a library allocates while recording or rendering.
pub(crate) struct Counting;

/// Returns the live bytes that `build` leaves allocated, and its result.
///
/// Counts what the calling thread allocates and frees, as requested bytes without the allocator's
/// overhead.
pub(crate) fn live_bytes_of<T>(build: impl FnOnce() -> T) -> (i64, T) {
    LIVE.set(Some(0));
    let built = build();
    (LIVE.take().unwrap_or(0), built)
}

/// Returns the number of allocations and reallocations in `run`.
pub(crate) fn allocations_of(run: impl FnOnce()) -> u64 {
    TIMES.set(Some(0));
    run();
    TIMES.take().unwrap_or(0)
}

fn count(bytes: i64) {
    if bytes > 0 {
        let _ = TIMES.try_with(|times| times.set(times.get().map(|before| before + 1)));
    }
    // The cell has no destructor, so it is available as long as the thread allocates.
    let _ = LIVE.try_with(|live| {
        if let Some(before) = live.get() {
            live.set(Some(before + bytes));
        }
    });
}

fn size(layout: Layout) -> i64 {
    i64::try_from(layout.size()).expect("a layout is never larger than isize::MAX")
}

// SAFETY: each call goes to the system allocator unchanged; counting touches a cell, and allocates
// nothing.
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

thread_local! {
    static LIVE: Cell<Option<i64>> = const { Cell::new(None) };
    static TIMES: Cell<Option<u64>> = const { Cell::new(None) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_allocation_counts() {
        let times = allocations_of(|| {
            let mut grown = vec![1_u8];
            grown.reserve_exact(100);
            drop(grown);
        });
        assert_eq!(times, 2);
    }

    #[test]
    fn what_is_kept_counts_and_what_is_dropped_does_not() {
        let (bytes, kept) = live_bytes_of(|| {
            drop(vec![0_u8; 4096]);
            let mut grown = Vec::with_capacity(16);
            grown.resize(1_000, 7_u8);
            grown.shrink_to_fit();
            grown
        });
        assert_eq!((kept.len(), bytes), (1_000, 1_000));
    }
}
