//! Takes over the segments that exist when a queue is opened.

use super::PersistentQueue;
use crate::persistent_queue::error::PersistentQueueError;
use crate::persistent_queue::files::{self, Name};
use crate::persistent_queue::segment::{Reader, Segment, Writer};
use crate::persistent_queue::state::Position;

impl PersistentQueue {
    /// Reads a segment that existed before. Returns its name and the length that is valid, so that
    /// writing can continue there if it is the last segment.
    ///
    /// # Errors
    /// Fails if the segment may hold requests and cannot be read at present. It must not be skipped:
    /// reading the segments after it would move the read position past it, and the next start would
    /// consider it delivered.
    pub(super) fn recover_segment(
        &mut self,
        name: Name,
    ) -> Result<Option<(Name, u64)>, PersistentQueueError> {
        self.next_number = self.next_number.max(name.number.saturating_add(1));
        let Position { segment, at } = self.state.position;
        let from = if name.number == segment { at } else { 0 };
        let contents = match Reader::open(&self.directory, name, from) {
            Ok((_, contents)) => contents,
            Err(error) if files::is_gone(&self.directory, &error) => {
                self.lost.unreadable.add(1, 0);
                return Ok(None);
            }
            Err(error) => {
                let path = self.directory.join(name.to_string());
                return Err(PersistentQueueError::io(&path)(error));
            }
        };
        self.taken += u128::from(contents.length);
        if contents.is_newer {
            self.lost.newer_segments += 1;
            self.fixed += u128::from(contents.length);
            return Ok(None);
        }
        if name.number < segment || contents.entries.is_empty() {
            self.removable.push((name, contents.length));
        }
        if name.number < segment {
            return Ok(None);
        }
        let mut valid = contents.length;
        for damage in &contents.damages {
            let lost = match damage.is_tail {
                true => &mut self.lost.torn,
                false => &mut self.lost.corrupt,
            };
            lost.add(1, damage.items.unwrap_or(0));
            if damage.is_tail {
                valid = damage.at as u64;
            }
        }
        if contents.entries.is_empty() {
            return Ok(None);
        }
        let pending = contents.pending();
        self.pending.add(pending);
        self.segments.push_back(Segment {
            name,
            length: contents.length,
            pending,
        });
        Ok(Some((name, valid)))
    }

    /// Continues the last segment, of which this length is valid. If that fails, the next request
    /// begins a new one.
    pub(super) fn resume(&mut self, (name, valid): (Name, u64)) {
        let Some(last) = self.segments.back_mut().filter(|last| last.name == name) else {
            return;
        };
        if valid < self.config.segment_bytes() {
            self.writer = Writer::resume(&self.directory, name, valid).ok();
        }
        if self.writer.is_some() {
            self.taken -= u128::from(last.length.saturating_sub(valid));
            last.length = valid;
        }
    }
}
