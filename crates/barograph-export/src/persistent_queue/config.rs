//! The capacity and the durability of a persistent queue.

use std::time::Duration;

/// The capacity and the durability of a persistent queue.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PersistentQueueConfig {
    /// The number of bytes that its files may take together, 256 MiB by default.
    pub max_bytes: u64,
    /// The requests that are dropped when there is no room.
    pub when_full: WhenFull,
    /// The time at which written data is made to survive a power cut. It survives a kill in any case.
    pub sync: SyncPolicy,
}

/// The requests that are dropped when there is no room.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum WhenFull {
    /// Drops the oldest requests, some at a time. The end of an outage is then visible afterwards, and
    /// a receiver that refuses late data accepts the rest.
    #[default]
    DropOldest,
    /// Refuses the newest request. The beginning of an outage is then visible afterwards.
    RefuseNewest,
}

/// The time at which files are synced with the disk, which takes milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SyncPolicy {
    /// After every change, before the call returns.
    Each,
    /// With the first change after this time. A power cut loses what was written since the last sync,
    /// so the owner of the persistent queue must also call [`sync`](super::PersistentQueue::sync) when
    /// nothing changes.
    Every(Duration),
}

impl PersistentQueueConfig {
    /// Creates the default configuration: 256 MiB, the oldest requests are dropped, a sync every
    /// second.
    pub fn new() -> Self {
        PersistentQueueConfig {
            max_bytes: 256 << 20,
            when_full: WhenFull::default(),
            sync: SyncPolicy::Every(Duration::from_secs(1)),
        }
    }

    /// Sets the number of bytes that the files may take.
    pub fn with_max_bytes(mut self, bytes: u64) -> Self {
        self.max_bytes = bytes;
        self
    }

    /// Sets which requests are dropped when there is no room.
    pub fn with_when_full(mut self, when_full: WhenFull) -> Self {
        self.when_full = when_full;
        self
    }

    /// Sets when files are synced.
    pub fn with_sync(mut self, sync: SyncPolicy) -> Self {
        self.sync = sync;
        self
    }

    /// Returns the length at which a segment is full. Space is freed by whole segments, so there are
    /// several of them; and a segment is read as a whole when the persistent queue is opened, so it is
    /// not too long.
    pub(super) fn segment_bytes(&self) -> u64 {
        (self.max_bytes / 8).clamp(4 << 10, 8 << 20)
    }
}

impl Default for PersistentQueueConfig {
    fn default() -> Self {
        Self::new()
    }
}
