//! Removal of series, their revival, and the release of those that have no handle.
//!
//! # Protocol
//!
//! * **Removal** takes the series out of snapshots and limits, and notes what it has counted until
//!   then, its *base*. Cells are not touched: other threads write them. Handles continue to work.
//!   Between the two steps is a barrier: a reader that still saw the series as live read nothing that
//!   is not in the base. So no update is shown in two lives.
//! * Recording into a removed series **brings it back**: the next collection sees that the total has
//!   left the base, and shows the difference, with a start time at which it had not. A value that is
//!   set, a gauge's, is marked as removed in its cell and comes back when it is set (see
//!   [`mark`](super::mark)). A revived series gets a new birth: readers whose snapshot is older do not
//!   show it.
//! * If the limits leave **no room** for it, it stays removed: what it has counted since its base is
//!   added to the overflow series, and its total becomes the new base.
//! * A removed series that no handle is bound to is **unlinked** from the table. Threads that found it
//!   before may still record into it. It waits in **limbo** until each thread was seen without a pin.
//! * Then it is checked once more. If a thread bound it or recorded into it meanwhile, it is linked
//!   again. If not, no thread can reach it: its cells are set to zero, its slot is given back, and the
//!   next new label set takes its place.
//! * A lookup of the labels of a series in limbo finds it there, under the lock, and links it again. So
//!   there are never two series with the same labels.
//! * A series in limbo is not in snapshots. Readers reach series by number and not through the table,
//!   so a revived one **leaves limbo at once**: limbo waits only for the threads of its beginning, and
//!   a reader that pins later is not one of them. If the series is removed again, it waits anew.

use std::sync::{PoisonError, Weak};

use barograph_model::label::PackedLabels;

use super::{Layout, NumberKind, REMOVED_BITS, Storage, Total, Writer, for_each};
use crate::report::report;
use crate::series::thread::{POOL, Pin, Quiescence};
use crate::series::{Series, State};
use crate::stats::Refusal;
use crate::sync::pool::{Barrier, Block};
use crate::sync::row;
use crate::sync::{Ordering, Step, is_left_out, lock};

/// A series that was removed.
pub(super) struct Removed {
    /// The total at that time. `None` for a gauge: its cell is marked.
    base: Option<Total>,
    /// The time at which it was last seen at its base, in milliseconds since the Unix epoch.
    unchanged_at: u64,
    is_in_limbo: bool,
}

/// The last observation of a series, to detect when it is idle.
#[derive(Clone, PartialEq)]
pub(super) struct Seen {
    birth: u32,
    total: Option<Total>,
    since: u64,
}

/// Unlinked objects that threads may still refer to.
pub(super) struct Limbo {
    quiescence: Option<Quiescence>,
    series: Vec<*const Series>,
    garbage: Vec<Box<dyn Send>>,
}

impl Storage {
    /// Removes the series with these labels from snapshots and limits. Returns false if it was not
    /// there.
    pub(crate) fn remove(&self, labels: &PackedLabels) -> bool {
        let hash = self.hash(labels.ends(), labels.text());
        let mut writer = self.writer();
        let found = self.find_text(hash, labels);
        let Some(series) = found.or_else(|| self.restore(&mut writer, hash, labels)) else {
            return false;
        };
        if series.state() == State::Removed {
            // It was recorded into since, so it is back although no collection has seen it.
            let note = writer.removed.get(&series.index());
            if note.is_none_or(|note| self.is_untouched(&writer, series, note, &POOL.blocks())) {
                return false;
            }
            self.revive(&mut writer, series, &POOL.blocks());
        }
        let was_there = is_shown(series);
        if was_there {
            self.remove_shown(&mut writer, &[series], None);
        }
        was_there
    }

