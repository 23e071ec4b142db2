//! The description of a record.

/// Describes a record, or a batch of records, at least by its topic.
#[derive(Clone, Copy, Debug)]
#[must_use = "it only describes a record"]
pub struct Record<'a> {
    pub(crate) topic: &'a str,
    pub(crate) partition: Option<i32>,
    pub(crate) offset: Option<i64>,
    pub(crate) key: Option<&'a str>,
    pub(crate) is_tombstone: bool,
}

impl<'a> Record<'a> {
    /// Describes a record of this topic. Topics are label values, so their number should be bounded.
    pub fn new(topic: &'a str) -> Self {
        Record {
            topic,
            partition: None,
            offset: None,
            key: None,
            is_tombstone: false,
        }
    }

    /// Sets the partition of the record.
    pub fn with_partition(self, partition: i32) -> Self {
        Record {
            partition: Some(partition),
            ..self
        }
    }

    /// Sets the offset in the partition.
    pub fn with_offset(self, offset: i64) -> Self {
        Record {
            offset: Some(offset),
            ..self
        }
    }

    /// Sets the key, which spans show. Keys may hold personal data.
    pub fn with_key(self, key: &'a str) -> Self {
        Record {
            key: Some(key),
            ..self
        }
    }

    /// Marks the record as a tombstone: it has no value, which deletes its key.
    pub fn as_tombstone(self) -> Self {
        Record {
            is_tombstone: true,
            ..self
        }
    }
}
