//! An open-addressing hash table of addresses, with wait-free reads.
//!
//! # Protocol
//!
//! * An entry is one word: the address of an object, aligned to 64 bytes, and in the 22 bits that such
//!   an address leaves free a tag from the hash. Zero is an entry never used, [`GONE`] one that was
//!   unlinked.
//! * A **reader** walks from the hash's position until it finds the tag and its caller confirms that
//!   the contents are equal too, or until it meets zero. A hash alone never identifies anything.
//! * A **writer** holds the family's lock; there is one at a time. It stores a complete entry, after
//!   the object that it points at is complete. Some words always stay unused (see [`capacity`]), so a
//!   walk is short and ends.
//! * **Growth** copies the live entries to a new array and publishes that. Readers may still walk the
//!   old one: it is returned to the caller, which frees it when no thread is pinned any longer (see
//!   `pool`). A reader of the old array misses later entries, and then asks under the lock.

#![expect(unsafe_code, reason = "the array is published by pointer")]

use crate::sync::{AtomicPtr, AtomicU64, Ordering};

/// The bits of an entry that hold the tag: an address has none of them.
const TAG: u64 = 0xffff_0000_0000_003f;
/// An unlinked entry. Walks skip it.
const GONE: u64 = 1;
const SMALLEST: usize = if cfg!(loom) { 4 } else { 16 };

/// The table. Addresses in it are opaque here.
pub(crate) struct Table {
    array: AtomicPtr<Array>,
}

/// An array that the table has replaced. Dropping it frees it, which has to wait until no thread is
/// pinned.
pub(crate) struct Retired(*mut Array);

// SAFETY: an array is words and two numbers; nothing in it is bound to a thread.
unsafe impl Send for Retired {}

impl Drop for Retired {
    fn drop(&mut self) {
        // SAFETY: it was made by `Box::into_raw` and is no longer in the table; the code that drops it
        // has waited for the readers.
        drop(unsafe { Box::from_raw(self.0) });
    }
}

struct Array {
    mask: usize,
    /// The number of words that are not zero. Read and written under the family's lock.
    used: AtomicU64,
    words: Box<[AtomicU64]>,
}

impl Array {
    fn new(len: usize) -> Self {
        Array {
            mask: len - 1,
            used: AtomicU64::new(0),
            words: (0..len).map(|_| AtomicU64::new(0)).collect(),
        }
    }

    /// Puts an entry at the first free position of its walk. The array is not published, or the lock is
    /// held.
    fn put(&self, hash: u64, address: u64) {
        let mut at = place(hash);
        loop {
            let word = &self.words[at & self.mask];
            if word.load(Ordering::Relaxed) == 0 {
                // Release: pairs with the Acquire in `Walk`; a reader of the entry sees what it points
                // at.
                word.store(address | hash & TAG, Ordering::Release);
                return;
            }
            at += 1;
        }
    }
}

/// Returns the number of words of an array that may be in use. Few of a small array, so that the first
/// word is the right one; many of one that is too large for the caches, since another step in the same
/// line costs less than the memory would.
fn capacity(len: usize) -> usize {
    if len <= 4096 {
        len / 4
    } else if len <= 65_536 {
        len / 2
    } else {
        len / 5 * 4
    }
}

/// Returns the position where the walk for a hash begins. It uses none of the tag's bits.
#[inline(always)]
fn place(hash: u64) -> usize {
    (hash >> 6) as usize
}

impl Table {
    pub(crate) fn new() -> Self {
        Table {
            array: AtomicPtr::new(Box::into_raw(Box::new(Array::new(SMALLEST)))),
        }
    }

    #[inline(always)]
    fn array(&self) -> &Array {
        // Acquire: pairs with the Release in `reserve`.
        let array = self.array.load(Ordering::Acquire);
        // SAFETY: never null; the array lives until no thread is pinned, and a reader is, or until
        // the table is dropped.
        unsafe { &*array }
    }

    /// Returns the addresses under `hash`, one of which may be the one that is looked for.
    #[inline(always)]
    pub(crate) fn walk(&self, hash: u64) -> Walk<'_> {
        Walk {
            array: self.array(),
            hash,
            at: place(hash),
        }
    }

    /// Makes room for one more entry. Only under the family's lock.
    ///
    /// Returns the array left behind, which is freed when no thread is pinned. `hash_of` returns the
    /// hash of an address.
    pub(crate) fn reserve(&self, mut hash_of: impl FnMut(u64) -> u64) -> Option<Retired> {
        let old = self.array();
        let used = old.used.load(Ordering::Relaxed) as usize;
        if used < capacity(old.words.len()) {
            return None;
        }
        let live = || {
            old.words
                .iter()
                .map(|word| word.load(Ordering::Relaxed) & !TAG)
                .filter(|address| *address != 0)
        };
        let count = live().count();
        // Room for a quarter more entries than there are, so that growth is rare even if many entries
        // were unlinked.
        let mut len = SMALLEST;
        while capacity(len) <= count + count / 4 {
            len *= 2;
        }
        let new = Array::new(len);
        for address in live() {
            new.put(hash_of(address), address);
        }
        new.used.store(count as u64, Ordering::Relaxed);
        // AcqRel: the Release pairs with the Acquire in `array`.
        let old = self
            .array
            .swap(Box::into_raw(Box::new(new)), Ordering::AcqRel);
        Some(Retired(old))
    }

    /// Adds an entry, after [`reserve`](Self::reserve). Only under the family's lock.
    pub(crate) fn insert(&self, hash: u64, address: u64) {
        debug_assert_eq!(address & TAG, 0, "an address on a 64-byte line");
        let array = self.array();
        array.put(hash, address);
        array.used.fetch_add(1, Ordering::Relaxed);
    }

    /// Removes an entry. Only under the family's lock. Threads that are pinned may still hold it.
    pub(crate) fn unlink(&self, hash: u64, address: u64) {
        let array = self.array();
        let mut at = place(hash);
        loop {
            let word = &array.words[at & array.mask];
            match word.load(Ordering::Relaxed) {
                0 => return,
                entry if entry & !TAG == address => {
                    word.store(GONE, Ordering::Relaxed);
                    return;
                }
                _ => at += 1,
            }
        }
    }
}

/// A walk from the hash's position to the first word that was never used.
pub(crate) struct Walk<'t> {
    array: &'t Array,
    hash: u64,
    at: usize,
}

impl Iterator for Walk<'_> {
    type Item = u64;

    #[inline(always)]
    fn next(&mut self) -> Option<u64> {
        loop {
            // SAFETY: the mask keeps the index inside of the array, whose length is mask + 1.
            let word = unsafe { self.array.words.get_unchecked(self.at & self.array.mask) };
            // Acquire: pairs with the Release in `put`.
            let entry = word.load(Ordering::Acquire);
            if entry == 0 {
                return None;
            }
            self.at += 1;
            let address = entry & !TAG;
            if (entry ^ self.hash) & TAG == 0 && address != 0 {
                return Some(address);
            }
        }
    }
}

impl Drop for Table {
    fn drop(&mut self) {
        let array = self.array.load(Ordering::Relaxed);
        // SAFETY: it was made by `Box::into_raw`; with `&mut self` there is no reader.
        drop(unsafe { Box::from_raw(array) });
    }
}
