//! A histogram's buckets and sum in one row of words, readable while it is written.
//!
//! # Protocol
//!
//! A row is `[sequence, sum, sum, bucket 0, bucket 1, ...]`. The sequence is even while the row is
//! consistent and odd while a thread changes it: a seqlock.
//!
//! * An **owned** row has one writer, the thread that leases it. The writer makes the sequence odd,
//!   stores bucket and sum with plain loads and stores, and makes the sequence even again. It never
//!   waits and never fails.
//! * A **shared** row is written by any thread. A writer takes it by swapping the sequence from even to
//!   odd; every change is an atomic addition. A thread that does not get it promotes the series and
//!   writes its own row. If there is none available, past the budget, it adds to the shared row anyway.
//!   Then only a snapshot made at that moment can be off, never a total.
//! * A **reader** reads the sequence, the words, and the sequence again, and starts over if it was odd
//!   or has changed. After a while it takes the row as it is: the writer may have been descheduled in
//!   the middle. Then only the sum can be off, by one observation; the count of a histogram is never
//!   stored but always the sum of its buckets.
//!
//! Observations go to two sums in turn. Adding to a float that was stored an instant ago is bound by
//! the latency of store, load and add; two chains hide half of it.

#![expect(
    unsafe_code,
    reason = "rows are raw words, sized by the family, aligned to a line"
)]

use crate::sync::{AtomicU64, Ordering, fence};

const SEQUENCE: usize = 0;
const SUM: usize = 1;
const BUCKETS: usize = 3;

/// The number of times a reader starts over before it takes a row as it is.
const PATIENCE: usize = if cfg!(loom) { 1 } else { 10_000 };
/// The number of these times that it sleeps because the writer was descheduled in the middle; a tenth
/// of a second in all. Yielding is not enough: a reader that is scheduled again at once uses up its
/// retries before the writer comes back.
#[cfg(not(loom))]
const SLEEPS: usize = 1_000;
#[cfg(not(loom))]
const A_MOMENT: std::time::Duration = std::time::Duration::from_micros(50);

/// A row of `3 + buckets` words. Copies refer to the same words.
#[derive(Clone, Copy)]
pub(crate) struct Row<'a>(&'a [AtomicU64]);

/// Returns the number of words in a row of this many buckets.
pub(crate) fn words(buckets: usize) -> usize {
    BUCKETS + buckets
}

impl<'a> Row<'a> {
    /// Returns the row at `words`.
    ///
    /// # Safety
    /// `words` points at `words(buckets)` words from [`alloc`] that live for `'a`.
    #[inline(always)]
    pub(crate) unsafe fn at(words: *const AtomicU64, buckets: usize) -> Self {
        // SAFETY: the caller's promise; atomics may be shared.
        Row(unsafe { std::slice::from_raw_parts(words, BUCKETS + buckets) })
    }

    /// Adds one observation to a row that all threads share, unless another thread is writing it.
    /// Returns true if it was added.
    pub(crate) fn try_observe_shared(self, bucket: usize, value: f64) -> bool {
        let sequence = self.0[SEQUENCE].load(Ordering::Relaxed);
        // Acquire: pairs with the Release below, so that the sums of writers follow each other.
        let mine = sequence & 1 == 0
            && self.0[SEQUENCE]
                .compare_exchange(
                    sequence,
                    sequence.wrapping_add(1),
                    Ordering::Acquire,
                    Ordering::Relaxed,
                )
                .is_ok();
        if mine {
            // Release: pairs with the Acquire fence in `read_once`.
            fence(Ordering::Release);
            self.add(bucket, value);
            // Release: pairs with the Acquire load in `read_once` and with the swap above.
            self.0[SEQUENCE].store(sequence.wrapping_add(2), Ordering::Release);
        }
        mine
    }

    /// Adds one observation to a row that all threads share, even while another thread is writing it.
    pub(crate) fn add(self, bucket: usize, value: f64) {
        self.0[BUCKETS + bucket].fetch_add(1, Ordering::Relaxed);
        add_f64(&self.0[SUM], value);
    }

    /// Adds many observations to a row that all threads share, even while another thread is writing it.
    pub(crate) fn add_all(self, counts: impl Iterator<Item = u64>, sum: f64) {
        for (word, count) in self.0[BUCKETS..].iter().zip(counts) {
            word.fetch_add(count, Ordering::Relaxed);
        }
        add_f64(&self.0[SUM], sum);
    }

    /// Adds this row's buckets to `buckets` and returns its sum. `copy` is scratch space of the same
    /// length.
    pub(crate) fn read(self, buckets: &mut [u64], copy: &mut [u64]) -> f64 {
        let mut sum = self.read_once(copy);
        #[cfg(not(loom))]
        let (mut seen, mut sleeps) = (0, 0);
        for _ in 0..PATIENCE {
            if sum.is_some() {
                break;
            }
            #[cfg(not(loom))]
            {
                let sequence = self.0[SEQUENCE].load(Ordering::Relaxed);
                // The writer is in the middle, and nothing has happened since the last attempt.
                if sequence & 1 == 1 && sequence == seen {
                    if sleeps == SLEEPS {
                        break;
                    }
                    sleeps += 1;
                    std::thread::sleep(A_MOMENT);
                }
                seen = sequence;
            }
            sum = self.read_once(copy);
        }
        let sum = sum.unwrap_or_else(|| self.load(copy));
        for (bucket, copy) in buckets.iter_mut().zip(copy) {
            *bucket = bucket.wrapping_add(*copy);
        }
        sum
    }

