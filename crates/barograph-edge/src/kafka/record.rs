//! What is known of a record.

/// What is known of a record, or of a batch of them: at least the topic.
#[derive(Clone, Copy, Debug)]
#[must_use = "it only describes a record"]
pub struct Record<'a> {
    pub(super) topic: &'a str,
    pub(super) partition: Option<i32>,
    pub(super) offset: Option<i64>,
    pub(super) key: Option<&'a str>,
    pub(super) is_tombstone: bool,
}

impl<'a> Record<'a> {
    /// A record of this topic. Topics are label values: there should not be one for each user.
    pub fn new(topic: &'a str) -> Self {
        Record {
            topic,
            partition: None,
            offset: None,
            key: None,
            is_tombstone: false,
        }
    }

    /// The partition that it is in.
    pub fn with_partition(self, partition: i32) -> Self {
        Record {
            partition: Some(partition),
            ..self
        }
    }

    /// Its place in the partition.
    pub fn with_offset(self, offset: i64) -> Self {
        Record {
            offset: Some(offset),
            ..self
        }
    }

    /// Its key, to be shown in spans. Keys may be about somebody.
    pub fn with_key(self, key: &'a str) -> Self {
        Record {
            key: Some(key),
            ..self
        }
    }

    /// It has no value, which removes what has its key.
    pub fn as_tombstone(self) -> Self {
        Record {
            is_tombstone: true,
            ..self
        }
    }
}
