//! The view of a family in a snapshot.

use std::sync::Arc;

use barograph_model::descriptor::Descriptor;
use barograph_model::exemplar::Exemplar;
use barograph_model::snapshot::{FamilyView, HistogramValue, Point, Value};

use super::{Layout, NumberKind, REMOVED_BITS, Storage, Total, sum_of};
use crate::series::thread::{POOL, Pin};
use crate::series::{Series, State};
use crate::sync::pool::{Barrier, Block};
use crate::sync::{Ordering, Step, is_left_out};

/// The number of series shown in one call.
const BATCH: usize = 256;

/// The series that a family had when the snapshot was made, with their values at the moment in which
/// they are read.
pub(crate) struct View {
    storage: Arc<Storage>,
    descriptor: Arc<Descriptor>,
    /// The birth of the youngest series. One that takes a place later is not shown: its labels may have
    /// been shown already, in another place. Nor is one that was removed and revived later.
    births: u32,
}

/// Buffers for a batch, made once.
struct Room {
    blocks: Arc<Vec<&'static Block>>,
    counts: Vec<u64>,
    copy: Vec<u64>,
    exemplars: Vec<Exemplar>,
}

impl View {
    /// Returns a view of the family at this moment.
    pub(crate) fn new(storage: Arc<Storage>) -> Self {
        storage.maintain();
        let births = storage.writer().births;
        View {
            descriptor: storage.descriptor(),
            births,
            storage,
        }
    }

    #[inline]
    fn show(&self, series: &Series, room: &mut Room, show: &mut dyn FnMut(&Point<'_>)) {
        let life = (series.state(), series.birth());
        let (state, birth) = life;
        let is_shown = matches!(state, State::Live | State::Revived);
        // Births wrap around after four billion; half of that range distinguishes before from after.
        let is_younger = birth.wrapping_sub(self.births).cast_signed() > 0;
        if !is_shown || is_younger {
            return;
        }
        // Exemplars are read before the value: none belongs to an observation that is not yet counted.
        room.exemplars.clear();
        if let Some(exemplars) = series.exemplars() {
            exemplars.read(&mut room.exemplars);
        }
        let base = (state == State::Revived)
            .then(|| self.storage.base(series))
            .flatten();
        let cold = series.cold();
        let value = match &self.storage.layout {
            Layout::Sum(number) => {
                let before = match base {
                    Some(Total::Bits(before)) => before,
                    _ => 0,
                };
                value_of(*number, sum_of(*number, cold, &room.blocks), before)
            }
            layout @ (Layout::Value(_) | Layout::States) => {
                let bits = cold.cell.load(Ordering::Relaxed);
                match layout {
                    // Removed since the state was read.
                    _ if bits == REMOVED_BITS && !self.storage.is_at_mark(series) => return,
                    Layout::Value(number) => value_of(*number, bits, 0),
                    _ => Value::StateSet(bits),
                }
            }
            Layout::Histogram(buckets) => {
                let Room {
                    blocks,
                    counts,
                    copy,
                    ..
                } = room;
                let mut sum = self.storage.read_row(series, blocks, counts, copy);
                if let Some(Total::Row(before, sum_before)) = base {
                    for (count, before) in counts.iter_mut().zip(before) {
                        *count = count.wrapping_sub(before);
                    }
                    sum -= f64::from_bits(sum_before);
                }
                Value::Histogram(HistogramValue {
                    bounds: buckets.bounds(),
                    buckets: counts,
                    sum,
                    // After the row: every value that is in the sum is noted by now.
                    has_negative: cold.has_negative(),
                })
            }
        };
        let began = cold.began();
        // Pairs with the barrier in `remove_shown`: if the series is unchanged, all that was read above
        // is in the base of any later removal, and so is shown in one life only.
        Barrier::light();
        let is_same = life == (series.state(), series.birth());
        if !is_same && !is_left_out(Step::LookAgain) {
            return;
        }
        let names = &self.descriptor.label_names;
        let labels = self.storage.labels_of(names, series);
        let mut point = Point::new(series.index(), labels, value)
            .with_start(began * 1_000_000)
            .with_exemplars(&room.exemplars);
        if series.is_overflow() {
            point = point.as_overflow();
        }
        show(&point);
    }
}

fn value_of(number: NumberKind, bits: u64, before: u64) -> Value<'static> {
    match number {
        NumberKind::U64 => Value::U64(bits.wrapping_sub(before)),
        NumberKind::I64 => Value::I64(bits.wrapping_sub(before).cast_signed()),
        NumberKind::F64 => Value::F64(f64::from_bits(bits) - f64::from_bits(before)),
    }
}

impl FamilyView for View {
    fn descriptor(&self) -> Arc<Descriptor> {
        self.descriptor.clone()
    }

    fn read(&self, from: usize, show: &mut dyn FnMut(&Point<'_>)) -> Option<usize> {
        let buckets = match &self.storage.layout {
            Layout::Histogram(buckets) => buckets.len(),
            _ => 0,
        };
        // While this thread is pinned, no series that it can see is reused for other labels.
        let _pin = (!is_left_out(Step::ReaderPin)).then(Pin::new);
        let (series, end) = self.storage.some_series(from, BATCH);
        let mut room = Room {
            // The current blocks and not those of the snapshot: a late read does not go back, and no
            // base is newer.
            blocks: POOL.blocks(),
            counts: vec![0; buckets],
            copy: vec![0; buckets],
            exemplars: Vec::new(),
        };
        for series in series {
            self.show(super::series_at(series as u64), &mut room, show);
        }
        end
    }

    fn labels_are_unique(&self) -> bool {
        true
    }
}

impl Storage {
    /// Returns the addresses of some series from a number on, and the number after them if there are
    /// more.
    fn some_series(
        &self,
        from: usize,
        most: usize,
    ) -> (impl Iterator<Item = usize>, Option<usize>) {
        let writer = self.writer();
        let after = writer.chunks.partition_point(|chunk| chunk.first() <= from);
        let mut range = 0..0;
        let mut first = 0;
        let mut next = None;
        if let Some(chunk) = after.checked_sub(1).map(|at| &writer.chunks[at])
            && from < writer.len
        {
            let place = from - chunk.first();
            let end = (place + most)
                .min(chunk.len())
                .min(writer.len - chunk.first());
            first = chunk.series(place).expose_provenance();
            range = 0..end - place;
            let number = chunk.first() + end;
            next = (number < writer.len).then_some(number);
        }
        (range.map(move |i| first + i * size_of::<Series>()), next)
    }
}
