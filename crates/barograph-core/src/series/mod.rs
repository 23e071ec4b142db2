//! The memory of a series: one cache line that lookups read, and a separate part that recordings write.
//!
//! Series are stored in chunks that never move. A [`Series`] is the line that a lookup touches: the
//! labels, and the slot of its cells once it is busy. The cell that all threads share is in another
//! array of the same chunk, [`Cold`], so that counting does not take the labels' line away from lookups
//! of other threads.

#![expect(
    unsafe_code,
    reason = "labels of any length lie in the line itself or behind a pointer"
)]

pub mod exemplar;
pub(crate) mod config;
mod chunk;
pub(crate) mod buckets;
pub(crate) mod thread;
#[cfg(all(target_arch = "x86_64", not(loom)))]
pub(crate) mod wide;
pub(crate) mod storage;

use barograph_model::label;

pub(crate) use self::chunk::Chunk;
use self::chunk::Header;
use crate::series::exemplar::Exemplars;
use crate::sync::hash;
use crate::sync::{AtomicPtr, AtomicU8, AtomicU32, AtomicU64, Ordering, UnsafeCell, fence};

/// The half words in the line: ends of the pieces, then their text.
const INLINE: usize = 24;

/// One series: the part that lookups read.
#[repr(C, align(64))]
pub(crate) struct Series {
    /// The slot of its cells or rows; 0 while it has none or recordings have to take the slow path.
    pub(crate) hot: AtomicU32,
    /// The number of handles that are bound to it; see [`hold`](Self::hold).
    handles: AtomicU32,
    /// Grows with each series of the family. A reader shows no series younger than its snapshot.
    birth: AtomicU32,
    /// Its position in the chunk.
    place: u16,
    /// The number of pieces of text in its labels.
    pieces: UnsafeCell<u8>,
    state: AtomicU8,
    /// `[end of piece; pieces]` and the text; or, if [`LONG`], a pointer to them.
    key: UnsafeCell<[u16; INLINE]>,
}

// SAFETY: `pieces` and `key` change only in `set_key`, whose caller ensures exclusive access.
unsafe impl Sync for Series {}
// SAFETY: as above; nothing in it is bound to a thread.
unsafe impl Send for Series {}

/// Returns the ends of the pieces in one word, up to four of them as they are in a key, and the end of
/// the last one. For more than four pieces the word is too short to tell them apart, but good for a
/// hash.
#[inline(always)]
pub(crate) fn packed_ends<const N: usize>(pieces: &[&str; N]) -> (u64, usize) {
    let (mut packed, mut end) = (0, 0);
    for (i, piece) in pieces.iter().enumerate() {
        end += piece.len();
        packed ^= (end as u64).rotate_left(16 * (i as u32 % 4));
    }
    (packed, end)
}

/// The state of a series for its readers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// Never used, or released.
    Free,
    /// Shown in snapshots.
    Live,
    /// Shown again after a removal: its value is what was recorded since.
    Revived,
    /// Not shown until a thread records into it.
    Removed,
}

/// Past this many handles, of which most were forgotten and not dropped, the count stays where it can
/// neither wrap around nor come back to zero. The series is then never released.
const MOST_HANDLES: u32 = 1 << 31;
const UNCOUNTABLE: u32 = 3 << 30;

const STATE: u8 = 0b11;
const LONG: u8 = 0b100;
const CLEAN: u8 = 0b1000;
const OVERFLOW: u8 = 0b1_0000;

impl Series {
    fn new(place: u16) -> Self {
        Series {
            hot: AtomicU32::new(0),
            handles: AtomicU32::new(0),
            birth: AtomicU32::new(0),
            place,
            pieces: UnsafeCell::new(0),
            state: AtomicU8::new(0),
            key: UnsafeCell::new([0; INLINE]),
        }
    }