    /// Removes the series for which `keep` returns false.
    pub(crate) fn retain(&self, mut keep: impl FnMut(&Series) -> bool) {
        // While this thread is pinned, no series that is shown now is reused for other labels.
        let _pin = Pin::new();
        let mut gone = Vec::new();
        {
            let mut writer = self.writer();
            // Series that were recorded into since their removal are shown again.
            self.release_unheld(&mut writer);
            for_each(&writer, |series| {
                if is_shown(series) && !series.is_overflow() {
                    gone.push(self.series(series));
                }
            });
        }
        // Without the lock: `keep` may record, remove or collect.
        gone.retain(|series| !keep(series));
        let mut writer = self.writer();
        gone.retain(|series| is_shown(series));
        self.remove_shown(&mut writer, &gone, None);
    }

    fn series(&self, series: *const Series) -> &Series {
        super::series_at((series.expose_provenance()) as u64)
    }

    /// Removes series that are shown. With totals, one for each: only those that still have their
    /// total.
    fn remove_shown(&self, writer: &mut Writer, gone: &[&Series], totals: Option<&[Total]>) {
        if gone.is_empty() {
            return;
        }
        let unchanged_at = self.shared.now_millis();
        let is_value = matches!(self.layout, Layout::Value(_) | Layout::States);
        let before: Vec<State> = gone.iter().map(|series| series.state()).collect();
        if !is_value {
            for series in gone {
                series.set_state(State::Removed);
            }
            // Pairs with the barrier in `View::show`. Also needed on systems without a barrier for
            // running threads: there it orders the two steps on this thread, which is all that most
            // processors need.
            if !is_left_out(Step::RemovalBarrier) {
                Barrier::heavy();
            }
        }
        let blocks = POOL.blocks();
        for (i, series) in gone.iter().enumerate() {
            let total = totals.map(|totals| &totals[i]);
            let total = total.filter(|_| !is_left_out(Step::CompareTotal));
            let base = if is_value {
                if !writer.mark(series, total) {
                    continue;
                }
                series.set_state(State::Removed);
                None
            } else {
                let base = self.total(series, &blocks);
                if total.is_some_and(|total| *total != base) {
                    series.set_state(before[i]);
                    continue;
                }
                Some(base)
            };
            let note = Removed {
                base,
                unchanged_at,
                is_in_limbo: false,
            };
            writer.removed.insert(series.index(), note);
            if let Some(exemplars) = series.exemplars() {
                exemplars.clear();
            }
            self.give_room_back();
        }
    }

    /// Maintains the series once for each collection: removes idle ones, revives those recorded into,
    /// and releases those that have no handle.
    pub(crate) fn maintain(&self) {
        let mut writer = self.writer();
        let idle = *self.idle.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(idle) = idle {
            let millis = u64::try_from(idle.as_millis()).unwrap_or(u64::MAX);
            self.expire(&mut writer, millis);
        }
        self.release_unheld(&mut writer);
        self.quota.rearm();
        let unreported = std::mem::take(&mut writer.unreported);
        // Reports are made without the lock.
        drop(writer);
        for sentence in unreported {
            report(sentence);
        }
    }

    fn expire(&self, writer: &mut Writer, idle_millis: u64) {
        let (now, blocks) = (self.shared.now_millis(), POOL.blocks());
        let mut seen = std::mem::take(&mut writer.seen);
        seen.resize(
            writer.len,
            Seen {
                birth: 0,
                total: None,
                since: 0,
            },
        );
        let (mut gone, mut totals) = (Vec::new(), Vec::new());
        for_each(writer, |series| {
            if !is_shown(series) || series.is_overflow() {
                return;
            }
            let total = Some(self.total(series, &blocks));
            let last = &mut seen[series.index()];
            if last.birth != series.birth() || last.total != total {
                *last = Seen {
                    birth: series.birth(),
                    total,
                    since: now,
                };
            } else if now.saturating_sub(last.since) >= idle_millis {
                gone.push(self.series(series));
                totals.extend(total);
            }
        });
        writer.seen = seen;
        // Values recorded from here on were never shown, so they must not be removed with the series.
        self.remove_shown(writer, &gone, Some(&totals));
    }

