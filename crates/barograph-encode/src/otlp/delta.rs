//! The previous values that delta temporality needs.
//!
//! A delta is exported once: the previous value is replaced only when the request that holds the
//! delta is acknowledged. Until then the new value is **staged** with the request. So if a request
//! is lost, the previous values stay, and the next cycle exports the lost deltas together with
//! later ones.
//!
//! Signed integers are subtracted modulo 2^64, floats with rounding. A monotonic value that is
//! smaller than the previous one counts as a reset, even if its source does not report one.

use std::collections::HashMap;
use std::sync::Arc;

use barograph_model::bounds::Bounds;
use barograph_model::descriptor::{Kind, Scope};
use barograph_model::snapshot::{HistogramValue, Point, Value};

use crate::report::Rejection;

/// The previous values of all families of the cycle.
pub(super) struct Memory {
    families: Vec<Family>,
    /// The time at which this reader was created: the start of the first delta of a series without
    /// a start time.
    born: u64,
}

/// The identity of a family across cycles.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub(super) name: Box<str>,
    pub(super) scope: Option<Arc<Scope>>,
    pub(super) kind: Kind,
}

struct Family {
    key: Key,
    /// Indexed by series.
    last: Vec<Last>,
    /// The buckets of histograms: one row per series, in order of index.
    rows: Vec<u64>,
    bounds: Option<Bounds>,
}

/// The values of a series exported last.
#[derive(Clone, Copy, Default)]
struct Last {
    start: u64,
    /// The time of the export; 0 if there was none.
    time: u64,
    /// The number, or the sum of a histogram.
    bits: u64,
}

/// The values that become the previous values when their request is acknowledged.
pub(super) struct Staged {
    entries: Vec<Entry>,
    rows: Vec<u64>,
    time: u64,
}

/// One staged value.
pub(super) struct Entry {
    family: u32,
    index: u32,
    start: u64,
    bits: u64,
    /// The number of staged buckets that belong to this entry.
    width: u32,
}

/// The limit of series indexes: every index must be below it.
const MOST: usize = 1 << 24;

/// A delta and the start of its interval.
pub(super) struct Difference<V> {
    pub(super) start: u64,
    /// The time of the previous export of this series; 0 if there was none.
    pub(super) told: u64,
    pub(super) value: V,
}

impl Memory {
    pub(super) fn new(born: u64) -> Self {
        Memory {
            families: Vec::new(),
            born,
        }
    }

    /// Sets the families of a new cycle, in their order; forgets the families that no longer exist.
    pub(super) fn begin(&mut self, keys: impl Iterator<Item = Key>) {
        let before = std::mem::take(&mut self.families).into_iter();
        let mut before: HashMap<Key, Family> =
            before.map(|family| (family.key.clone(), family)).collect();
        let family = |key| {
            before.remove(&key).unwrap_or(Family {
                key,
                last: Vec::new(),
                rows: Vec::new(),
                bounds: None,
            })
        };
        self.families = keys.map(family).collect();
    }

