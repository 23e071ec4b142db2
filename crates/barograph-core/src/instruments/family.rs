//! Families: instruments with one name and different labels.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use barograph_model::label::Labels;

use crate::instruments::handle::{Handle, Instrument, Ref};
use crate::labels::key::{Key, LabelIndex, Lookup};
use crate::series::storage::Storage;
use crate::series::thread::Pin;
use crate::stats::LabelsRefused;

/// Instruments with one name, distinguished by labels. Clones share storage.
///
/// A lookup never fails: label sets past the family's limit share one overflow series and are counted.
/// It takes no lock, and allocates nothing once the series exists.
///
/// `K` is the form of the label sets: a struct with `#[derive(LabelSet)]`, an array of values, or a
/// slice of names and values.
///
/// ```
/// # extern crate barograph_core as barograph;
/// use barograph::Registry;
/// let registry = Registry::new();
/// let requests = registry.counter("requests").build_with_label_names(["method", "status"])?;
/// requests.with(&["GET", "200"]).inc();
/// let posts = requests.bind(&["POST", "201"]);
/// posts.add(2);
/// assert_eq!(registry.value("requests", &[("method", "POST"), ("status", "201")]), Some(2.0));
/// # Ok::<(), barograph_core::RegisterError>(())
/// ```
pub struct Family<I, K: ?Sized> {
    storage: Arc<Storage>,
    index: Arc<LabelIndex>,
    instrument: PhantomData<fn() -> I>,
    // Covariant in K, so that a family of `Order<'static>` accepts an `Order<'_>`.
    labels: PhantomData<*const K>,
}

#[expect(unsafe_code, reason = "the pointer to K is only there for variance")]
// SAFETY: a family holds no K.
unsafe impl<I, K: ?Sized> Send for Family<I, K> {}
#[expect(unsafe_code, reason = "the pointer to K is only there for variance")]
// SAFETY: as above.
unsafe impl<I, K: ?Sized> Sync for Family<I, K> {}

impl<I, K: ?Sized> Clone for Family<I, K> {
    fn clone(&self) -> Self {
        Family {
            storage: self.storage.clone(),
            index: self.index.clone(),
            instrument: PhantomData,
            labels: PhantomData,
        }
    }
}

impl<I, K: ?Sized> fmt::Debug for Family<I, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Family")
            .field("name", &self.storage.name())
            .field("labels", &self.storage.label_names)
            .field("series", &self.storage.stats().series)
            .finish_non_exhaustive()
    }
}

impl<I: Instrument, K: Key + ?Sized> Family<I, K> {
    /// Returns a family whose values are given under `names`, in that order.
    pub(crate) fn new(storage: Arc<Storage>, names: &[&str]) -> Self {
        let index = LabelIndex::new(K::SHAPE, names, &storage);
        let weak: std::sync::Weak<LabelIndex> = Arc::downgrade(&index);
        storage.add_front(weak);
        Family {
            storage,
            index,
            instrument: PhantomData,
            labels: PhantomData,
        }
    }