    /// Reads the row. Returns `None` if it changes meanwhile.
    pub(crate) fn read_once(self, copy: &mut [u64]) -> Option<f64> {
        // Acquire: pairs with the Release store that made the sequence even.
        let sequence = self.0[SEQUENCE].load(Ordering::Acquire);
        if sequence & 1 == 1 {
            return None;
        }
        let sum = self.load(copy);
        // Acquire: pairs with the Release fence behind the odd sequence, of the writer that stored a
        // word read above.
        fence(Ordering::Acquire);
        (self.0[SEQUENCE].load(Ordering::Relaxed) == sequence).then_some(sum)
    }

    /// Reads the words as they are at this moment, consistent or not.
    pub(crate) fn load(self, copy: &mut [u64]) -> f64 {
        for (copy, word) in copy.iter_mut().zip(&self.0[BUCKETS..]) {
            *copy = word.load(Ordering::Relaxed);
        }
        let sum = |i: usize| f64::from_bits(self.0[SUM + i].load(Ordering::Relaxed));
        sum(0) + sum(1)
    }

    /// Sets everything but the sequence to zero. No other thread may write the row meanwhile.
    pub(crate) fn clear(self) {
        for word in &self.0[SUM..] {
            word.store(0, Ordering::Relaxed);
        }
    }
}

/// Adds one observation to a row that this thread leases.
///
/// # Safety
/// `row` is from [`alloc`] with more than `bucket` buckets, and no other thread writes it.
#[inline(always)]
pub(crate) unsafe fn observe_owned(row: *const AtomicU64, bucket: usize, value: f64) {
    let word = |at: usize| {
        // SAFETY: the caller's promise; all of these are words of the row.
        let word = unsafe { row.add(at) };
        // SAFETY: as above; atomics may be shared.
        unsafe { &*word }
    };
    let sequence = word(SEQUENCE).load(Ordering::Relaxed);
    let count = word(BUCKETS + bucket);
    let sum = word(SUM + (sequence >> 1 & 1) as usize);
    word(SEQUENCE).store(sequence.wrapping_add(1), Ordering::Relaxed);
    // Release: pairs with the Acquire fence in `read_once`; a reader that sees a word stored below
    // sees the odd sequence too.
    fence(Ordering::Release);
    let counted = count.load(Ordering::Relaxed).wrapping_add(1);
    count.store(counted, Ordering::Relaxed);
    let total = f64::from_bits(sum.load(Ordering::Relaxed)) + value;
    sum.store(total.to_bits(), Ordering::Relaxed);
    // Release: pairs with the Acquire load in `read_once`; a reader that sees this even sequence
    // sees all words of the observation.
    word(SEQUENCE).store(sequence.wrapping_add(2), Ordering::Release);
}

/// Adds to a float that several threads write.
pub(crate) fn add_f64(cell: &AtomicU64, value: f64) {
    let mut old = cell.load(Ordering::Relaxed);
    loop {
        let new = (f64::from_bits(old) + value).to_bits();
        match cell.compare_exchange_weak(old, new, Ordering::Relaxed, Ordering::Relaxed) {
            Ok(_) => return,
            Err(now) => old = now,
        }
    }
}

/// Allocates a row of this many words, all zero, on its own cache lines.
pub(crate) fn alloc(words: usize) -> *mut AtomicU64 {
    #[cfg(loom)]
    return Box::leak((0..words).map(|_| AtomicU64::new(0)).collect::<Box<[_]>>()).as_mut_ptr();
    #[cfg(not(loom))]
    {
        let layout = layout(words);
        // SAFETY: the layout is not empty; a row has at least three words and a bucket.
        let row = unsafe { std::alloc::alloc_zeroed(layout) };
        if row.is_null() {
            std::alloc::handle_alloc_error(layout);
        }
        row.cast()
    }
}

/// Frees a row.
///
/// # Safety
/// `row` is from [`alloc`] with as many words, and nothing refers to it any longer.
pub(crate) unsafe fn free(row: *mut AtomicU64, words: usize) {
    #[cfg(loom)]
    // SAFETY: the caller's promise; `alloc` leaked a boxed slice of that length.
    drop(unsafe { Box::from_raw(std::ptr::slice_from_raw_parts_mut(row, words)) });
    #[cfg(not(loom))]
    // SAFETY: the caller's promise; the layout is the one of `alloc`.
    unsafe {
        std::alloc::dealloc(row.cast(), layout(words));
    }
}

#[cfg(not(loom))]
fn layout(words: usize) -> std::alloc::Layout {
    // Padded to whole lines, so that no two rows share one.
    let bytes = (words * size_of::<AtomicU64>()).next_multiple_of(64);
    std::alloc::Layout::from_size_align(bytes, 64).expect("a row has at most some thousand words")
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn count_and_sum_of_both_kinds_of_row_add_up() {
        let row = alloc(words(3));
        // SAFETY: three buckets, used by this thread alone and freed below.
        let view = unsafe { Row::at(row, 3) };
        for (bucket, value) in [(0, 0.5), (2, 4.0), (2, 8.0)] {
            // SAFETY: the bucket is less than three, and there is no other thread.
            unsafe { observe_owned(row, bucket, value) };
        }
        assert!(view.try_observe_shared(1, 2.0));
        let mut buckets = [0; 3];
        assert_eq!(view.read(&mut buckets, &mut [0; 3]), 14.5);
        assert_eq!(buckets, [1, 1, 2]);
        view.clear();
        assert_eq!(view.read(&mut [0; 3], &mut [0; 3]), 0.0);
        // SAFETY: nothing refers to it any longer.
        unsafe { free(row, words(3)) };
    }
}
