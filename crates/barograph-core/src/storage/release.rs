//! Series that leave: removal, coming back, and release of what nobody holds.
//!
//! # Protocol
//!
//! * **Removal** notes what the series has counted until now, its *base*, and takes it off the page
//!   and out of the limits. Cells are not touched: other threads write them. Handles go on working.
//! * Whoever records into a removed series **brings it back**: the next collection sees that the
//!   total has left the base, and shows the difference, with a start time at which it had not. A value
//!   that is set, a gauge's, is marked as removed in its cell and comes back when it is set.
//! * A removed series that no handle is bound to is **unlinked** from the table. Threads that found
//!   it before may still record into it. It waits in limbo until each thread was seen without a pin.
//! * Then it is looked at once more. If somebody recorded or bound it meanwhile, it is linked again.
//!   If not, nobody can reach it: its cells are set to zero, its slot is given back, and the next new
//!   label set takes its place.
//! * Somebody who looks for the labels of a series in limbo finds it there, under the lock, and links
//!   it again. So there are never two series with the same labels.

use std::sync::atomic::Ordering;
use std::sync::{PoisonError, Weak};

use barograph_model::label::PackedLabels;

use super::{Layout, REMOVED_BITS, Storage, Total, Writer, for_each};
use crate::pool::Block;
use crate::series::{Series, State};
use crate::thread::{POOL, Quiescence};

/// A series that was removed.
pub(super) struct Removed {
    /// What it had counted by then. A gauge has none: its cell is marked.
    base: Option<Total>,
    /// When it was last seen at its base, in milliseconds since the Unix epoch.
    unchanged_at: u64,
}

/// What a series was seen to have, to tell when it is idle.
#[derive(Clone, PartialEq)]
pub(super) struct Seen {
    birth: u32,
    total: Option<Total>,
    since: u64,
}

/// Things out of reach that threads may still refer to.
pub(super) struct Limbo {
    quiescence: Option<Quiescence>,
    series: Vec<*const Series>,
    garbage: Vec<Box<dyn Send>>,
}

impl Storage {
    /// Removes the series with these labels from the page and the limits. False when it was not
    /// there.
    pub(crate) fn remove(&self, labels: &PackedLabels) -> bool {
        let hash = self.hash(labels.ends(), labels.text());
        let mut writer = self.writer();
        let found = match self.find_text(hash, labels) {
            Some(series) => Some(series),
            None => self.restore(&mut writer, hash, labels),
        };
        found.is_some_and(|series| self.remove_locked(&mut writer, series, &POOL.blocks()))
    }

    /// Removes the series for which `keep` says no.
    pub(crate) fn retain(&self, mut keep: impl FnMut(&Series) -> bool) {
        let mut writer = self.writer();
        // Those that were recorded into since they were removed are on the page again.
        self.release_unheld(&mut writer);
        let mut gone = Vec::new();
        for_each(&writer, |series| {
            let shown = matches!(series.state(), State::Live | State::Revived);
            if shown && !series.is_overflow() && !keep(series) {
                gone.push(&raw const *series);
            }
        });
        let blocks = POOL.blocks();
        for series in gone {
            self.remove_locked(&mut writer, self.series(series), &blocks);
        }
    }

    fn series(&self, series: *const Series) -> &Series {
        super::series_at((series.expose_provenance()) as u64)
    }