    /// Returns the instrument with these labels, for immediate use.
    #[inline(always)]
    pub fn with(&self, labels: &K) -> Ref<'_, I> {
        self.lookup(labels)
    }

    /// Returns the instrument for a label set whose text may live shorter than that of `K`.
    #[inline(always)]
    pub(crate) fn lookup<Q: Key + ?Sized>(&self, labels: &Q) -> Ref<'_, I> {
        let pin = Pin::new();
        match labels.find(Lookup::new(&self.storage, &self.index)).0 {
            Some(series) => Ref::new(&self.storage, series, pin),
            None => {
                drop(pin);
                self.insert_or_overflow(labels)
            }
        }
    }

    /// Returns the instrument with these labels, for immediate use, or why they have no series of their
    /// own.
    ///
    /// # Errors
    /// [`LabelsRefused`] past a limit, and for free-form labels with invalid names.
    pub fn try_with(&self, labels: &K) -> Result<Ref<'_, I>, LabelsRefused> {
        let pin = Pin::new();
        match labels.find(Lookup::new(&self.storage, &self.index)).0 {
            Some(series) => Ok(Ref::new(&self.storage, series, pin)),
            None => {
                drop(pin);
                self.insert(labels)
            }
        }
    }

    /// Returns an instrument with these labels that can be kept. While it exists, its series is not
    /// reused for other labels.
    pub fn bind(&self, labels: &K) -> I {
        let packed = self.index.pack(labels);
        I::from_handle(match self.storage.hold(&packed) {
            Ok(series) => Handle::adopt(&self.storage, series),
            Err(_) => Handle::new(&self.storage, self.storage.overflow()),
        })
    }

    /// Removes the series with these labels from collections and limits. Returns true if it existed.
    ///
    /// Recording into it again, also through an old handle, begins at zero with a new start time, or
    /// goes to the overflow series if the limits leave no room. The cells are not cleared: a sum of
    /// floats is then the difference of two totals, and as exact as they are.
    pub fn remove(&self, labels: &K) -> bool {
        self.storage.remove(&self.index.pack(labels))
    }

    /// Removes the series for whose labels `keep` returns false. `keep` may record into the family,
    /// remove from it and collect.
    pub fn retain(&self, mut keep: impl FnMut(Labels<'_>) -> bool) {
        let names = &self.storage.label_names;
        self.storage
            .retain(|series| keep(self.storage.labels_of(names, series)));
    }

    /// Returns the number of series, without the overflow series and removed ones.
    pub fn len(&self) -> usize {
        self.storage.stats().series
    }

    /// Returns true if there are no series.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the slot of the cells of a series; 0 if it has none.
    #[cfg(all(test, loom))]
    pub(crate) fn slot_of(&self, labels: &K) -> u32 {
        let found = self.storage.find_packed(&self.index.pack(labels));
        found.map_or(0, |series| series.cold().slot())
    }

    #[cold]
    #[inline(never)]
    fn insert_or_overflow<Q: Key + ?Sized>(&self, labels: &Q) -> Ref<'_, I> {
        // Not for free-form labels: their names must be checked first.
        if !self.storage.free_form && self.storage.is_full() {
            if let Some(known) = self.find_in_table(labels) {
                return known;
            }
            if let Some(overflow) = self.storage.overflow_if_full() {
                return Ref::new(&self.storage, overflow, Pin::new());
            }
        }
        self.insert(labels).unwrap_or_else(|_| {
            let series = self.storage.overflow();
            Ref::new(&self.storage, series, Pin::new())
        })
    }

    /// Returns the instrument whose series was made through another index of the family, and remembers
    /// it in this one.
    fn find_in_table<Q: Key + ?Sized>(&self, labels: &Q) -> Option<Ref<'_, I>> {
        if !self.index.remembers() {
            return None;
        }
        let packed = self.index.pack(labels);
        let pin = Pin::new();
        let series = self.storage.find_packed(&packed)?;
        self.index.remember(labels, &self.storage, series);
        Some(Ref::new(&self.storage, series, pin))
    }

    #[cold]
    #[inline(never)]
    fn insert<Q: Key + ?Sized>(&self, labels: &Q) -> Result<Ref<'_, I>, LabelsRefused> {
        let packed = self.index.pack(labels);
        // Held by a handle until it is held by the pin. A pin around all of this would delay the
        // release of what the insertion itself wants to free.
        let series = self.storage.hold(&packed)?;
        let held = Handle::adopt(&self.storage, series);
        let pin = Pin::new();
        self.index.remember(labels, &self.storage, series);
        drop(held);
        Ok(Ref::new(&self.storage, series, pin))
    }
}

impl<I: Instrument> Family<I, ()> {
    /// Returns the only instrument of a family without labels, to keep.
    pub(crate) fn only(storage: Arc<Storage>) -> I {
        let family: Family<I, ()> = Family::new(storage, &[]);
        family.bind(&())
    }
}
