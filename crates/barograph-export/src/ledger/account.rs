//! The state of all items of a pipeline, and its changes.

use barograph_core::record_queue::Counts;

use super::totals::{Reason, Totals};

/// The state of all items at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Account {
    pub(crate) totals: Totals,
    /// The number of items that wait, in memory or in the persistent queue.
    pub(crate) queued: u64,
    /// The number of items that were encoded since the ledger was created.
    pub(crate) taken: u64,
    /// The number of items that the queue had refused when it was closed; `None` while it is open.
    pub(super) ended: Option<u64>,
    /// The number of items in the queue, or just taken out of it.
    pub(crate) waiting: u64,
    /// The number of items that the queue refused because it was full.
    pub(crate) refused: u64,
    /// The number of items that were still in the queue when it was closed, or came later.
    pub(super) too_late: u64,
}

impl Account {
    /// Returns this account with the counts of the queue added.
    pub(super) fn with(mut self, counts: Counts) -> Self {
        let waiting = counts.accepted.saturating_sub(self.taken);
        let refused = counts.refused();
        (self.waiting, self.refused, self.too_late) = match self.ended {
            None => (waiting, refused, 0),
            Some(before) => {
                let later = refused.saturating_sub(before);
                (0, before.min(refused), waiting.saturating_add(later))
            }
        };
        grow(&mut self.queued, self.waiting);
        grow(&mut self.totals.produced, waiting.saturating_add(refused));
        let dropped = &mut self.totals.dropped;
        grow(&mut dropped[Reason::QueueFull as usize], self.refused);
        grow(&mut dropped[Reason::Shutdown as usize], self.too_late);
        self
    }

    /// Counts items that were encoded and now wait. Those that were taken out of a queue were counted
    /// before.
    pub(crate) fn produce(&mut self, items: u64) {
        let from_queue = self.waiting.min(items);
        shrink(&mut self.waiting, from_queue);
        grow(&mut self.queued, items.saturating_sub(from_queue));
        grow(&mut self.totals.produced, items.saturating_sub(from_queue));
        grow(&mut self.taken, items);
    }

    /// Counts waiting items that the receiver accepted.
    pub(crate) fn export(&mut self, items: u64) {
        shrink(&mut self.queued, items);
        grow(&mut self.totals.exported, items);
    }

    /// Counts waiting items that will not be delivered.
    pub(crate) fn drop_items(&mut self, items: u64, reason: Reason) {
        shrink(&mut self.queued, items);
        grow(&mut self.totals.dropped[reason as usize], items);
    }

    /// Returns the number of items that were encoded, and wait in memory or in the persistent queue.
    pub(crate) fn encoded(&self) -> u64 {
        self.queued.saturating_sub(self.waiting)
    }

    /// Returns the number of items that were dropped after they were encoded, and that no newer ones
    /// cover.
    pub(crate) fn lost(&self) -> u64 {
        // Items that a queue refuses were never encoded.
        let others = [Reason::Superseded, Reason::QueueFull];
        let dropped = Reason::ALL.into_iter().zip(self.totals.dropped);
        let dropped = dropped.filter(|(reason, _)| !others.contains(reason));
        dropped.fold(0, |sum, (_, items)| sum.saturating_add(items))
    }
}

/// Adds to a sum without overflow: sums also come from persistent queues, and may have any value.
pub(super) fn grow(sum: &mut u64, items: u64) {
    *sum = sum.saturating_add(items);
}

/// Subtracts from a sum. Removing an item twice is a bug in this library, which the account shows at
/// the end.
pub(super) fn shrink(sum: &mut u64, items: u64) {
    debug_assert!(*sum >= items, "{items} of {sum} items");
    *sum = sum.saturating_sub(items);
}