    /// Returns the change of a number, and stages the new value. Returns `None` if it has not
    /// changed.
    #[inline]
    pub(super) fn number(
        &self,
        family: usize,
        point: &Point<'_>,
        staged: &mut Staged,
    ) -> Result<Option<Difference<Value<'static>>>, Rejection> {
        let start = point.start_unix_nano.unwrap_or(0);
        let last = self.last(family, point.index, start)?;
        let before = last.bits;
        let grows = self.families[family].key.kind == Kind::Counter;
        let (bits, value) = match point.value {
            // A counter that wrapped around looks like one that was reset; both count as a
            // reset.
            Value::U64(now) => match now.checked_sub(before) {
                Some(more) => (now, Value::U64(more)),
                None => (now, Value::U64(now)),
            },
            Value::I64(now) => {
                let more = now.wrapping_sub(before.cast_signed());
                let more = if grows && more < 0 { now } else { more };
                (now.cast_unsigned(), Value::I64(more))
            }
            Value::F64(now) => {
                let more = now - f64::from_bits(before);
                let more = if grows && more < 0.0 { now } else { more };
                (now.to_bits(), Value::F64(more))
            }
            _ => return Err(Rejection::WrongValue),
        };
        if matches!(value, Value::U64(0) | Value::I64(0) | Value::F64(0.0)) {
            return Ok(None);
        }
        staged.entries.push(Entry {
            family: family as u32,
            index: point.index as u32,
            start,
            bits,
            width: 0,
        });
        Ok(Some(self.difference(start, last, value)))
    }

    /// Returns the change of a histogram, and stages the new values; the changes of its buckets go
    /// to `buckets`. Returns `None` if there is no new observation.
    pub(super) fn histogram(
        &mut self,
        family: usize,
        point: &Point<'_>,
        value: &HistogramValue<'_>,
        staged: &mut Staged,
        buckets: &mut Vec<u64>,
    ) -> Result<Option<Difference<f64>>, Rejection> {
        let start = point.start_unix_nano.unwrap_or(0);
        let memory = &mut self.families[family];
        if memory.bounds.as_ref() != Some(value.bounds) {
            memory.bounds = Some(value.bounds.clone());
            memory.last.clear();
            memory.rows.clear();
        }
        let mut last = self.last(family, point.index, start)?;
        let width = value.buckets.len();
        let rows = &self.families[family].rows;
        let row = rows
            .get(point.index * width..(point.index + 1) * width)
            .filter(|_| last.time > 0);
        if row.is_none() {
            last = Last::default();
        }
        buckets.clear();
        let differences = value.buckets.iter().enumerate();
        let mut shrunk = false;
        buckets.extend(differences.map(|(i, now)| {
            let before = row.map_or(0, |row| row[i]);
            shrunk |= *now < before;
            now.wrapping_sub(before)
        }));
        if shrunk {
            buckets.clear();
            buckets.extend_from_slice(value.buckets);
            last.bits = 0;
        }
        if buckets.iter().all(|n| *n == 0) {
            return Ok(None);
        }
        staged.entries.push(Entry {
            family: family as u32,
            index: point.index as u32,
            start,
            bits: value.sum.to_bits(),
            width: width as u32,
        });
        staged.rows.extend_from_slice(value.buckets);
        let sum = value.sum - f64::from_bits(last.bits);
        Ok(Some(self.difference(start, last, sum)))
    }

    /// Makes staged values the previous ones.
    pub(super) fn commit(&mut self, staged: &Staged) {
        let mut rows = &staged.rows[..];
        for entry in &staged.entries {
            let (row, rest) = rows.split_at(entry.width as usize);
            rows = rest;
            let family = &mut self.families[entry.family as usize];
            let width = family.bounds.as_ref().map_or(0, Bounds::buckets);
            if row.len() != width {
                // The bounds have changed since, so the staged values are obsolete.
                continue;
            }
            let index = entry.index as usize;
            if family.last.len() <= index {
                family.last.resize(index + 1, Last::default());
                family.rows.resize((index + 1) * width, 0);
            }
            family.last[index] = Last {
                start: entry.start,
                time: staged.time,
                bits: entry.bits,
            };
            family.rows[index * width..(index + 1) * width].copy_from_slice(row);
        }
    }

    /// Returns the values of this series exported last; default values if its index is new, or
    /// belonged to another series.
    #[inline]
    fn last(&self, family: usize, index: usize, start: u64) -> Result<Last, Rejection> {
        if index >= MOST {
            return Err(Rejection::IndexTooLarge);
        }
        let last = self.families[family].last.get(index).copied();
        let same = last.filter(|last| last.time > 0 && last.start == start);
        Ok(same.unwrap_or_default())
    }

    #[inline]
    fn difference<V>(&self, start: u64, last: Last, value: V) -> Difference<V> {
        let start = match (last.time, start) {
            (0, 0) => self.born,
            (0, start) => start,
            (told, _) => told,
        };
        Difference {
            start,
            told: last.time,
            value,
        }
    }
}

impl Staged {
    pub(super) fn new(time: u64) -> Self {
        Staged {
            entries: Vec::new(),
            rows: Vec::new(),
            time,
        }
    }

    /// Removes and returns the last entry.
    pub(super) fn take_last(&mut self) -> Option<(Entry, Vec<u64>)> {
        let entry = self.entries.pop()?;
        let row = self.rows.split_off(self.rows.len() - entry.width as usize);
        Some((entry, row))
    }

    /// Stages an entry again.
    pub(super) fn put_last(&mut self, entry: Option<(Entry, Vec<u64>)>) {
        if let Some((entry, row)) = entry {
            self.entries.push(entry);
            self.rows.extend(row);
        }
    }
}
