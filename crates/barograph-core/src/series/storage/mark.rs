//! The only value that a cell cannot hold by itself: the mark of a removed gauge or state set.
//!
//! A removed gauge or state set has [`REMOVED_BITS`] in its cell, so that setting or changing it brings
//! it back with one store. Those bits are a legal value too, as an integer and as a NaN. A gauge that
//! has this value is therefore noted in [`Writer::at_mark`].
//!
//! A cell *becomes* the mark only under the family's lock: by a removal, which removes the note, or by
//! a gauge that is set to it, which makes the note. So under the lock the mark has one meaning, and
//! code that finds it there can exchange it for another value. Without the lock a cell only ever
//! becomes something else.

use super::{REMOVED_BITS, Storage, Total, Writer};
use crate::series::Series;
use crate::sync::Ordering;

impl Storage {
    /// Sets a gauge to the bits of the mark.
    #[cold]
    #[inline(never)]
    pub(crate) fn set_to_mark(&self, series: &Series) {
        let mut writer = self.writer();
        writer.at_mark.insert(series.index());
        series.cold().cell.store(REMOVED_BITS, Ordering::Relaxed);
    }

    /// Changes a gauge that has the mark, or gets it. `change` receives `None` for a removed gauge.
    #[cold]
    #[inline(never)]
    pub(crate) fn change_at_mark(&self, series: &Series, change: impl Fn(Option<u64>) -> u64) {
        let mut writer = self.writer();
        let cell = &series.cold().cell;
        let mut old = cell.load(Ordering::Relaxed);
        loop {
            let is_removed = old == REMOVED_BITS && !writer.is_at_mark(series);
            let new = change((!is_removed).then_some(old));
            if new == REMOVED_BITS {
                writer.at_mark.insert(series.index());
            }
            match cell.compare_exchange_weak(old, new, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return,
                Err(now) => old = now,
            }
        }
    }

    /// Returns true if a gauge that was seen with the mark has it as its value.
    #[cold]
    #[inline(never)]
    pub(crate) fn is_at_mark(&self, series: &Series) -> bool {
        self.writer().is_at_mark(series)
    }
}

impl Writer {
    fn is_at_mark(&self, series: &Series) -> bool {
        self.at_mark.contains(&series.index())
    }

    /// Marks a value as removed; with a total, only if it still has that total. Returns true if it did.
    pub(super) fn mark(&mut self, series: &Series, only_if: Option<&Total>) -> bool {
        let cell = &series.cold().cell;
        let is_marked = match only_if {
            Some(Total::Bits(bits)) => {
                // Relaxed: there is no other data than the cell, and it changes atomically.
                let order = Ordering::Relaxed;
                let swap = cell.compare_exchange(*bits, REMOVED_BITS, order, order);
                swap.is_ok()
            }
            _ => {
                cell.store(REMOVED_BITS, Ordering::Relaxed);
                true
            }
        };
        if is_marked {
            self.at_mark.remove(&series.index());
        }
        is_marked
    }

    /// Returns true if a value was not set since its series was removed.
    pub(super) fn is_marked(&self, series: &Series) -> bool {
        series.cold().cell.load(Ordering::Relaxed) == REMOVED_BITS && !self.is_at_mark(series)
    }
}
