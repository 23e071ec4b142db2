//! Families: instruments of one name, told apart by labels.

use std::marker::PhantomData;
use std::sync::Arc;

use barograph_model::label::Labels;

use crate::handle::{Handle, Instrument, Ref};
use crate::key::{Front, Key, Lookup};
use crate::stats::LabelsRefused;
use crate::storage::Storage;
use crate::thread::Pin;

/// Instruments of one name, told apart by labels. Clones share storage.
///
/// A lookup never fails: label sets past the family's limit share one overflow series, and that is
/// counted. It takes no lock and allocates nothing once the series is there.
///
/// `K` is how label sets are given: a struct with `#[derive(LabelSet)]`, an array of values, or a
/// slice of names and values.
///
/// ```
/// use barograph_core::registry::Registry;
/// let registry = Registry::new();
/// let requests = registry.counter("requests").labels(["method", "status"])?;
/// requests.with(&["GET", "200"]).inc();
/// let posts = requests.bind(&["POST", "201"]);
/// posts.add(2);
/// assert_eq!(registry.value("requests", &[("method", "POST"), ("status", "201")]), Some(2.0));
/// # Ok::<(), barograph_core::spec::RegisterError>(())
/// ```
pub struct Family<I, K: ?Sized> {
    storage: Arc<Storage>,
    front: Arc<Front>,
    instrument: PhantomData<fn() -> I>,
    // Covariant in K, so that a family of `Order<'static>` is asked with an `Order<'_>`.
    labels: PhantomData<*const K>,
}

#[expect(unsafe_code, reason = "the pointer to K is only there for variance")]
// SAFETY: a family has no K.
unsafe impl<I, K: ?Sized> Send for Family<I, K> {}
#[expect(unsafe_code, reason = "the pointer to K is only there for variance")]
// SAFETY: as above.
unsafe impl<I, K: ?Sized> Sync for Family<I, K> {}

impl<I, K: ?Sized> Clone for Family<I, K> {
    fn clone(&self) -> Self {
        Family {
            storage: self.storage.clone(),
            front: self.front.clone(),
            instrument: PhantomData,
            labels: PhantomData,
        }
    }
}

impl<I: Instrument, K: Key + ?Sized> Family<I, K> {
    /// A family whose values are given under `names`, in that order.
    pub(crate) fn new(storage: Arc<Storage>, names: &[&str]) -> Self {
        let front = Front::new(K::SHAPE, names, &storage);
        let weak: std::sync::Weak<Front> = Arc::downgrade(&front);
        storage.add_front(weak);
        Family {
            storage,
            front,
            instrument: PhantomData,
            labels: PhantomData,
        }
    }

    /// The instrument for these labels, for now.
    #[inline(always)]
    pub fn with(&self, labels: &K) -> Ref<'_, I> {
        self.lookup(labels)
    }

    /// The same for a label set whose text lives less long than that of `K`.
    #[inline(always)]
    pub(crate) fn lookup<Q: Key + ?Sized>(&self, labels: &Q) -> Ref<'_, I> {
        let pin = Pin::new();
        match labels.find(Lookup::new(&self.storage, &self.front)).0 {
            Some(series) => Ref::new(&self.storage, series, pin),
            None => {
                drop(pin);
                self.insert_or_overflow(labels)
            }
        }
    }

    /// The instrument for these labels, for now, or why they have none of their own.
    ///
    /// # Errors
    /// [`LabelsRefused`] past a limit, and for free labels whose names no label can have.
    pub fn try_with(&self, labels: &K) -> Result<Ref<'_, I>, LabelsRefused> {
        let pin = Pin::new();
        match labels.find(Lookup::new(&self.storage, &self.front)).0 {
            Some(series) => Ok(Ref::new(&self.storage, series, pin)),
            None => {
                drop(pin);
                self.insert(labels)
            }
        }
    }

    /// An instrument for these labels to keep. While there is one, the series is not given to others.
    pub fn bind(&self, labels: &K) -> I {
        let packed = self.front.pack(labels);
        I::from_handle(match self.storage.hold(&packed) {
            Ok(series) => Handle::adopt(&self.storage, series),
            Err(_) => Handle::new(&self.storage, self.storage.overflow()),
        })
    }

    /// Takes the series of these labels off the page and out of the limits. Returns whether it was
    /// there.
    ///
    /// Who records into it again, through an old handle too, begins at zero with a new start time, or in the
    /// overflow series where the limits leave no room. The cells
    /// are not cleared: a sum of floats is then the difference of two totals, as exact as those are.
    pub fn remove(&self, labels: &K) -> bool {
        self.storage.remove(&self.front.pack(labels))
    }

    /// Removes the series for whose labels `keep` says no. It may record into the family, remove from
    /// it and collect.
    pub fn retain(&self, mut keep: impl FnMut(Labels<'_>) -> bool) {
        let names = &self.storage.label_names;
        self.storage.retain(|series| {
            let ends = series.key().0;
            keep(if self.storage.free_form {
                Labels::inline(ends, series.text())
            } else {
                Labels::fixed(names, ends, series.text(), series.is_clean())
            })
        });
    }

    /// How many series there are, the overflow series and removed ones not counted.
    pub fn len(&self) -> usize {
        self.storage.stats().series
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The slot of the cells of a series, 0 for none.
    #[cfg(all(test, loom))]
    pub(crate) fn slot_of(&self, labels: &K) -> u32 {
        let found = self.storage.find_packed(&self.front.pack(labels));
        found.map_or(0, |series| series.cold().slot())
    }

    #[cold]
    #[inline(never)]
    fn insert_or_overflow<Q: Key + ?Sized>(&self, labels: &Q) -> Ref<'_, I> {
        // Not for pairs: whether their names are in order is said first.
        let full = if self.storage.free_form {
            None
        } else {
            self.storage.overflow_if_full()
        };
        if let Some(overflow) = full {
            return Ref::new(&self.storage, overflow, Pin::new());
        }
        self.insert(labels).unwrap_or_else(|_| {
            let series = self.storage.overflow();
            Ref::new(&self.storage, series, Pin::new())
        })
    }

    #[cold]
    #[inline(never)]
    fn insert<Q: Key + ?Sized>(&self, labels: &Q) -> Result<Ref<'_, I>, LabelsRefused> {
        let packed = self.front.pack(labels);
        // Held by count until it is held by the pin. A pin around all of it would hold up what the
        // insertion itself wants to free.
        let series = self.storage.hold(&packed)?;
        let held = Handle::adopt(&self.storage, series);
        let pin = Pin::new();
        self.front.remember(labels, &self.storage, series);
        drop(held);
        Ok(Ref::new(&self.storage, series, pin))
    }
}

impl<I: Instrument> Family<I, ()> {
    /// The one instrument of a family without labels, to keep.
    pub(crate) fn only(storage: Arc<Storage>) -> I {
        let family: Family<I, ()> = Family::new(storage, &[]);
        family.bind(&())
    }
}