    pub(crate) fn state(&self) -> State {
        // Acquire: pairs with the Release in `set_state`; a reader that sees it live sees its labels.
        match self.state.load(Ordering::Acquire) & STATE {
            0 => State::Free,
            1 => State::Live,
            2 => State::Revived,
            _ => State::Removed,
        }
    }

    /// Sets the state. The caller holds the family's lock.
    pub(crate) fn set_state(&self, state: State) {
        let bits = match state {
            State::Free => 0,
            State::Live => 1,
            State::Revived => 2,
            State::Removed => 3,
        };
        let others = self.state.load(Ordering::Relaxed) & !STATE;
        // Release: pairs with the Acquire in `state`.
        self.state.store(others | bits, Ordering::Release);
    }

    pub(crate) fn is_overflow(&self) -> bool {
        self.state.load(Ordering::Relaxed) & OVERFLOW != 0
    }

    pub(crate) fn set_overflow(&self) {
        self.state.fetch_or(OVERFLOW, Ordering::Relaxed);
    }

    /// Counts a handle.
    pub(crate) fn hold(&self) {
        if self.handles.fetch_add(1, Ordering::Relaxed) >= MOST_HANDLES {
            self.handles.store(UNCOUNTABLE, Ordering::Relaxed);
        }
    }

    /// Takes back one [`hold`](Self::hold).
    pub(crate) fn let_go(&self) {
        // Release: pairs with the Acquire in `is_held`; what was recorded through the handle is seen
        // by the thread that releases the series.
        if self.handles.fetch_sub(1, Ordering::Release) > MOST_HANDLES {
            self.handles.store(UNCOUNTABLE, Ordering::Relaxed);
        }
    }

    /// Returns true while a handle is bound to the series.
    pub(crate) fn is_held(&self) -> bool {
        // Acquire: pairs with the Release in `let_go`.
        self.handles.load(Ordering::Acquire) > 0
    }

    pub(crate) fn birth(&self) -> u32 {
        self.birth.load(Ordering::Relaxed)
    }

    pub(crate) fn set_birth(&self, birth: u32) {
        self.birth.store(birth, Ordering::Relaxed);
    }

    /// Returns true if no label value has a character that a text format has to escape.
    pub(crate) fn is_clean(&self) -> bool {
        self.state.load(Ordering::Relaxed) & CLEAN != 0
    }

    /// Returns the ends of the pieces of its labels, and their text.
    #[inline(always)]
    pub(crate) fn key(&self) -> (&[u16], &str) {
        // SAFETY: `set_key` does not run while another thread can hold the series.
        let pieces = usize::from(self.pieces.with(|pieces| unsafe { *pieces }));
        let start = self.ends();
        // SAFETY: `set_key` wrote as many ends there.
        let ends = unsafe { std::slice::from_raw_parts(start, pieces) };
        let len = ends.last().map_or(0, |end| usize::from(*end));
        // SAFETY: the text follows the ends.
        let text = unsafe { start.add(pieces) };
        // SAFETY: `set_key` wrote as much text as the last end says.
        let text = unsafe { std::slice::from_raw_parts(text.cast(), len) };
        // SAFETY: `set_key` takes a str.
        (ends, unsafe { std::str::from_utf8_unchecked(text) })
    }

    /// Returns the text of its labels.
    pub(crate) fn text(&self) -> &str {
        self.key().1
    }

    /// Returns true if its labels are exactly these pieces. It must have as many.
    #[inline(always)]
    pub(crate) fn is<const N: usize>(&self, pieces: &[&str; N]) -> bool {
        let (ends, end) = packed_ends(pieces);
        if end > usize::from(u16::MAX) {
            return false;
        }
        let Some(mut text) = self.text_if_ends_are(pieces, ends) else {
            return false;
        };
        for piece in pieces {
            // SAFETY: its pieces are as long as these.
            let mine = unsafe { std::slice::from_raw_parts(text, piece.len()) };
            if !hash::equal(mine, piece.as_bytes()) {
                return false;
            }
            // SAFETY: as above.
            text = unsafe { text.add(piece.len()) };
        }
        true
    }

