//! Counts of what a persistent queue has lost.

/// Counts of what a persistent queue has lost since it was opened, by reason. Losses that were found
/// while opening it are included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Lost {
    /// Incomplete records at the end of a segment: the process or the machine ended in the middle of a
    /// write.
    pub torn: Count,
    /// Records with a wrong checksum, and stretches between records that are not records.
    pub corrupt: Count,
    /// Records whose file was removed, or replaced by something that is not a regular file.
    pub unreadable: Count,
    /// Whole records that were dropped to make room for newer ones.
    pub overflow: Count,
    /// The number of segments that a newer version wrote. They are left alone, and take up space.
    pub newer_segments: u64,
}

/// A number of records, and the number of items in them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// The number of records. A stretch that cannot be read at all counts as one.
    pub records: u64,
    /// The number of data points, spans or log records in them, as far as it is known.
    pub items: u64,
}

impl Lost {
    /// Returns true if something was damaged, apart from a write that was interrupted.
    pub(crate) fn is_damaged(&self) -> bool {
        self.corrupt.records > 0 || self.unreadable.records > 0
    }

    /// Returns the number of items lost to damage, as far as it is known.
    pub fn damaged_items(&self) -> u64 {
        let parts = [self.torn, self.corrupt, self.unreadable];
        parts
            .iter()
            .fold(0, |sum, count| sum.saturating_add(count.items))
    }

    /// Returns the number of records lost to damage.
    pub fn damaged_records(&self) -> u64 {
        let parts = [self.torn, self.corrupt, self.unreadable];
        parts
            .iter()
            .fold(0, |sum, count| sum.saturating_add(count.records))
    }
}

impl Count {
    pub(super) fn add(&mut self, records: u64, items: u64) {
        self.records = self.records.saturating_add(records);
        self.items = self.items.saturating_add(items);
    }
}
