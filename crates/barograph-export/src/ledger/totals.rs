//! The totals of a ledger, and the reasons for dropped items.

/// The totals of a ledger at one moment, which a persistent queue also stores.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// The number of items that were produced.
    pub produced: u64,
    /// The number of items that a receiver accepted.
    pub exported: u64,
    /// The number of items that will not be delivered, each reason at the index `reason as usize`.
    pub dropped: [u64; Reason::COUNT],
    /// The time at which the counts begin, in nanoseconds since the Unix epoch; 0 if unknown.
    pub start_unix_nano: u64,
}

impl Totals {
    /// Returns the number of items that will not be delivered, for any reason.
    pub fn dropped_in_all(&self) -> u64 {
        self.dropped
            .iter()
            .fold(0, |sum, items| sum.saturating_add(*items))
    }

    /// Returns the number of items that were exported or dropped.
    pub fn settled(&self) -> u64 {
        self.exported.saturating_add(self.dropped_in_all())
    }

    /// Returns the number of items that should wait in a persistent queue according to these totals, and
    /// are not among the `pending` ones.
    pub(super) fn missing(&self, pending: u64) -> u64 {
        let accounted = self.settled().saturating_add(pending);
        self.produced.saturating_sub(accounted)
    }

    /// Returns true if these can be actual counts. A disk may hold any values, and they must not be so
    /// large that a sum of them overflows.
    pub(crate) fn is_plausible(&self) -> bool {
        let all = self.dropped.iter().chain([&self.produced, &self.exported]);
        let sum = all.fold(0_u64, |sum, count| sum.saturating_add(*count));
        sum <= u64::MAX / 4
    }
}

/// The reason why an item was not delivered.
///
/// The order is stored in persistent queues: new reasons come last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Reason {
    /// A newer request reports the same metrics.
    Superseded,
    /// The receiver refused the request permanently.
    Rejected,
    /// The receiver accepted the request and rejected this part of it.
    Partial,
    /// The request exceeds the maximum size.
    TooLarge,
    /// The queue in memory was full.
    QueueFull,
    /// The persistent queue was full.
    PersistentQueueFull,
    /// The item was damaged in the persistent queue, or is no longer there. A file that cannot be
    /// opened or read at present is not a reason: its contents wait.
    Corrupt,
    /// The program ended before the item could be delivered.
    Shutdown,
    /// The transport or the pipeline panicked while it was handling the item.
    Panicked,
}

impl Reason {
    /// The number of reasons.
    pub const COUNT: usize = 9;

    /// All reasons, each at the index `reason as usize`.
    pub const ALL: [Reason; Self::COUNT] = [
        Reason::Superseded,
        Reason::Rejected,
        Reason::Partial,
        Reason::TooLarge,
        Reason::QueueFull,
        Reason::PersistentQueueFull,
        Reason::Corrupt,
        Reason::Shutdown,
        Reason::Panicked,
    ];

    /// Returns the value of the label `reason`.
    pub fn as_str(self) -> &'static str {
        match self {
            Reason::Superseded => "superseded",
            Reason::Rejected => "rejected",
            Reason::Partial => "partial",
            Reason::TooLarge => "too_large",
            Reason::QueueFull => "queue_full",
            Reason::PersistentQueueFull => "persistent_queue_full",
            Reason::Corrupt => "corrupt",
            Reason::Shutdown => "shutdown",
            Reason::Panicked => "panicked",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_is_at_its_index() {
        for (place, reason) in Reason::ALL.into_iter().enumerate() {
            assert_eq!(reason as usize, place);
        }
    }
}