    /// Returns the address of its text if its N pieces are as long as these. That alone distinguishes
    /// most label sets. `packed` is the result of [`packed_ends`] for them; together they are no longer
    /// than a key.
    #[inline(always)]
    pub(crate) fn text_if_ends_are<const N: usize>(
        &self,
        pieces: &[&str; N],
        packed: u64,
    ) -> Option<*const u8> {
        let ends = self.ends();
        if N <= 4 && cfg!(target_endian = "little") {
            // SAFETY: a key has at least eight bytes.
            let mine = unsafe { ends.cast::<u64>().read_unaligned() };
            let mask = if N == 4 {
                u64::MAX
            } else {
                (1 << (16 * N)) - 1
            };
            if packed != mine & mask {
                return None;
            }
        } else {
            let mut end = 0;
            for (i, piece) in pieces.iter().enumerate() {
                end += piece.len();
                // SAFETY: there are N ends.
                let mine = unsafe { ends.add(i) };
                // SAFETY: as above.
                if usize::from(unsafe { *mine }) != end {
                    return None;
                }
            }
        }
        // SAFETY: the text follows the ends.
        Some(unsafe { ends.add(N) }.cast())
    }

    /// Returns the address of the ends of its pieces, which are followed by the text.
    #[inline(always)]
    fn ends(&self) -> *const u16 {
        let inline = self.key.with(|key| key.cast::<u16>());
        if self.state.load(Ordering::Relaxed) & LONG == 0 {
            inline
        } else {
            // SAFETY: where LONG, `set_key` wrote a pointer there.
            unsafe { inline.cast::<*const u16>().read_unaligned() }
        }
    }

    /// Returns one piece of its labels.
    #[inline(always)]
    pub(crate) fn piece(&self, index: usize) -> &[u8] {
        let (ends, text) = self.key();
        let from = index.checked_sub(1).map_or(0, |i| usize::from(ends[i]));
        &text.as_bytes()[from..usize::from(ends[index])]
    }

    /// Writes the labels.
    ///
    /// # Safety
    /// Nothing else can reach the series: it is in no table, has no handle, and no thread is pinned
    /// that could have found it before.
    pub(crate) unsafe fn set_key(&self, ends: &[u16], text: &str) {
        // SAFETY: the caller's promise.
        unsafe { self.drop_key() };
        let mut flags = 0;
        if label::is_clean(text) {
            flags |= CLEAN;
        }
        let half_words = ends.len() + text.len().div_ceil(2);
        let inline = self.key.with_mut(|key| key.cast::<u16>());
        let start = if half_words <= INLINE {
            inline
        } else {
            flags |= LONG;
            let long = Box::into_raw(vec![0u16; half_words].into_boxed_slice()).cast::<u16>();
            // SAFETY: the line has room for a pointer; no other thread reads it now.
            unsafe { inline.cast::<*mut u16>().write_unaligned(long) };
            long
        };
        // SAFETY: `start` has room for `half_words`; sources and target are apart.
        unsafe { std::ptr::copy_nonoverlapping(ends.as_ptr(), start, ends.len()) };
        // SAFETY: as above.
        let target = unsafe { start.add(ends.len()) }.cast::<u8>();
        // SAFETY: as above.
        unsafe { std::ptr::copy_nonoverlapping(text.as_ptr(), target, text.len()) };
        let pieces = u8::try_from(ends.len()).expect("registration allows 64 labels");
        // SAFETY: the caller's promise.
        self.pieces.with_mut(|at| unsafe { *at = pieces });
        let others = self.state.load(Ordering::Relaxed) & !(LONG | CLEAN);
        self.state.store(others | flags, Ordering::Relaxed);
    }