    /// Revives series that were recorded into, unlinks those that have no handle, and releases those
    /// that no thread can reach any longer.
    pub(super) fn release_unheld(&self, writer: &mut Writer) {
        if writer.removed.is_empty() && writer.limbo.is_empty() {
            return;
        }
        let (now, blocks) = (self.shared.now_millis(), POOL.blocks());
        let mut removed = std::mem::take(&mut writer.removed);
        let (mut back, mut unheld) = (Vec::new(), Vec::new());
        for (index, note) in &mut removed {
            let series = writer.series(*index);
            if series.state() != State::Removed {
                continue;
            }
            if !self.is_untouched(writer, series, note, &blocks) {
                back.push(self.series(series));
                continue;
            }
            note.unchanged_at = now;
            if !note.is_in_limbo && !series.is_held() {
                note.is_in_limbo = true;
                unheld.push(&raw const *series);
            }
        }
        writer.removed = removed;
        for series in back {
            self.revive(writer, series, &blocks);
        }
        if !unheld.is_empty() {
            self.unlink(writer, unheld);
        }
        self.drain(writer);
    }

    /// Returns true if nothing was recorded since the removal.
    fn is_untouched(
        &self,
        writer: &Writer,
        series: &Series,
        note: &Removed,
        blocks: &[&'static Block],
    ) -> bool {
        match &note.base {
            Some(base) => self.total(series, blocks) == *base,
            None => writer.is_marked(series),
        }
    }

    /// Shows a removed series again that was recorded into, or adds what it has counted since to the
    /// overflow series if there is no room for it.
    fn revive(&self, writer: &mut Writer, series: &Series, blocks: &[&'static Block]) {
        if !writer.removed.contains_key(&series.index()) {
            return;
        }
        match self.take_room() {
            Ok(mut warnings) => {
                writer.unreported.append(&mut warnings);
                self.bring_back(writer, series);
            }
            Err(reason) => self.divert(writer, series, reason, blocks),
        }
    }

    /// Shows a removed series again, for which there is room. It counts from when it was last seen
    /// unchanged.
    fn bring_back(&self, writer: &mut Writer, series: &Series) {
        let index = series.index();
        let Some(note) = writer.removed.get(&index) else {
            return;
        };
        series.cold().set_began(note.unchanged_at);
        let (state, is_in_limbo) = match note.base {
            Some(_) => (State::Revived, note.is_in_limbo),
            None => (State::Live, note.is_in_limbo),
        };
        if is_in_limbo && !is_left_out(Step::LeaveLimbo) {
            // Readers find it from here on, and limbo does not wait for them.
            writer.take_from_limbo(|waiting| waiting.index() == index);
            self.link(writer, self.hash_of(series), series);
        }
        if state == State::Live {
            writer.removed.remove(&index);
        }
        writer.bear(series);
        series.set_state(state);
    }

    /// Adds what a removed series has counted since to the overflow series. It stays removed.
    fn divert(
        &self,
        writer: &mut Writer,
        series: &Series,
        reason: Refusal,
        blocks: &[&'static Block],
    ) {
        let overflow = self.overflow_under(writer);
        let Some(note) = writer.removed.get_mut(&series.index()) else {
            return;
        };
        let now = self.total(series, blocks);
        match (&note.base, &now, &self.layout) {
            (Some(Total::Bits(before)), Total::Bits(now), Layout::Sum(NumberKind::F64)) => {
                let since = f64::from_bits(*now) - f64::from_bits(*before);
                row::add_f64(&overflow.cold().cell, since);
            }
            (Some(Total::Bits(before)), Total::Bits(now), _) => {
                let since = now.wrapping_sub(*before);
                let cell = &overflow.cold().cell;
                cell.fetch_add(since, Ordering::Relaxed);
            }
            (Some(Total::Row(before, sum_before)), Total::Row(counts, sum), _) => {
                if series.cold().has_negative() {
                    overflow.cold().note_negative();
                }
                let since = counts.iter().zip(before);
                let since = since.map(|(now, before)| now.wrapping_sub(*before));
                let sum = f64::from_bits(*sum) - f64::from_bits(*sum_before);
                self.shared_row(overflow, counts.len()).add_all(since, sum);
            }
            // The last value set counts, as for all label sets that share the overflow series. A value
            // that is set at this moment is found by the next collection.
            (_, Total::Bits(bits), _) => {
                let bits = *bits;
                if writer.mark(series, Some(&now)) {
                    if bits == REMOVED_BITS {
                        writer.at_mark.insert(overflow.index());
                    }
                    overflow.cold().cell.store(bits, Ordering::Relaxed);
                }
            }
            _ => {}
        }
        if let Some(note) = writer.removed.get_mut(&series.index()) {
            note.unchanged_at = self.shared.now_millis();
            note.base = note.base.is_some().then_some(now);
        }
        if let Some(exemplars) = series.exemplars() {
            exemplars.clear();
        }
        if self.counts.refuse(reason) {
            let name = &self.name;
            writer.unreported.push(format!(
                "{name:?}: series that were removed are recorded into, and there is no room for them: \
                 what they count goes to the overflow series"
            ));
        }
    }

    /// Removes all references to some series and sends them to limbo.
    fn unlink(&self, writer: &mut Writer, series: Vec<*const Series>) {
        for &series in &series {
            let hash = self.hash_of(self.series(series));
            self.table.unlink(hash, series.expose_provenance() as u64);
        }
        let mut garbage = Vec::new();
        let label_indexes = lock(&self.label_indexes);
        for index in label_indexes.iter().filter_map(Weak::upgrade) {
            index.unlink(&series, &mut garbage);
        }
        drop(label_indexes);
        writer.limbo.push(Limbo {
            quiescence: Quiescence::begin(),
            series,
            garbage,
        });
    }

    /// Frees what no thread can refer to any longer.
    pub(super) fn drain(&self, writer: &mut Writer) {
        let mut over = Vec::new();
        writer.limbo.retain_mut(|limbo| {
            let is_over = limbo.quiescence.as_mut().is_some_and(Quiescence::is_over);
            if is_over {
                over.append(&mut limbo.series);
                limbo.garbage.clear();
            }
            !is_over
        });
        // The handles first: the total then includes what was recorded through the last one.
        let over: Vec<(&Series, bool)> = over
            .into_iter()
            .map(|series| self.series(series))
            .map(|series| (series, series.is_held() && !is_left_out(Step::HandlesFirst)))
            .collect();
        let blocks = POOL.blocks();
        for (series, is_held) in over {
            let note = writer.removed.get(&series.index());
            let is_untouched =
                note.is_some_and(|note| self.is_untouched(writer, series, note, &blocks));
            let is_held = is_held || is_left_out(Step::HandlesFirst) && series.is_held();
            if is_untouched && !is_held {
                self.release(writer, series);
            } else {
                writer.note_linked(series);
                self.link(writer, self.hash_of(series), series);
            }
        }
    }

    /// Resets a series that no thread can reach, so that it can be used again.
    fn release(&self, writer: &mut Writer, series: &Series) {
        debug_assert_eq!(
            series.state(),
            State::Removed,
            "what is shown is not in limbo"
        );
        writer.removed.remove(&series.index());
        let slot = series.cold().slot();
        series.hot.store(0, Ordering::Relaxed);
        series.cold().clear_slot();
        match &self.layout {
            Layout::Histogram(buckets) => {
                self.shared_row(series, buckets.len()).clear();
                if slot != 0 {
                    // SAFETY: the rows have as many buckets. No thread records into or reads the series
                    // any longer: it was unlinked, and all threads were seen without a pin since.
                    unsafe { POOL.give_back_row_slot(slot, buckets.len()) };
                }
            }
            _ => {
                series.cold().cell.store(0, Ordering::Relaxed);
                if slot != 0 {
                    POOL.give_back_cell_slot(slot);
                }
            }
        }
        if let Some(exemplars) = series.exemplars() {
            exemplars.clear();
        }
        series.set_state(State::Free);
        writer.free.push(series);
    }

    /// Takes the series with these labels out of limbo, and links it again.
    pub(super) fn restore(
        &self,
        writer: &mut Writer,
        hash: u64,
        labels: &PackedLabels,
    ) -> Option<&Series> {
        if is_left_out(Step::Restore) {
            return None;
        }
        let found = writer.take_from_limbo(|series| {
            let (ends, text) = series.key();
            ends == labels.ends() && text == labels.text()
        })?;
        let series = self.series(found);
        self.link(writer, hash, series);
        Some(series)
    }

    /// Puts a series into the table.
    pub(super) fn link(&self, writer: &mut Writer, hash: u64, series: &Series) {
        let retired = self
            .table
            .reserve(|address| self.hash_of(super::series_at(address)));
        let address = (&raw const *series).expose_provenance() as u64;
        self.table.insert(hash, address);
        if let Some(retired) = retired {
            writer.limbo.push(Limbo {
                quiescence: Quiescence::begin(),
                series: Vec::new(),
                garbage: vec![Box::new(retired)],
            });
        }
    }

    /// Runs `remember` unless the series is being released, and keeps what it leaves behind until no
    /// thread can refer to it any longer.
    pub(crate) fn while_linked(
        &self,
        series: &Series,
        remember: impl FnOnce() -> Vec<Box<dyn Send>>,
    ) {
        let mut writer = self.writer();
        if series.state() == State::Free || writer.is_in_limbo(series) {
            return;
        }
        let garbage = remember();
        if !garbage.is_empty() {
            writer.limbo.push(Limbo {
                quiescence: Quiescence::begin(),
                series: Vec::new(),
                garbage,
            });
        }
    }

    /// Returns what a revived series had counted before. `None` for any other.
    pub(super) fn base(&self, series: &Series) -> Option<Total> {
        self.writer().base(series).cloned()
    }
}

fn is_shown(series: &Series) -> bool {
    matches!(series.state(), State::Live | State::Revived)
}

impl Writer {
    fn series(&self, index: usize) -> &Series {
        let after = self.chunks.partition_point(|chunk| chunk.first() <= index);
        let chunk = &self.chunks[after - 1];
        let series = chunk.series(index - chunk.first());
        super::series_at(series.expose_provenance() as u64)
    }

    /// Begins a life, the youngest of all. Readers whose snapshot is older do not show it.
    pub(super) fn bear(&mut self, series: &Series) {
        self.births = self.births.wrapping_add(1);
        series.set_birth(self.births);
    }

    pub(super) fn base(&self, series: &Series) -> Option<&Total> {
        self.removed.get(&series.index())?.base.as_ref()
    }

    fn is_in_limbo(&self, series: &Series) -> bool {
        let note = self.removed.get(&series.index());
        note.is_some_and(|note| note.is_in_limbo)
    }

    fn note_linked(&mut self, series: &Series) {
        if let Some(note) = self.removed.get_mut(&series.index()) {
            note.is_in_limbo = false;
        }
    }

    /// Takes the series for which `is_meant` returns true out of limbo. The caller links it.
    fn take_from_limbo(&mut self, is_meant: impl Fn(&Series) -> bool) -> Option<*const Series> {
        let at = |series: &*const Series| super::series_at(series.expose_provenance() as u64);
        let found = self.limbo.iter_mut().find_map(|limbo| {
            let place = limbo
                .series
                .iter()
                .position(|series| is_meant(at(series)))?;
            Some(limbo.series.swap_remove(place))
        })?;
        self.note_linked(at(&found));
        Some(found)
    }
}
