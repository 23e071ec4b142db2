//! Writes the state, and removes the segments that are no longer needed.

use std::fs;
use std::io;

use super::PersistentQueue;
use crate::persistent_queue::config::SyncPolicy;
use crate::persistent_queue::files::{self, Operation, Presence};

impl PersistentQueue {
    /// Writes the state, and removes the segments that it no longer needs. Without the lock nothing is
    /// done: another process may be using the directory.
    pub(super) fn persist(&mut self) -> io::Result<()> {
        if self.lock_presence() != Presence::Present {
            let message = "its lock was removed or replaced";
            return Err(io::Error::new(io::ErrorKind::NotFound, message));
        }
        self.write_state()?;
        if !self.removable.is_empty() {
            if self.config.sync == SyncPolicy::Each {
                self.state_file.sync()?;
            }
            self.remove_segments();
        }
        Ok(())
    }

    pub(super) fn write_state(&mut self) -> io::Result<()> {
        if self.is_dirty {
            files::fault(Operation::Write, &self.directory)?;
            self.state_file.write(&self.state)?;
            self.is_dirty = false;
        }
        Ok(())
    }

    pub(super) fn remove_segments(&mut self) {
        let PersistentQueue {
            removable,
            taken,
            directory,
            ..
        } = self;
        // Segments that cannot be removed continue to take up space, and are tried again.
        removable.retain(|(name, length)| {
            let removed = fs::remove_file(directory.join(name.to_string()));
            let is_gone = match removed {
                Ok(()) => true,
                Err(error) => error.kind() == io::ErrorKind::NotFound,
            };
            if is_gone {
                *taken -= u128::from(*length);
            }
            !is_gone
        });
    }

    pub(super) fn sync_when_due(&mut self) -> io::Result<()> {
        let is_due = match self.config.sync {
            SyncPolicy::Each => true,
            SyncPolicy::Every(time) => self.last_sync.elapsed() >= time,
        };
        match is_due {
            true => self.sync_files(),
            false => Ok(()),
        }
    }
}
