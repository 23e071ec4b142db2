//! The system allocator, which counts live bytes while a memory row asks for it.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

/// Counts only while a thread asks for it, so that libraries that allocate while recording or
/// rendering do not pay for the counting of a row that is not about memory.
pub(crate) struct Counting;

/// Live bytes that `build` leaves behind, with what it built.
///
/// Counts what the calling thread allocates and frees. Bytes are those that were asked for, without
/// the allocator's own overhead.
pub(crate) fn live_bytes_of<T>(build: impl FnOnce() -> T) -> (i64, T) {
    LIVE.set(Some(0));
    let built = build();
    (LIVE.take().unwrap_or(0), built)
}

/// How often `run` allocates, or has something grown.
pub(crate) fn allocations_of(run: impl FnOnce()) -> u64 {
    TIMES.set(Some(0));
    run();
    TIMES.take().unwrap_or(0)
}

fn count(bytes: i64) {
    if bytes > 0 {
        let _ = TIMES.try_with(|times| times.set(times.get().map(|before| before + 1)));
    }
    // It has no destructor, hence is there as long as the thread allocates.
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
