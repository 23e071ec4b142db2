//! Memory for consecutive series, which never move.

#![expect(
    unsafe_code,
    reason = "a header and its series are one allocation, reached by pointer"
)]

use super::exemplar::Exemplars;
use super::{Cold, Series};
use crate::sync::{AtomicPtr, AtomicU64, Ordering};

/// The header in front of the series of a chunk, on its own cache line.
#[repr(C, align(64))]
pub(super) struct Header {
    /// The number of the first series.
    pub(super) first: usize,
    pub(super) len: usize,
    pub(super) cold: *mut Cold,
    pub(super) exemplars: AtomicPtr<AtomicPtr<Exemplars>>,
}

/// Consecutive series. They live as long as the chunk and never move.
pub(crate) struct Chunk {
    header: *mut Header,
}

// SAFETY: a chunk owns plain memory, and what lies in it is shared by atomics.
unsafe impl Send for Chunk {}

impl Chunk {
    /// Allocates room for `len` series, the first of which has the number `first`.
    pub(crate) fn new(first: usize, len: usize) -> Self {
        let layout = Self::layout(len);
        // SAFETY: the layout is not empty.
        let header = unsafe { std::alloc::alloc(layout) }.cast::<Header>();
        if header.is_null() {
            std::alloc::handle_alloc_error(layout);
        }
        let cold: Box<[Cold]> = (0..len)
            .map(|_| Cold {
                cell: AtomicU64::new(0),
                began_and_slot: AtomicU64::new(0),
            })
            .collect();
        let content = Header {
            first,
            len,
            cold: Box::into_raw(cold).cast(),
            exemplars: AtomicPtr::default(),
        };
        // SAFETY: the allocation begins with room for a header.
        unsafe { header.write(content) };
        let chunk = Chunk { header };
        for place in 0..len {
            let series = Series::new(u16::try_from(place).expect("chunks are small"));
            // SAFETY: place < len.
            let at = unsafe { chunk.series_at(place) };
            // SAFETY: it was allocated above and nothing refers to it yet.
            unsafe { at.write(series) };
        }
        chunk
    }

    fn layout(len: usize) -> std::alloc::Layout {
        // Atomics are larger in the model checker.
        const { assert!(size_of::<Series>() == 64 || cfg!(loom)) };
        const { assert!(size_of::<Header>() <= size_of::<Series>()) };
        let bytes = (len + 1) * size_of::<Series>();
        std::alloc::Layout::from_size_align(bytes, 64).expect("chunks are small")
    }

    /// Returns the number of the first series.
    pub(crate) fn first(&self) -> usize {
        // SAFETY: `header` was written in `new`.
        unsafe { (*self.header).first }
    }

    /// Returns the number of series that it has room for.
    pub(crate) fn len(&self) -> usize {
        // SAFETY: as above.
        unsafe { (*self.header).len }
    }

    /// # Safety
    /// `place` is less than `len`.
    unsafe fn series_at(&self, place: usize) -> *mut Series {
        // SAFETY: the allocation has `1 + len` lines; the caller's promise.
        unsafe { self.header.cast::<Series>().add(1 + place) }
    }

    /// Returns the series at a position. It lives as long as the chunk.
    pub(crate) fn series(&self, place: usize) -> *const Series {
        assert!(place < self.len());
        // SAFETY: see the line above.
        unsafe { self.series_at(place) }
    }
}

impl Drop for Chunk {
    fn drop(&mut self) {
        let len = self.len();
        for place in 0..len {
            // SAFETY: place < len.
            let series = unsafe { self.series_at(place) };
            // SAFETY: it was written in `new`.
            let series = unsafe { &*series };
            // SAFETY: with `&mut self` nothing else can reach the series.
            unsafe { series.drop_key() };
        }
        // SAFETY: `header` was written in `new`.
        let header = unsafe { &*self.header };
        let column = header.exemplars.load(Ordering::Relaxed);
        if !column.is_null() {
            let column = std::ptr::slice_from_raw_parts_mut(column, len);
            // SAFETY: `make_exemplars` made it as a boxed slice of that length.
            for place in unsafe { Box::from_raw(column) } {
                let exemplars = place.load(Ordering::Relaxed);
                if !exemplars.is_null() {
                    // SAFETY: `make_exemplars` made it by `Box::into_raw`.
                    drop(unsafe { Box::from_raw(exemplars) });
                }
            }
        }
        let cold = std::ptr::slice_from_raw_parts_mut(header.cold, len);
        // SAFETY: `new` made it as a boxed slice of that length.
        drop(unsafe { Box::from_raw(cold) });
        // SAFETY: allocated in `new` with this layout.
        unsafe { std::alloc::dealloc(self.header.cast(), Self::layout(len)) };
    }
}
