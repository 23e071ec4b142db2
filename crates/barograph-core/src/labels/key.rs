//! Lookup of the series of a label set, as the program holds it.
//!
//! A family has one table, keyed by the text of the labels: two label sets are the same if their text
//! is, whatever types they were given in. Text is not the fastest key, though. A family that is used
//! with numbers and enums gets a [`LabelIndex`] for that shape: an array indexed by the enums, or a table
//! keyed by numbers and the remaining text. An index that does not know a label set asks the table of
//! the family and remembers the answer.

#![expect(
    unsafe_code,
    reason = "label indexes hold series by address, as the table does"
)]

use std::cell::RefCell;
use std::sync::Arc;

use barograph_model::label::PackedLabels;

use crate::series::Series;
use crate::series::storage::{Storage, Unlink};
use crate::sync::hash;
use crate::sync::table::Table;
use crate::sync::{AtomicPtr, Mutex, Ordering, lock};

/// The lookup method of a kind of label set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Shape {
    /// By the text of all values.
    Strs,
    /// By an index less than this number.
    Dense(usize),
    /// By numbers, and the text of the other values.
    Typed,
    /// By names and values, in any order.
    Pairs,
}

/// Label values that identify a series. Derived along with `LabelSet`; implemented for arrays of text,
/// whose names are given when the family is made, and for slices of names and values.
///
/// Not to be implemented by hand: the items of an implementation must agree with each other, which the
/// derive ensures.
pub trait Key {
    /// The lookup method.
    #[doc(hidden)]
    const SHAPE: Shape;

    /// Finds the series, with the calls of [`Lookup`] that belong to the shape.
    #[doc(hidden)]
    fn find<'c>(&self, at: Lookup<'c>) -> LookupResult<'c>;

    /// Writes each value as text, in the order of the names; for pairs, with each name before its
    /// value.
    #[doc(hidden)]
    fn render(&self, out: &mut PackedLabels);
}

/// No labels.
impl Key for () {
    const SHAPE: Shape = Shape::Strs;

    #[inline(always)]
    fn find<'c>(&self, at: Lookup<'c>) -> LookupResult<'c> {
        at.strs(&[])
    }

    fn render(&self, _: &mut PackedLabels) {}
}

/// Values in the order in which the names were given.
impl<const N: usize> Key for [&str; N] {
    const SHAPE: Shape = Shape::Strs;

    #[inline(always)]
    fn find<'c>(&self, at: Lookup<'c>) -> LookupResult<'c> {
        at.strs(self)
    }

    fn render(&self, out: &mut PackedLabels) {
        for value in self {
            out.push(value);
        }
    }
}

/// Values in the order in which the names were given, as many as there are names.
impl Key for [&str] {
    const SHAPE: Shape = Shape::Strs;

    fn find<'c>(&self, at: Lookup<'c>) -> LookupResult<'c> {
        LookupResult(at.storage.find_packed(&at.index.pack(self)))
    }

    fn render(&self, out: &mut PackedLabels) {
        for value in self {
            out.push(value);
        }
    }
}

/// Names and values in any order. If a name occurs twice, the last value counts.
impl Key for [(&str, &str)] {
    const SHAPE: Shape = Shape::Pairs;

    #[inline]
    fn find<'c>(&self, at: Lookup<'c>) -> LookupResult<'c> {
        let mut packed = PackedLabels::default();
        self.render(&mut packed);
        LookupResult(at.storage.find_packed(&packed))
    }

    fn render(&self, out: &mut PackedLabels) {
        let mut pairs: Vec<&(&str, &str)> = self.iter().collect();
        // Stable, so that the last pair with a name stays last.
        pairs.sort_by_key(|pair| pair.0);
        for (i, (name, value)) in pairs.iter().enumerate() {
            if pairs.get(i + 1).is_none_or(|next| next.0 != *name) {
                out.push(name);
                out.push(value);
            }
        }
    }
}

/// An index of a family's series for one shape of label set.
pub(crate) struct LabelIndex {
    /// The position of each value of the shape in the family's order. `None` if both orders are the
    /// same.
    order: Option<Box<[u8]>>,
    kind: Kind,
}

enum Kind {
    None,
    Dense(Box<[AtomicPtr<Series>]>),
    Typed {
        table: Table,
        /// Locked before the table is written, and only after the family's lock.
        records: Mutex<Vec<*mut Record>>,
    },
}

// SAFETY: series and records are shared by atomics, and live as long as the index is in use.
unsafe impl Send for LabelIndex {}
// SAFETY: as above.
unsafe impl Sync for LabelIndex {}

