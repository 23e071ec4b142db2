//! How much a persistent queue holds, and how safe it is.

use std::time::Duration;

/// How much a persistent queue holds, and how safe it is.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct JournalConfig {
    /// Bytes that its files may take together, 256 MiB by default.
    pub max_bytes: u64,
    /// What gives way when there is no room.
    pub when_full: WhenFull,
    /// When what was written is made to survive a power cut. A kill it survives in any case.
    pub sync: SyncPolicy,
}

/// What gives way when there is no room.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum WhenFull {
    /// The oldest requests, some at a time: whoever looks at an outage afterwards sees its end, and a
    /// receiver that refuses what is too late takes the rest.
    #[default]
    DropOldest,
    /// The newest request: whoever looks sees how it began.
    RefuseNewest,
}

/// When files are synced with the disk, which takes milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SyncPolicy {
    /// After every change, before the call returns.
    Each,
    /// With the first change after this time. What was written since is lost in a power cut, so
    /// whoever owns the persistent queue also calls [`sync`](super::Journal::sync) when nothing changes.
    Every(Duration),
}

impl JournalConfig {
    /// 256 MiB, the oldest gives way, synced every second.
    pub fn new() -> Self {
        JournalConfig {
            max_bytes: 256 << 20,
            when_full: WhenFull::default(),
            sync: SyncPolicy::Every(Duration::from_secs(1)),
        }
    }

    /// Lets its files take this much.
    pub fn with_max_bytes(mut self, bytes: u64) -> Self {
        self.max_bytes = bytes;
        self
    }

    /// Says what gives way.
    pub fn with_when_full(mut self, when_full: WhenFull) -> Self {
        self.when_full = when_full;
        self
    }

    /// Says when files are synced.
    pub fn with_sync(mut self, sync: SyncPolicy) -> Self {
        self.sync = sync;
        self
    }

    /// How long a segment gets. Room comes back by segments, so there are some of them; and a segment
    /// is read as a whole when the persistent queue is opened, so it is not too long.
    pub(super) fn segment_bytes(&self) -> u64 {
        (self.max_bytes / 8).clamp(4 << 10, 8 << 20)
    }
}

impl Default for JournalConfig {
    fn default() -> Self {
        Self::new()
    }
}