    /// Frees the memory that the labels hold outside the line.
    ///
    /// # Safety
    /// As for [`set_key`](Self::set_key).
    unsafe fn drop_key(&self) {
        if self.state.load(Ordering::Relaxed) & LONG == 0 {
            return;
        }
        let (ends, text) = self.key();
        let half_words = ends.len() + text.len().div_ceil(2);
        let start = ends.as_ptr().cast_mut();
        self.state.fetch_and(!LONG, Ordering::Relaxed);
        // SAFETY: the caller's promise.
        self.pieces.with_mut(|at| unsafe { *at = 0 });
        // SAFETY: `set_key` made it as a boxed slice of that length; nothing refers to it.
        drop(unsafe { Box::from_raw(std::ptr::slice_from_raw_parts_mut(start, half_words)) });
    }

    /// Returns its other half.
    #[inline]
    pub(crate) fn cold(&self) -> &Cold {
        // SAFETY: every series lies in a chunk, which has as many cold halves.
        let cold = unsafe { self.chunk().cold.add(usize::from(self.place)) };
        // SAFETY: they outlive `self`.
        unsafe { &*cold }
    }

    /// Returns its number in the family.
    pub(crate) fn index(&self) -> usize {
        self.chunk().first + usize::from(self.place)
    }

    fn chunk(&self) -> &Header {
        let line: *const Series = self;
        // SAFETY: the header lies one line in front of the first series of the chunk.
        let header = unsafe { line.sub(usize::from(self.place) + 1) }.cast::<Header>();
        // SAFETY: as above; it lives as long as the series.
        unsafe { &*header }
    }

    /// Returns its exemplars, if it ever had one.
    pub(crate) fn exemplars(&self) -> Option<&Exemplars> {
        // Acquire: pairs with the Release in `publish`.
        let column = self.chunk().exemplars.load(Ordering::Acquire);
        if column.is_null() {
            return None;
        }
        // SAFETY: the column has a place for each series of the chunk.
        let place = unsafe { column.add(usize::from(self.place)) };
        // SAFETY: it lives as long as the chunk.
        let place = unsafe { &*place };
        // Acquire: as above.
        let exemplars = place.load(Ordering::Acquire);
        // SAFETY: it lives as long as the chunk.
        unsafe { exemplars.as_ref() }
    }

    /// Returns its exemplars, made with this many slots if needed.
    #[cold]
    pub(crate) fn make_exemplars(&self, slots: usize) -> &Exemplars {
        let header = self.chunk();
        // Acquire: pairs with the Release in `publish`.
        let mut column = header.exemplars.load(Ordering::Acquire);
        if column.is_null() {
            let fresh: Box<[AtomicPtr<Exemplars>]> =
                (0..header.len).map(|_| AtomicPtr::default()).collect();
            let fresh = Box::into_raw(fresh).cast::<AtomicPtr<Exemplars>>();
            column = publish(&header.exemplars, fresh, |fresh| {
                // SAFETY: it was made above and not published.
                drop(unsafe {
                    Box::from_raw(std::ptr::slice_from_raw_parts_mut(fresh, header.len))
                });
            });
        }
        // SAFETY: as in `exemplars`.
        let place = unsafe { column.add(usize::from(self.place)) };
        // SAFETY: as in `exemplars`.
        let place = unsafe { &*place };
        // Acquire: pairs with the Release in `publish`.
        let mut exemplars = place.load(Ordering::Acquire);
        if exemplars.is_null() {
            let fresh = Box::into_raw(Box::new(Exemplars::new(slots)));
            exemplars = publish(place, fresh, |fresh| {
                // SAFETY: it was made above and not published.
                drop(unsafe { Box::from_raw(fresh) });
            });
        }
        // SAFETY: it lives as long as the chunk.
        unsafe { &*exemplars }
    }
}

/// Puts `fresh` into an empty place, or discards it if another thread was faster. Returns what is
/// there.
fn publish<T>(place: &AtomicPtr<T>, fresh: *mut T, throw_away: impl FnOnce(*mut T)) -> *mut T {
    // Release: pairs with the Acquire loads of the place. Acquire: pairs with the Release of the thread
    // that was faster.
    let empty = std::ptr::null_mut();
    match place.compare_exchange(empty, fresh, Ordering::AcqRel, Ordering::Acquire) {
        Ok(_) => fresh,
        Err(there) => {
            throw_away(fresh);
            there
        }
    }
}