    fn remove_locked(
        &self,
        writer: &mut Writer,
        series: &Series,
        blocks: &[&'static Block],
    ) -> bool {
        match series.state() {
            State::Free => return false,
            State::Removed => {
                // Recorded into since, it is back though nobody has looked yet.
                let note = writer.removed.get(&series.index());
                if note.is_none_or(|note| self.is_untouched(series, note, blocks)) {
                    return false;
                }
                self.count(1);
            }
            State::Live | State::Revived => {}
        }
        let base = match &self.layout {
            Layout::Value(_) | Layout::States => {
                series.cold().cell.store(REMOVED_BITS, Ordering::Relaxed);
                None
            }
            Layout::Sum(_) | Layout::Histogram(_) => Some(self.total(series, blocks)),
        };
        let unchanged_at = self.shared.now_millis();
        writer
            .removed
            .insert(series.index(), Removed { base, unchanged_at });
        series.set_state(State::Removed);
        if let Some(exemplars) = series.exemplars() {
            exemplars.clear();
        }
        self.count(-1);
        true
    }

    fn count(&self, change: isize) {
        self.live
            .fetch_add(change.cast_unsigned(), Ordering::Relaxed);
        self.shared
            .live
            .fetch_add(change.cast_unsigned(), Ordering::Relaxed);
    }

    /// What is done once for each collection: idle series go, those recorded into come back, those
    /// that nobody holds are released.
    pub(crate) fn maintain(&self) {
        let mut writer = self.writer();
        let idle = *self.idle.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(idle) = idle {
            let millis = u64::try_from(idle.as_millis()).unwrap_or(u64::MAX);
            self.expire(&mut writer, millis);
        }
        self.release_unheld(&mut writer);
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
        let mut gone = Vec::new();
        for_each(writer, |series| {
            if !matches!(series.state(), State::Live | State::Revived) || series.is_overflow() {
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
                gone.push(&raw const *series);
            }
        });
        writer.seen = seen;
        for series in gone {
            self.remove_locked(writer, self.series(series), &blocks);
        }
    }

    /// Brings back what was recorded into, unlinks what nobody holds, and releases what nobody can
    /// reach any more.
    pub(super) fn release_unheld(&self, writer: &mut Writer) {
        if writer.removed.is_empty() && writer.limbo.is_empty() {
            return;
        }
        let (now, blocks) = (self.shared.now_millis(), POOL.blocks());
        let mut removed = std::mem::take(&mut writer.removed);
        let mut unheld = Vec::new();
        removed.retain(|index, note| {
            let series = writer.series(*index);
            if series.state() != State::Removed {
                return true;
            }
            if self.is_untouched(series, note, &blocks) {
                note.unchanged_at = now;
                // Acquire: pairs with the Release in `Handle::drop`.
                let held = series.handles.load(Ordering::Acquire) > 0;
                if !held && !writer.is_in_limbo(series) {
                    unheld.push(&raw const *series);
                }
                return true;
            }
            self.bring_back(series, note);
            note.base.is_some()
        });
        writer.removed = removed;
        if !unheld.is_empty() {
            self.unlink(writer, unheld);
        }
        self.drain(writer);
    }

    /// Whether nothing was recorded since the removal.
    fn is_untouched(&self, series: &Series, note: &Removed, blocks: &[&'static Block]) -> bool {
        match &note.base {
            Some(base) => self.total(series, blocks) == *base,
            None => series.cold().cell.load(Ordering::Relaxed) == REMOVED_BITS,
        }
    }

    /// Puts a removed series on the page again. It counts from when it was last seen unchanged.
    fn bring_back(&self, series: &Series, note: &Removed) {
        series.cold().set_began(note.unchanged_at);
        series.set_state(match note.base {
            Some(_) => State::Revived,
            None => State::Live,
        });
        self.count(1);
    }

    /// Closes all ways to some series and sends them to limbo.
    fn unlink(&self, writer: &mut Writer, series: Vec<*const Series>) {
        for &series in &series {
            let hash = self.hash_of(self.series(series));
            self.table.unlink(hash, series.expose_provenance() as u64);
        }
        let mut garbage = Vec::new();
        let fronts = self.fronts.lock().unwrap_or_else(PoisonError::into_inner);
        for front in fronts.iter().filter_map(Weak::upgrade) {
            front.unlink(&series, &mut garbage);
        }
        drop(fronts);
        writer.limbo.push(Limbo {
            quiescence: Quiescence::begin(),
            series,
            garbage,
        });
    }

    /// Frees what no thread can refer to any more.
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
        let blocks = POOL.blocks();
        for series in over {
            let series = self.series(series);
            let note = writer.removed.get(&series.index());
            let untouched = note.is_some_and(|note| self.is_untouched(series, note, &blocks));
            // Acquire: pairs with the Release in `Handle::drop`.
            if untouched && series.handles.load(Ordering::Acquire) == 0 {
                self.release(writer, series);
            } else {
                let hash = self.hash_of(series);
                self.link(writer, hash, series);
            }
        }
    }

    /// Makes a series that nobody can reach as if it had never been.
    fn release(&self, writer: &mut Writer, series: &Series) {
        writer.removed.remove(&series.index());
        let slot = series.cold().slot();
        series.hot.store(0, Ordering::Relaxed);
        series.cold().clear_slot();
        match &self.layout {
            Layout::Histogram(buckets) => {
                self.shared_row(series, buckets.len()).clear();
                if slot != 0 {
                    // SAFETY: the rows have as many buckets. Nobody records or reads the series any
                    // more: it was unlinked, and all threads were seen without a pin since.
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

    /// The series with these labels in limbo, linked again.
    pub(super) fn restore(
        &self,
        writer: &mut Writer,
        hash: u64,
        labels: &PackedLabels,
    ) -> Option<&Series> {
        let found = writer.limbo.iter_mut().find_map(|limbo| {
            let at = limbo.series.iter().position(|series| {
                let (ends, text) = self.series(*series).key();
                ends == labels.ends() && text == labels.text()
            })?;
            Some(limbo.series.swap_remove(at))
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

    /// Runs `remember` unless the series is on its way out, and keeps what it leaves behind until no
    /// thread can refer to it any more.
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

    /// What a series that came back had counted before. None for any other.
    pub(super) fn base(&self, series: &Series) -> Option<Total> {
        let writer = self.writer();
        writer.removed.get(&series.index())?.base.clone()
    }
}

impl Writer {
    fn series(&self, index: usize) -> &Series {
        let after = self.chunks.partition_point(|chunk| chunk.first() <= index);
        let chunk = &self.chunks[after - 1];
        let series = chunk.series(index - chunk.first());
        super::series_at(series.expose_provenance() as u64)
    }

    fn is_in_limbo(&self, series: &Series) -> bool {
        let series = &raw const *series;
        self.limbo
            .iter()
            .any(|limbo| limbo.series.contains(&series))
    }
}
