//! The series of a family: found, made, counted, removed and shown.
//!
//! [`Storage`] does not know the types of instruments; those are thin handles on it. Its hot path is
//! [`find`](Storage::find) and what the handles do with a [`Series`]. Everything else happens under one
//! lock, that of the [`Writer`], which no recording into a known series takes.

#![expect(
    unsafe_code,
    reason = "series are found by address; they live as long as the storage"
)]

mod insert;
mod mark;
mod release;
mod view;

pub(crate) use self::view::View;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError, RwLock, Weak};
use std::time::Duration;

use barograph_model::descriptor::Descriptor;
use barograph_model::label::Labels;
use barograph_model::label::PackedLabels;

use self::release::{Limbo, Removed, Seen};
use crate::limits::Quota;
use crate::series::buckets::Buckets;
use crate::series::config::Shared;
use crate::series::exemplar::{self, ExemplarFilter};
use crate::series::thread::{self, POOL};
#[cfg(all(target_arch = "x86_64", not(loom)))]
use crate::series::wide;
use crate::series::{Chunk, Cold, Series};
use crate::stats::{Counts, FamilyStats};
use crate::sync::hash;
use crate::sync::pool::Block;
use crate::sync::row::{self, Row};
use crate::sync::table::Table;
use crate::sync::{
    AtomicPtr, AtomicU64, Mutex, MutexGuard, Ordering, Step, is_left_out, lock, try_lock,
};

/// The kind of numbers that a family has, and how they are stored.
#[derive(Debug)]
#[doc(hidden)]
pub enum Layout {
    /// Sums over several cells.
    Sum(NumberKind),
    /// One cell with the bits of a value that is set.
    Value(NumberKind),
    /// One cell with a bit for each state.
    States,
    /// Rows of buckets.
    Histogram(Box<Buckets>),
}

/// The type of a cell's number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[doc(hidden)]
pub enum NumberKind {
    U64,
    I64,
    F64,
}

/// The bits of a value cell whose series was removed; see [`mark`].
pub(crate) const REMOVED_BITS: u64 = 0xfff8_ba10_97a9_dead;

/// A number, or a histogram's buckets and sum, read at one moment.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Total {
    Bits(u64),
    Row(Vec<u64>, u64),
}

/// Notified of series that are taken out of the table, so that other references to them are removed
/// too.
pub(crate) trait Unlink: Send + Sync {
    /// Forgets these series. Memory that can be freed only when no thread is pinned goes to `garbage`.
    fn unlink(&self, series: &[*const Series], garbage: &mut Vec<Box<dyn Send>>);
}

/// The series of a family.
pub(crate) struct Storage {
    pub(crate) table: Table,
    pub(crate) seed: u64,
    /// True if labels are looked up with wide vector instructions.
    #[cfg(all(target_arch = "x86_64", not(loom)))]
    is_wide: bool,
    pub(crate) layout: Layout,
    pub(crate) shared: Arc<Shared>,
    /// Label names in canonical order; empty in a free-form family.
    pub(crate) label_names: Box<[Box<str>]>,
    pub(crate) free_form: bool,
    pub(crate) counts: Counts,
    name: Box<str>,
    overflow: AtomicPtr<Series>,
    quota: Quota,
    descriptor: RwLock<Arc<Descriptor>>,
    idle: RwLock<Option<Duration>>,
    label_indexes: Mutex<Vec<Weak<dyn Unlink>>>,
    writer: Mutex<Writer>,
}

// SAFETY: the pointers in it are to series, which are shared by atomics and live as long as it does.
unsafe impl Send for Storage {}
// SAFETY: as above.
unsafe impl Sync for Storage {}