/// The half of a series that recordings write until it is busy, with the data that only readers need.
pub(crate) struct Cold {
    /// The cell that all threads share; for a histogram, the address of the row that they share.
    pub(crate) cell: AtomicU64,
    /// The start time in milliseconds since the Unix epoch, with its slot in the low 16 bits, and in
    /// the highest bit whether it is a histogram that observed a negative value.
    began_and_slot: AtomicU64,
}

const NEGATIVE: u64 = 1 << 63;

impl Cold {
    /// Returns the time at which it began to count, in milliseconds since the Unix epoch.
    pub(crate) fn began(&self) -> u64 {
        (self.began_and_slot.load(Ordering::Relaxed) & !NEGATIVE) >> 16
    }

    pub(crate) fn set_began(&self, unix_millis: u64) {
        let slot = self.began_and_slot.load(Ordering::Relaxed) & 0xffff;
        // A promotion may come between; it must not be lost.
        let _ = self
            .began_and_slot
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |now| {
                Some((unix_millis << 16 & !NEGATIVE) | now & (NEGATIVE | 0xffff) | slot)
            });
    }

    /// Returns the slot that readers add up; 0 if there is none.
    pub(crate) fn slot(&self) -> u32 {
        // Acquire: pairs with the Release in `claim_slot`.
        (self.began_and_slot.load(Ordering::Acquire) & 0xffff) as u32
    }

    /// Sets the slot unless there is one already. Returns true if it did.
    pub(crate) fn claim_slot(&self, slot: u32) -> bool {
        // Release: pairs with the Acquire in `slot`; the zeros of a slot that was used before are seen.
        self.began_and_slot
            .fetch_update(Ordering::Release, Ordering::Relaxed, |now| {
                (now & 0xffff == 0).then_some(now | u64::from(slot))
            })
            .is_ok()
    }

    /// Notes that a negative value is about to be observed. Returns true if it is the first.
    pub(crate) fn note_negative(&self) -> bool {
        // All threads that observe negative values share this line, and mostly only read it.
        let is_known = self.began_and_slot.load(Ordering::Relaxed) & NEGATIVE != 0;
        let is_first =
            !is_known && self.began_and_slot.fetch_or(NEGATIVE, Ordering::Relaxed) & NEGATIVE == 0;
        // Release: pairs with the Acquire fence in `has_negative`; a reader that has seen the
        // observation sees the note.
        fence(Ordering::Release);
        is_first
    }

    /// Returns true if a negative value was observed since the series was made, removals included.
    /// Called after the row was read.
    pub(crate) fn has_negative(&self) -> bool {
        // Acquire: pairs with the Release fence in `note_negative`.
        fence(Ordering::Acquire);
        self.began_and_slot.load(Ordering::Relaxed) & NEGATIVE != 0
    }

    /// Clears the slot and the note of a negative value.
    pub(crate) fn clear_slot(&self) {
        self.began_and_slot
            .fetch_and(!(NEGATIVE | 0xffff), Ordering::Relaxed);
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn handles_that_are_forgotten_do_not_let_a_series_go() {
        let series = Series::new(0);
        // As many as a program can forget in a minute, and one that is in use.
        series.handles.store(MOST_HANDLES - 1, Ordering::Relaxed);
        for _ in 0..3 {
            series.hold();
        }
        for _ in 0..MOST_HANDLES / 1024 {
            series.let_go();
        }
        assert_eq!(series.handles.load(Ordering::Relaxed), UNCOUNTABLE);
        assert!(series.is_held());
        // Fewer are counted exactly.
        series.handles.store(0, Ordering::Relaxed);
        series.hold();
        assert!(series.is_held());
        series.let_go();
        assert!(!series.is_held());
    }
}
