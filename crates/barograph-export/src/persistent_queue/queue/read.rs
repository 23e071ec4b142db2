//! The reading end of the queue: returns requests in order, whatever happened to the files.

use super::{Loss, Peeked, PersistentQueue};
use crate::persistent_queue::error::PersistentQueueError;
use crate::persistent_queue::files::{self, Name};
use crate::persistent_queue::lost::{Count, Lost};
use crate::persistent_queue::segment::{Entry, Pending, Reader, Segment};
use crate::persistent_queue::state::Position;
use barograph_encode::otlp::Request;

impl PersistentQueue {
    /// Returns the first record that waits, and opens the reader for it.
    ///
    /// # Errors
    /// Fails if its file cannot be read at present. The next call tries again.
    pub(super) fn first(&mut self) -> Result<Option<Entry>, PersistentQueueError> {
        loop {
            let Some(segment) = self.segments.front() else {
                return Ok(None);
            };
            let name = segment.name;
            if segment.pending.records == 0 {
                self.retire();
                continue;
            }
            if self
                .reader
                .as_ref()
                .is_none_or(|reader| reader.name != name)
            {
                self.read_first_segment()?;
                continue;
            }
            let reader = self.reader.as_ref().expect("it was there a moment ago");
            match reader.entries.front() {
                Some(entry) => return Ok(Some(*entry)),
                None => self.change_first(Pending::default(), |lost| &mut lost.corrupt),
            }
        }
    }

    /// Reads the first record. Returns `None` if it is damaged.
    ///
    /// # Errors
    /// Fails if it cannot be read at present.
    pub(super) fn peek(&mut self, entry: Entry) -> Result<Option<Request>, PersistentQueueError> {
        let reader = self.reader.as_mut().expect("it holds the first entry");
        let request = reader.read(entry).map_err(|error| {
            let path = self.directory.join(reader.name.to_string());
            PersistentQueueError::io(&path)(error)
        })?;
        if request.is_some() {
            self.peeked = Some(Peeked {
                segment: reader.name,
                pending: entry.pending(),
                loss: None,
            });
        }
        Ok(request)
    }

    /// Opens the first segment. Records that were found in it before and are no longer there are lost.
    fn read_first_segment(&mut self) -> Result<(), PersistentQueueError> {
        let Some(segment) = self.segments.front() else {
            return Ok(());
        };
        let Position {
            segment: number,
            at,
        } = self.state.position;
        let from = if segment.name.number == number { at } else { 0 };
        match Reader::open(&self.directory, segment.name, from) {
            Ok((reader, contents)) => {
                self.reader = Some(reader);
                self.change_first(contents.pending(), |lost| &mut lost.corrupt);
            }
            Err(error) if files::is_gone(&self.directory, &error) => {
                self.change_first(Pending::default(), |lost| &mut lost.unreadable);
            }
            Err(error) => {
                let path = self.directory.join(segment.name.to_string());
                return Err(PersistentQueueError::io(&path)(error));
            }
        }
        Ok(())
    }

    /// Sets the actual contents of the first segment, and counts missing records as lost.
    pub(super) fn change_first(
        &mut self,
        found: Pending,
        reason: impl FnOnce(&mut Lost) -> &mut Count,
    ) {
        let Some(segment) = self.segments.front_mut() else {
            return;
        };
        let mut missing = segment.pending;
        missing.subtract(found);
        self.pending.subtract(segment.pending);
        self.pending.add(found);
        segment.pending = found;
        reason(&mut self.lost).add(missing.records, missing.items);
    }

    /// Moves past the first record.
    pub(super) fn advance(&mut self, entry: Entry) {
        let segment = self.segments.front_mut().expect("the entry is in it");
        segment.pending.subtract(entry.pending());
        self.pending.subtract(entry.pending());
        self.state.position = Position {
            segment: segment.name.number,
            at: entry.end(),
        };
        self.is_dirty = true;
        let reader = self.reader.as_mut().expect("it holds the first entry");
        reader.entries.pop_front();
        if segment.pending.records == 0 {
            self.retire();
        }
    }

    /// Leaves the first segment, in which nothing waits. Its file is removed once the state is
    /// written.
    pub(super) fn retire(&mut self) {
        if let Some((name, length)) = self.leave_first_segment() {
            self.removable.push((name, length));
        }
    }

    /// Drops the oldest requests, one segment of them. Returns true if there was one.
    pub(super) fn drop_first_segment(&mut self) -> bool {
        let Some(segment) = self.segments.front() else {
            return false;
        };
        let mut dropped = segment.pending;
        if let Some(peeked) = &mut self.peeked
            && peeked.segment == segment.name
            && peeked.loss.is_none()
        {
            peeked.loss = Some(Loss::Overflow);
            dropped.subtract(peeked.pending);
        }
        self.pending.subtract(dropped);
        self.lost.overflow.add(dropped.records, dropped.items);
        self.retire();
        self.remove_segments();
        true
    }

    pub(super) fn leave_first_segment(&mut self) -> Option<(Name, u64)> {
        let Segment { name, length, .. } = self.segments.pop_front()?;
        self.reader.take_if(|reader| reader.name == name);
        self.writer.take_if(|writer| writer.name == name);
        self.state.position = Position {
            segment: name.number.saturating_add(1),
            at: 0,
        };
        self.is_dirty = true;
        Some((name, length))
    }
}