/// State that only the holder of the lock may access.
struct Writer {
    chunks: Vec<Chunk>,
    /// The number of series ever made.
    len: usize,
    /// The birth of the youngest series.
    births: u32,
    /// Released series that can be used again.
    free: Vec<*const Series>,
    /// Removed series, and revived ones, with what they had counted before.
    removed: BTreeMap<usize, Removed>,
    /// Gauges that were set to the very bits that mark a removed one.
    at_mark: BTreeSet<usize>,
    limbo: Vec<Limbo>,
    seen: Vec<Seen>,
    /// Reports to make when the lock is released.
    unreported: Vec<String>,
}

impl Storage {
    pub(crate) fn new(
        descriptor: Descriptor,
        layout: Layout,
        free_form: bool,
        limit: usize,
        shared: Arc<Shared>,
    ) -> Self {
        let idle = shared.config().idle;
        Storage {
            table: Table::new(),
            // In the model checker each run has to take the same path.
            seed: if cfg!(loom) { 0 } else { hash::seed() },
            #[cfg(all(target_arch = "x86_64", not(loom)))]
            is_wide: !shared.config().portable && wide::is_there(),
            layout,
            shared,
            label_names: descriptor.label_names.clone(),
            free_form,
            counts: Counts::default(),
            name: descriptor.name.clone(),
            overflow: AtomicPtr::default(),
            quota: Quota::new(limit),
            descriptor: RwLock::new(Arc::new(descriptor)),
            idle: RwLock::new(idle),
            label_indexes: Mutex::new(Vec::new()),
            writer: Mutex::new(Writer {
                chunks: Vec::new(),
                len: 0,
                births: 0,
                free: Vec::new(),
                removed: BTreeMap::new(),
                at_mark: BTreeSet::new(),
                limbo: Vec::new(),
                seen: Vec::new(),
                unreported: Vec::new(),
            }),
        }
    }

    /// Returns the name of the family.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Returns the labels of a series that is held, or that no other thread can release. `names` are the
    /// label names of the family: encoders recognize those of the descriptor that they read by their
    /// address, and resolve them once instead of for each series.
    #[inline]
    pub(crate) fn labels_of<'a>(&self, names: &'a [Box<str>], series: &'a Series) -> Labels<'a> {
        if series.is_overflow() {
            return Labels::EMPTY;
        }
        let (ends, text) = series.key();
        match self.free_form {
            true => Labels::inline(ends, text),
            false => Labels::fixed(names, ends, text, series.is_clean()),
        }
    }

    pub(crate) fn descriptor(&self) -> Arc<Descriptor> {
        self.descriptor
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Changes the descriptor of the family, from the next snapshot on.
    pub(crate) fn describe(&self, change: impl FnOnce(&mut Descriptor)) {
        let mut descriptor = self
            .descriptor
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        change(Arc::make_mut(&mut descriptor));
    }

    /// Returns the number of series and its limit.
    pub(crate) fn quota(&self) -> &Quota {
        &self.quota
    }

    /// Sets the time after which a series without a change is removed, from now on.
    pub(crate) fn set_idle(&self, idle: Option<Duration>) {
        *self.idle.write().unwrap_or_else(PoisonError::into_inner) = idle;
    }

    pub(crate) fn add_front(&self, index: Weak<dyn Unlink>) {
        let mut label_indexes = lock(&self.label_indexes);
        label_indexes.retain(|index| index.strong_count() > 0);
        label_indexes.push(index);
    }

    /// Returns the series with exactly these pieces of text. The caller is pinned.
    #[inline(always)]
    pub(crate) fn find<const N: usize>(&self, pieces: &[&str; N]) -> Option<&Series> {
        #[cfg(all(target_arch = "x86_64", not(loom)))]
        if self.is_wide {
            // SAFETY: `is_wide` implies that `wide::is_there` returned true, and the table holds series
            // that live as long as the storage.
            return unsafe { wide::find(&self.table, pieces, self.seed) };
        }
        let hash = hash::pieces(pieces, self.seed);
        let mut walk = self.table.walk(hash);
        while let Some(series) = walk.next().map(series_at) {
            if series.is(pieces) {
                return Some(series);
            }
        }
        None
    }

    /// Returns the series with these labels, which are packed already.
    pub(crate) fn find_packed(&self, labels: &PackedLabels) -> Option<&Series> {
        let hash = self.hash(labels.ends(), labels.text());
        self.find_text(hash, labels)
    }

    fn find_text(&self, hash: u64, labels: &PackedLabels) -> Option<&Series> {
        let same = |series: &Series| {
            let (ends, text) = series.key();
            ends == labels.ends() && text == labels.text()
        };
        let mut walk = self.table.walk(hash).map(series_at);
        walk.find(|series| same(series))
    }

    fn hash(&self, ends: &[u16], text: &str) -> u64 {
        let mut from = 0;
        let pieces = ends.iter().map(|end| {
            let piece = &text[from..usize::from(*end)];
            from = usize::from(*end);
            piece
        });
        #[cfg(all(target_arch = "x86_64", not(loom)))]
        if self.is_wide {
            return wide::hash(pieces, self.seed);
        }
        hash::any_pieces(pieces, self.seed)
    }

    fn hash_of(&self, series: &Series) -> u64 {
        self.hash(series.key().0, series.text())
    }

    fn writer(&self) -> MutexGuard<'_, Writer> {
        lock(&self.writer)
    }

