//! The previous values that delta temporality needs.
//!
//! A delta is exported once: the previous value is replaced only when the request that holds the delta
//! is acknowledged. Until then the new value is **pending**, together with the request. So if a request
//! is lost, the previous values stay, and the next cycle exports the lost deltas together with later
//! ones.
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
pub(super) struct DeltaState {
    families: Vec<Family>,
    /// The time at which this reader was created: the start of the first delta of a series without
    /// a start time.
    created: u64,
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
    previous: Vec<Previous>,
    /// The buckets of histograms: one row per series, in order of index.
    rows: Vec<u64>,
    bounds: Option<Bounds>,
}

/// The values of a series exported last.
#[derive(Clone, Copy, Default)]
struct Previous {
    start: u64,
    /// The time of the export; 0 if there was none.
    time: u64,
    /// The number, or the sum of a histogram.
    bits: u64,
}

/// The values that become the previous values when their request is acknowledged.
pub(super) struct Pending {
    entries: Vec<Entry>,
    rows: Vec<u64>,
    time: u64,
}

/// One pending value.
pub(super) struct Entry {
    family: u32,
    index: u32,
    start: u64,
    bits: u64,
    /// The number of pending buckets that belong to this entry.
    width: u32,
}

/// The limit of series indexes: every index must be below it.
const MAX_INDEX: usize = 1 << 24;

/// A delta and the start of its interval.
pub(super) struct Delta<V> {
    pub(super) start: u64,
    /// The time of the previous export of this series; 0 if there was none.
    pub(super) exported: u64,
    pub(super) value: V,
}

impl DeltaState {
    pub(super) fn new(created: u64) -> Self {
        DeltaState {
            families: Vec::new(),
            created,
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
                previous: Vec::new(),
                rows: Vec::new(),
                bounds: None,
            })
        };
        self.families = keys.map(family).collect();
    }

    /// Returns the change of a number, and makes the new value pending. Returns `None` if it has not
    /// changed.
    #[inline]
    pub(super) fn number(
        &self,
        family: usize,
        point: &Point<'_>,
        pending: &mut Pending,
    ) -> Result<Option<Delta<Value<'static>>>, Rejection> {
        let start = point.start_unix_nano.unwrap_or(0);
        let previous = self.previous(family, point.index, start)?;
        let before = previous.bits;
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
        pending.entries.push(Entry {
            family: family as u32,
            index: point.index as u32,
            start,
            bits,
            width: 0,
        });
        Ok(Some(self.difference(start, previous, value)))
    }

    /// Returns the change of a histogram, and makes the new values pending; the changes of its buckets go
    /// to `buckets`. Returns `None` if there is no new observation.
    pub(super) fn histogram(
        &mut self,
        family: usize,
        point: &Point<'_>,
        value: &HistogramValue<'_>,
        pending: &mut Pending,
        buckets: &mut Vec<u64>,
    ) -> Result<Option<Delta<f64>>, Rejection> {
        let start = point.start_unix_nano.unwrap_or(0);
        let known = &mut self.families[family];
        if known.bounds.as_ref() != Some(value.bounds) {
            known.bounds = Some(value.bounds.clone());
            known.previous.clear();
            known.rows.clear();
        }
        let mut previous = self.previous(family, point.index, start)?;
        let width = value.buckets.len();
        let rows = &self.families[family].rows;
        let row = rows
            .get(point.index * width..(point.index + 1) * width)
            .filter(|_| previous.time > 0);
        if row.is_none() {
            previous = Previous::default();
        }
        buckets.clear();
        let differences = value.buckets.iter().enumerate();
        let mut decreased = false;
        buckets.extend(differences.map(|(i, now)| {
            let before = row.map_or(0, |row| row[i]);
            decreased |= *now < before;
            now.wrapping_sub(before)
        }));
        if decreased {
            buckets.clear();
            buckets.extend_from_slice(value.buckets);
            previous.bits = 0;
        }
        if buckets.iter().all(|n| *n == 0) {
            return Ok(None);
        }
        pending.entries.push(Entry {
            family: family as u32,
            index: point.index as u32,
            start,
            bits: value.sum.to_bits(),
            width: width as u32,
        });
        pending.rows.extend_from_slice(value.buckets);
        let sum = value.sum - f64::from_bits(previous.bits);
        Ok(Some(self.difference(start, previous, sum)))
    }

    /// Makes pending values the previous ones.
    pub(super) fn commit(&mut self, pending: &Pending) {
        let mut rows = &pending.rows[..];
        for entry in &pending.entries {
            let (row, rest) = rows.split_at(entry.width as usize);
            rows = rest;
            let family = &mut self.families[entry.family as usize];
            let width = family.bounds.as_ref().map_or(0, Bounds::buckets);
            if row.len() != width {
                // The bounds have changed since, so the pending values are obsolete.
                continue;
            }
            let index = entry.index as usize;
            if family.previous.len() <= index {
                family.previous.resize(index + 1, Previous::default());
                family.rows.resize((index + 1) * width, 0);
            }
            family.previous[index] = Previous {
                start: entry.start,
                time: pending.time,
                bits: entry.bits,
            };
            family.rows[index * width..(index + 1) * width].copy_from_slice(row);
        }
    }

    /// Returns the values of this series exported last; default values if its index is new, or
    /// belonged to another series.
    #[inline]
    fn previous(&self, family: usize, index: usize, start: u64) -> Result<Previous, Rejection> {
        if index >= MAX_INDEX {
            return Err(Rejection::IndexTooLarge);
        }
        let previous = self.families[family].previous.get(index).copied();
        let same = previous.filter(|previous| previous.time > 0 && previous.start == start);
        Ok(same.unwrap_or_default())
    }

    #[inline]
    fn difference<V>(&self, start: u64, previous: Previous, value: V) -> Delta<V> {
        let start = match (previous.time, start) {
            (0, 0) => self.created,
            (0, start) => start,
            (exported, _) => exported,
        };
        Delta {
            start,
            exported: previous.time,
            value,
        }
    }
}

impl Pending {
    pub(super) fn new(time: u64) -> Self {
        Pending {
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

    /// Adds an entry that was removed.
    pub(super) fn put_last(&mut self, entry: Option<(Entry, Vec<u64>)>) {
        if let Some((entry, row)) = entry {
            self.entries.push(entry);
            self.rows.extend(row);
        }
    }
}
