//! Detects that files of an open queue were removed, replaced or moved, and continues with the files
//! that are at its path now.
//!
//! An open file can still be written after it was removed, but nothing can read it later. So the paths
//! are compared with the open files before each write, which takes a few calls of `lstat`.

use std::collections::HashMap;
use std::fs;

use super::{Loss, Peeked, PersistentQueue};
use crate::persistent_queue::error::PersistentQueueError;
use crate::persistent_queue::files::{self, Presence};
use crate::persistent_queue::segment::{Pending, Segment, Writer};
use crate::persistent_queue::state::StateFile;

/// The result of checking the files of a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Integrity {
    /// The files are unchanged.
    Intact,
    /// Some files were removed or replaced, and the queue continues without their contents.
    Repaired,
}

impl PersistentQueue {
    /// Compares all files with those that are at their paths now. Files that were removed are created
    /// again. Requests that are no longer there count as
    /// [`unreadable`](super::super::Lost::unreadable), and requests in a directory that was put in the
    /// place of this one are taken over.
    ///
    /// # Errors
    /// [`PersistentQueueError`] if the directory cannot be recreated at present, or if another process
    /// holds its lock. The call can be repeated.
    pub fn check(&mut self) -> Result<Integrity, PersistentQueueError> {
        if self.lock_presence() != Presence::Present {
            return self.reopen();
        }
        let mut integrity = Integrity::Intact;
        if self.state_file.presence(&self.directory) != Presence::Present {
            // No other process may write the file while the lock is held, so the state in memory is
            // right.
            (self.state_file, _) = StateFile::open_in(&self.directory)?;
            (self.is_dirty, self.has_new_names) = (true, true);
            integrity = Integrity::Repaired;
        }
        if self
            .writer
            .take_if(|writer| !writer.is_in_place())
            .is_some()
        {
            integrity = Integrity::Repaired;
        }
        if self.forget_missing() {
            integrity = Integrity::Repaired;
        }
        Ok(integrity)
    }

    /// Does the same as [`check`](Self::check) if one of the files that are being written is not at
    /// its path. The other files are checked when they are opened, and with each [`sync`](Self::sync).
    pub(crate) fn check_written_files(&mut self) -> Result<Integrity, PersistentQueueError> {
        let is_in_place = self.lock_presence() == Presence::Present
            && self.state_file.presence(&self.directory) == Presence::Present
            && self.writer.as_ref().is_none_or(Writer::is_in_place);
        match is_in_place {
            true => Ok(Integrity::Intact),
            false => self.check(),
        }
    }

    /// Compares the lock file that is held with the one at its path. Only if they are the same does
    /// the lock keep other processes out.
    pub(super) fn lock_presence(&self) -> Presence {
        files::presence(&files::lock_path(&self.directory), &self.lock)
    }

    /// Reopens the directory as it is now.
    fn reopen(&mut self) -> Result<Integrity, PersistentQueueError> {
        let is_missing = self.lock_presence() == Presence::Missing;
        if is_missing && self.state_file.presence(&self.directory) == Presence::Present {
            // Only the lock was removed. Without this write, the last deliveries would be repeated.
            let _ = self.write_state();
        }
        let mut fresh = match PersistentQueue::open(&self.directory, self.config.clone()) {
            Ok(fresh) => fresh,
            Err(error) => {
                if files::is_unlinked(&self.lock) {
                    self.forget_missing();
                }
                return Err(error);
            }
        };
        let before: HashMap<_, _> = self
            .segments
            .iter()
            .map(|old| (old.name, old.pending))
            .collect();
        let mut kept = Pending::default();
        for segment in &fresh.segments {
            if let Some(before) = before.get(&segment.name) {
                kept.add(segment.pending.least(*before));
            }
        }
        let mut missing = self.pending;
        missing.subtract(kept);
        if let Some(peeked) = self.peeked.take() {
            let is_first = fresh.segments.front().map(|first| first.name) == Some(peeked.segment)
                && fresh.state.position == self.state.position;
            if peeked.loss.is_some() || !is_first {
                missing.subtract(peeked.pending);
                fresh.pending.add(peeked.pending);
            }
            fresh.peeked = Some(Peeked {
                loss: peeked.loss.or((!is_first).then_some(Loss::Unreadable)),
                ..peeked
            });
        }
        let found = fresh.pending.items.saturating_add(missing.items);
        let found = found.saturating_sub(self.pending.items);
        fresh.found = self.found.saturating_add(found);
        fresh.lost = self.lost;
        fresh.lost.unreadable.add(missing.records, missing.items);
        fresh.state.totals = self.state.totals;
        fresh.is_dirty = true;
        // The old values must not be written to the new files when they are dropped.
        self.is_dirty = false;
        self.removable.clear();
        *self = fresh;
        Ok(Integrity::Repaired)
    }

    /// Counts the requests whose segments are no longer there. Returns true if there were any.
    fn forget_missing(&mut self) -> bool {
        let directory = &self.directory;
        let is_missing = |segment: &Segment| {
            let path = directory.join(segment.name.to_string());
            match fs::symlink_metadata(path) {
                Ok(metadata) => !metadata.is_file(),
                Err(error) => files::is_absent(&error),
            }
        };
        let (missing, there): (Vec<_>, Vec<_>) = self.segments.drain(..).partition(is_missing);
        self.segments = there.into();
        for segment in &missing {
            let mut lost = segment.pending;
            if let Some(peeked) = &mut self.peeked
                && peeked.segment == segment.name
                && peeked.loss.is_none()
            {
                peeked.loss = Some(Loss::Unreadable);
                lost.subtract(peeked.pending);
            }
            self.pending.subtract(lost);
            self.lost.unreadable.add(lost.records, lost.items);
            self.taken -= u128::from(segment.length);
            self.reader.take_if(|reader| reader.name == segment.name);
            self.writer.take_if(|writer| writer.name == segment.name);
        }
        !missing.is_empty()
    }
}