    /// Returns the row of a histogram that all threads share.
    pub(crate) fn shared_row(&self, series: &Series, buckets: usize) -> Row<'_> {
        let address = series.cold().cell.load(Ordering::Relaxed);
        let row = std::ptr::with_exposed_provenance::<AtomicU64>(address as usize);
        // SAFETY: `make` put a row of as many buckets there; it lives as long as the storage.
        unsafe { Row::at(row, buckets) }
    }

    /// Gives a busy series its own cells for each thread. Never waits: if there is no slot, or the lock
    /// is taken, the series stays as it is, and the promotion is tried again while it is busy.
    ///
    /// It holds the lock, so that [`watch`](Self::watch) comes before it, and the filter is seen, or
    /// after it, and the slot is.
    #[cold]
    pub(crate) fn promote(&self, series: &Series) {
        let is_needless =
            || self.shared.filter() == ExemplarFilter::AlwaysOn || series.cold().slot() != 0;
        if is_needless() {
            return;
        }
        let writer = try_lock(&self.writer);
        if (writer.is_none() || is_needless()) && !is_left_out(Step::PromotionLock) {
            return;
        }
        let is_row = matches!(self.layout, Layout::Histogram(_));
        let slot = if is_row {
            POOL.take_row_slot()
        } else {
            POOL.take_cell_slot()
        };
        let Some(slot) = slot else { return };
        if series.cold().claim_slot(slot) {
            // Release: pairs with the Acquire in the handles; a thread that sees the slot sees its
            // cells zero.
            let publish = if is_left_out(Step::PublishSlot) {
                Ordering::Relaxed
            } else {
                Ordering::Release
            };
            series.hot.store(slot, publish);
        } else if is_row {
            // SAFETY: no other thread knows the slot, and it has no rows yet.
            unsafe { POOL.give_back_row_slot(slot, 0) };
        } else {
            POOL.give_back_cell_slot(slot);
        }
    }

    /// Returns the bits of a sum, without what was counted before a removal.
    pub(crate) fn sum_bits(&self, series: &Series) -> u64 {
        // Under the lock, so that no removal comes between the base and the total.
        let writer = self.writer();
        let before = match writer.base(series) {
            Some(Total::Bits(before)) => *before,
            _ => 0,
        };
        match (self.total(series, &POOL.blocks()), &self.layout) {
            (Total::Bits(bits), Layout::Sum(NumberKind::F64)) => {
                (f64::from_bits(bits) - f64::from_bits(before)).to_bits()
            }
            (Total::Bits(bits), _) => bits.wrapping_sub(before),
            (Total::Row(..), _) => 0,
        }
    }

    /// Returns the total that a series has counted.
    pub(crate) fn total(&self, series: &Series, blocks: &[&'static Block]) -> Total {
        match &self.layout {
            Layout::Sum(number) => Total::Bits(sum_of(*number, series.cold(), blocks)),
            Layout::Value(_) | Layout::States => {
                Total::Bits(series.cold().cell.load(Ordering::Relaxed))
            }
            Layout::Histogram(buckets) => {
                let (mut counts, mut room) = (vec![0; buckets.len()], vec![0; buckets.len()]);
                let sum = self.read_row(series, blocks, &mut counts, &mut room);
                Total::Row(counts, sum.to_bits())
            }
        }
    }

    /// Reads a histogram's buckets into `counts` and returns its sum. `room` is scratch space of the
    /// same length.
    pub(crate) fn read_row(
        &self,
        series: &Series,
        blocks: &[&'static Block],
        counts: &mut [u64],
        room: &mut [u64],
    ) -> f64 {
        counts.fill(0);
        let mut sum = self.shared_row(series, counts.len()).read(counts, room);
        let slot = series.cold().slot();
        if slot != 0 {
            for row in blocks.iter().filter_map(|block| block.row(slot)) {
                // SAFETY: the slot belongs to this series, whose rows have as many buckets; it is given
                // back only when no reader can come here.
                sum += unsafe { Row::at(row, counts.len()) }.read(counts, room);
            }
        }
        sum
    }

    /// Returns false if there are no labels, so that there is at most one series.
    fn has_labels(&self) -> bool {
        self.free_form || !self.label_names.is_empty()
    }

    pub(crate) fn stats(&self) -> FamilyStats {
        FamilyStats {
            name: self.name.clone(),
            series: self.quota.used(),
            limit: self.quota.limit(),
            has_labels: self.has_labels(),
            rejected: self.counts.rejected().collect(),
            refused: self.counts.refused().collect(),
        }
    }

    /// Stores an exemplar, if the filter and the gate accept it.
    #[inline(always)]
    pub(crate) fn record_exemplar(&self, series: &Series, slot: usize, value: f64) {
        if thread::may_record_exemplar() {
            self.record_exemplar_in_trace(series, slot, value);
        } else if self.shared.filter() == ExemplarFilter::AlwaysOn {
            self.record_first_exemplar(series, slot, value);
        }
    }

    /// Stores an exemplar inside a trace that is sampled or a tail-sampling candidate, if it is
    /// accepted.
    #[inline(always)]
    pub(crate) fn record_exemplar_in_trace(&self, series: &Series, slot: usize, value: f64) {
        if !thread::has_recorded_exemplar(exemplar_key(series, slot), exemplar::epoch()) {
            self.try_exemplar_in_trace(series, slot, value);
        }
    }

    #[cold]
    fn try_exemplar_in_trace(&self, series: &Series, slot: usize, value: f64) {
        let (key, epoch) = (exemplar_key(series, slot), exemplar::epoch());
        if thread::begin_exemplar(key, epoch) && !self.record_first_exemplar(series, slot, value) {
            thread::note_refused_exemplar(key, epoch);
        }
    }

    /// Returns false if the trace refused.
    #[cold]
    fn record_first_exemplar(&self, series: &Series, slot: usize, value: f64) -> bool {
        let filter = self.shared.filter();
        let exemplars = series.exemplars();
        if filter == ExemplarFilter::AlwaysOff || exemplars.is_some_and(|e| !e.is_open(slot)) {
            return true;
        }
        // Asked before the gate is closed: a trace that refuses leaves the slot to others.
        let agrees = thread::is_exported() || filter == ExemplarFilter::AlwaysOn;
        if agrees && exemplars.is_none_or(|exemplars| exemplars.close_gate(slot)) {
            self.store_exemplar(series, slot, value, thread::context());
        }
        agrees
    }

    /// Stores an exemplar, whatever the filter is.
    #[cold]
    pub(crate) fn store_exemplar(
        &self,
        series: &Series,
        slot: usize,
        value: f64,
        context: Option<barograph_model::context::TraceContext>,
    ) {
        let slots = match &self.layout {
            Layout::Histogram(buckets) => buckets.len(),
            _ => 1,
        };
        let exemplars = series.make_exemplars(slots);
        exemplars.close_gate(slot);
        exemplars.put(slot, value, context, self.shared.clock.unix_nanos());
    }

    /// Sends all recordings through the slow path from now on, where each may become an exemplar, if
    /// the filter accepts all of them; otherwise through the fast path.
    pub(crate) fn watch(&self) {
        let writer = self.writer();
        // Under the lock, so that the last of two filter changes takes effect.
        let all = self.shared.filter() == ExemplarFilter::AlwaysOn;
        for_each(&writer, |series| {
            let slot = if all { 0 } else { series.cold().slot() };
            // Release: pairs with the Acquire in the handles.
            series.hot.store(slot, Ordering::Release);
        });
    }
}

/// Returns the bits of a sum: the cell that all threads share, and those that threads own.
#[inline]
fn sum_of(number: NumberKind, cold: &Cold, blocks: &[&'static Block]) -> u64 {
    let (shared, slot) = (cold.cell.load(Ordering::Relaxed), cold.slot());
    if slot == 0 {
        return shared;
    }
    let cells = blocks.iter().filter_map(|block| block.cell(slot));
    let cells = cells.map(|cell| cell.load(Ordering::Relaxed));
    match number {
        NumberKind::U64 | NumberKind::I64 => cells.fold(shared, u64::wrapping_add),
        NumberKind::F64 => cells
            .map(f64::from_bits)
            .fold(f64::from_bits(shared), |a, b| a + b)
            .to_bits(),
    }
}

/// Returns the series at an address from the table.
#[inline(always)]
pub(crate) fn series_at<'a>(address: u64) -> &'a Series {
    let series = std::ptr::with_exposed_provenance::<Series>(address as usize);
    // SAFETY: tables hold addresses of series only, and those live as long as the storage that
    // every caller borrows.
    unsafe { &*series }
}

/// Returns the exemplar key of a slot of a series, for `thread::has_recorded_exemplar`.
#[inline(always)]
fn exemplar_key(series: &Series, slot: usize) -> u64 {
    (&raw const *series).addr() as u64 + slot as u64
}

/// Calls `show` with each series ever made.
fn for_each(writer: &Writer, mut show: impl FnMut(&Series)) {
    for chunk in &writer.chunks {
        let made = (writer.len - chunk.first()).min(chunk.len());
        for place in 0..made {
            // SAFETY: series live as long as their chunk.
            show(unsafe { &*chunk.series(place) });
        }
    }
}

impl Drop for Storage {
    fn drop(&mut self) {
        // No handle and no family is left, so no thread records or reads any longer.
        let writer = lock(&self.writer);
        self.shared.quota.give_back(self.quota.used());
        let layout = &self.layout;
        for_each(&writer, |series| {
            let slot = series.cold().slot();
            match layout {
                Layout::Histogram(buckets) => {
                    let address = series.cold().cell.load(Ordering::Relaxed);
                    let row = std::ptr::with_exposed_provenance_mut(address as usize);
                    // SAFETY: `make` put it there, and nothing refers to it any longer.
                    unsafe { row::free(row, row::words(buckets.len())) };
                    if slot != 0 {
                        // SAFETY: as above.
                        unsafe { POOL.give_back_row_slot(slot, buckets.len()) };
                    }
                }
                _ if slot != 0 => POOL.give_back_cell_slot(slot),
                _ => {}
            }
        });
    }
}
