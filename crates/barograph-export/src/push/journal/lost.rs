//! What a persistent queue could not give back.

/// What a persistent queue could not give back since it was opened, by reason; what opening found is in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Lost {
    /// Records at the end of a segment that are not whole: the process or the machine ended in the
    /// middle of a write.
    pub torn: Count,
    /// Records with another checksum than was written, and stretches between records that are none.
    pub corrupt: Count,
    /// Records whose file went away, or has something in its place that is no regular file.
    pub unreadable: Count,
    /// Whole records that gave way to newer ones.
    pub overflow: Count,
    /// Segments that a newer version wrote. They are left alone, and take their room.
    pub newer_segments: u64,
}

/// Records, and what was in them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// How many records. A stretch that cannot be read at all counts as one.
    pub records: u64,
    /// Data points, spans or log records in them, as far as this is known.
    pub items: u64,
}

impl Lost {
    /// Items lost to damage, as far as their number is known.
    pub fn damaged_items(&self) -> u64 {
        let parts = [self.torn, self.corrupt, self.unreadable];
        parts
            .iter()
            .fold(0, |sum, count| sum.saturating_add(count.items))
    }

    /// Records lost to damage.
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
