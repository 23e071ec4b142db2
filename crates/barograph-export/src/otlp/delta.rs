//! The last values of a reader that tells differences.
//!
//! A difference is told once: what was the last value moves only when the request that told it is
//! settled. Until then it is **staged**, beside the request. So a request that is lost leaves the last
//! values as they were, and the next round tells what it would have told, and what came since.
//!
//! Numbers count modulo 2^64, floats as they come. A value of a sum that only grows and is smaller
//! than the last began anew, even if its source does not say so.

use std::collections::HashMap;
use std::sync::Arc;

use barograph_model::bounds::Bounds;
use barograph_model::descriptor::{Kind, Scope};
use barograph_model::snapshot::{HistogramValue, Point, Value};

use crate::report::Rejection;

/// Last values of all families of the round.
pub(super) struct Memory {
    families: Vec<Family>,
    /// Since when it listens: what is told first of a series that does not know its age.
    born: u64,
}

/// Which family it is, from round to round.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub(super) name: Box<str>,
    pub(super) scope: Option<Arc<Scope>>,
    pub(super) kind: Kind,
}

struct Family {
    key: Key,
    /// By the series' index.
    last: Vec<Last>,
    /// Buckets of histograms, one row after the other by index.
    rows: Vec<u64>,
    bounds: Option<Bounds>,
}

/// What was told of a series last.
#[derive(Clone, Copy, Default)]
struct Last {
    start: u64,
    /// When; 0 where nothing was.
    time: u64,
    /// The number, or the sum of a histogram.
    bits: u64,
}

/// Values that become the last ones when their request is settled.
pub(super) struct Staged {
    entries: Vec<Entry>,
    rows: Vec<u64>,
    time: u64,
}

/// One value.
pub(super) struct Entry {
    family: u32,
    index: u32,
    start: u64,
    bits: u64,
    /// How many of the staged buckets are its own.
    width: u32,
}

/// The highest index that a series may have.
const MOST: usize = 1 << 24;

/// A difference: since when, and how much.
pub(super) struct Difference<V> {
    pub(super) start: u64,
    /// When this series was told before; 0 where it was not.
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

    /// Takes the families of a new round, in their order; forgets those that are gone.
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

    /// What a number has changed by, staged. None where it has not.
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
            // Ours wrap around; where they are smaller for another reason nobody can tell.
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

    /// What a histogram has changed by, staged; its buckets are laid down in `buckets`. None where
    /// there is no new observation.
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

    /// Makes staged values the last ones.
    pub(super) fn commit(&mut self, staged: &Staged) {
        let mut rows = &staged.rows[..];
        for entry in &staged.entries {
            let (row, rest) = rows.split_at(entry.width as usize);
            rows = rest;
            let family = &mut self.families[entry.family as usize];
            let width = family.bounds.as_ref().map_or(0, Bounds::buckets);
            if row.len() != width {
                // Its bounds have changed since: what was told before is of no use any more.
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

    /// What was told of this series last; nothing where another, or nobody, had its index.
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

    /// Takes the last entry back.
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