/// The numbers of a label set, and its series, whose text has the other values.
#[repr(align(64))]
struct Record {
    series: *const Series,
    hash: u64,
    words: [u64; MOST_WORDS],
}

const MOST_WORDS: usize = 6;

/// A record that was removed from its table.
struct RetiredRecord(*mut Record);

// SAFETY: nothing in a record is bound to a thread.
unsafe impl Send for RetiredRecord {}

impl Drop for RetiredRecord {
    fn drop(&mut self) {
        // SAFETY: it was made by `Box::into_raw`; the code that drops this has waited for the readers.
        drop(unsafe { Box::from_raw(self.0) });
    }
}

impl LabelIndex {
    /// Returns an index for label sets of a shape whose values are given under `names`, in that order.
    pub(crate) fn new(shape: Shape, names: &[&str], storage: &Storage) -> Arc<Self> {
        let place = |name: &&str| {
            let place = storage.label_names.iter().position(|n| **n == **name);
            u8::try_from(place.expect("registration compared the names")).expect("at most 64 names")
        };
        let order: Box<[u8]> = names.iter().map(place).collect();
        let is_same = order.iter().enumerate().all(|(i, o)| i == usize::from(*o));
        let kind = match shape {
            Shape::Strs | Shape::Pairs => Kind::None,
            Shape::Dense(len) => Kind::Dense((0..len).map(|_| AtomicPtr::default()).collect()),
            Shape::Typed => Kind::Typed {
                table: Table::new(),
                records: Mutex::new(Vec::new()),
            },
        };
        Arc::new(LabelIndex {
            order: (!is_same).then_some(order),
            kind,
        })
    }

    /// Returns the values of a label set in the family's order.
    pub(crate) fn pack<K: Key + ?Sized>(&self, key: &K) -> PackedLabels {
        let mut packed = PackedLabels::default();
        key.render(&mut packed);
        let Some(order) = &self.order else {
            return packed;
        };
        let mut pieces = vec![""; order.len()];
        let mut from = 0;
        for (end, place) in packed.ends().iter().zip(order) {
            pieces[usize::from(*place)] = &packed.text()[from..usize::from(*end)];
            from = usize::from(*end);
        }
        let mut sorted = PackedLabels::default();
        for piece in pieces {
            sorted.push(piece);
        }
        sorted
    }

    /// Returns true if the index remembers series itself, and does not know those that were made
    /// through another one.
    pub(crate) fn remembers(&self) -> bool {
        !matches!(self.kind, Kind::None)
    }

    /// Remembers the series of a label set. The caller is pinned.
    pub(crate) fn remember<K: Key + ?Sized>(&self, key: &K, storage: &Storage, series: &Series) {
        if !self.remembers() {
            return;
        }
        storage.while_linked(series, || {
            let learn = Learn {
                series,
                garbage: RefCell::default(),
            };
            key.find(Lookup {
                storage,
                index: self,
                learn: Some(&learn),
            });
            learn.garbage.into_inner()
        });
    }

    /// Returns the position in the family's order of the `index`th value of the shape.
    #[inline(always)]
    fn place(&self, index: usize) -> usize {
        match &self.order {
            None => index,
            Some(order) => usize::from(order[index]),
        }
    }
}

/// Makes a lookup remember the series.
struct Learn<'c> {
    series: &'c Series,
    /// Retired memory that the insertion left behind.
    garbage: RefCell<Vec<Box<dyn Send>>>,
}

impl Unlink for LabelIndex {
    fn unlink(&self, series: &[*const Series], garbage: &mut Vec<Box<dyn Send>>) {
        match &self.kind {
            Kind::None => {}
            Kind::Dense(places) => {
                for place in places {
                    let there = place.load(Ordering::Relaxed);
                    if !there.is_null() && series.contains(&there.cast_const()) {
                        place.store(std::ptr::null_mut(), Ordering::Relaxed);
                    }
                }
            }
            Kind::Typed { table, records } => {
                let mut records = lock(records);
                records.retain(|&record| {
                    // SAFETY: records in the list are alive.
                    let known = unsafe { &*record };
                    let goes = series.contains(&known.series);
                    if goes {
                        table.unlink(known.hash, record.expose_provenance() as u64);
                        garbage.push(Box::new(RetiredRecord(record)));
                    }
                    !goes
                });
            }
        }
    }
}

impl Drop for LabelIndex {
    fn drop(&mut self) {
        if let Kind::Typed { records, .. } = &mut self.kind {
            for record in lock(records).drain(..) {
                drop(RetiredRecord(record));
            }
        }
    }
}

/// A family and an index of it, for one lookup.
#[derive(Clone, Copy)]
#[expect(missing_debug_implementations, reason = "for the derives only")]
pub struct Lookup<'c> {
    pub(crate) storage: &'c Storage,
    pub(crate) index: &'c LabelIndex,
    learn: Option<&'c Learn<'c>>,
}

/// The result of a lookup.
#[expect(missing_debug_implementations, reason = "for the derives only")]
pub struct LookupResult<'c>(pub(crate) Option<&'c Series>);

impl<'c> Lookup<'c> {
    #[inline(always)]
    pub(crate) fn new(storage: &'c Storage, index: &'c LabelIndex) -> Self {
        Lookup {
            storage,
            index,
            learn: None,
        }
    }

    /// Returns the series with these values, in the order of the names.
    #[doc(hidden)]
    #[inline(always)]
    pub fn strs<const N: usize>(self, values: &[&str; N]) -> LookupResult<'c> {
        // By reference all the way: a copy would read with wide loads what was just written with narrow
        // stores, and stall.
        match &self.index.order {
            None => LookupResult(self.storage.find(values)),
            Some(order) => self.strs_in(order, values),
        }
    }

    #[inline(never)]
    fn strs_in<const N: usize>(self, order: &[u8], values: &[&str; N]) -> LookupResult<'c> {
        let mut sorted = [""; N];
        for (value, place) in values.iter().zip(order) {
            sorted[usize::from(*place)] = value;
        }
        LookupResult(self.storage.find(&sorted))
    }

    /// Returns the series at an index that stands for all values.
    #[doc(hidden)]
    #[inline(always)]
    pub fn dense(self, index: usize) -> LookupResult<'c> {
        let Kind::Dense(places) = &self.index.kind else {
            return LookupResult(None);
        };
        let Some(place) = places.get(index) else {
            return LookupResult(None);
        };
        if let Some(learn) = self.learn {
            let series: *const Series = learn.series;
            // Release: pairs with the Acquire below.
            place.store(series.cast_mut(), Ordering::Release);
        }
        // Acquire: pairs with the Release above; the series is fully written.
        let series = place.load(Ordering::Acquire);
        // SAFETY: series live as long as the storage.
        LookupResult(unsafe { series.as_ref() })
    }

    /// Returns the series with these numbers, and these texts for the other values, each with its index
    /// among the names.
    #[doc(hidden)]
    #[inline(always)]
    pub fn typed<const W: usize, const S: usize>(
        self,
        words: &[u64; W],
        texts: &[(usize, &str); S],
    ) -> LookupResult<'c> {
        const {
            assert!(
                W <= MOST_WORDS,
                "at most 6 labels that are numbers or enums, where others are text"
            );
        }
        let Kind::Typed { table, records } = &self.index.kind else {
            return LookupResult(None);
        };
        let hash = hash::placed(texts, self.storage.seed);
        let hash = hash::words(words, hash);
        let mut walk = table.walk(hash);
        while let Some(record) = walk.next().map(record_at) {
            if self.is_typed(record, words, texts) {
                // SAFETY: series live as long as the storage.
                return LookupResult(Some(unsafe { &*record.series }));
            }
        }
        if let Some(learn) = self.learn {
            let mut all_words = [0; MOST_WORDS];
            all_words[..W].copy_from_slice(words);
            let record = Box::into_raw(Box::new(Record {
                series: learn.series,
                hash,
                words: all_words,
            }));
            let mut records = lock(records);
            if let Some(retired) = table.reserve(|address| record_at(address).hash) {
                learn.garbage.borrow_mut().push(Box::new(retired));
            }
            table.insert(hash, record.expose_provenance() as u64);
            records.push(record);
        }
        LookupResult(None)
    }

    #[inline(always)]
    fn is_typed<const W: usize, const S: usize>(
        self,
        record: &Record,
        words: &[u64; W],
        texts: &[(usize, &str); S],
    ) -> bool {
        // SAFETY: series live as long as the storage.
        let series = unsafe { &*record.series };
        let same_words = (0..W).all(|i| record.words[i] == words[i]);
        same_words
            && texts.iter().all(|(index, text)| {
                hash::equal(series.piece(self.index.place(*index)), text.as_bytes())
            })
    }
}

/// Returns the record at an address from an index's table.
#[inline(always)]
fn record_at<'a>(address: u64) -> &'a Record {
    let record = std::ptr::with_exposed_provenance::<Record>(address as usize);
    // SAFETY: such tables hold addresses of records only. A record lives while a thread that found it
    // is pinned, and every caller is pinned or holds the lock that is needed to retire records.
    unsafe { &*record }
}
