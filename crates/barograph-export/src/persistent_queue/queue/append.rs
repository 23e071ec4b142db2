//! The writing end of the queue: accepts requests, and makes room for them.

use std::io;

use super::PersistentQueue;
use crate::persistent_queue::config::WhenFull;
use crate::persistent_queue::error::AppendError;
use crate::persistent_queue::files::Name;
use crate::persistent_queue::record::SEGMENT_HEADER;
use crate::persistent_queue::segment::{Entry, Pending, Segment, Writer, record_length};
use barograph_encode::otlp::Request;

impl PersistentQueue {
    /// Ensures that a record of this length fits.
    pub(super) fn make_room(&mut self, record: u64) -> Result<(), AppendError> {
        let max = self.config.max_bytes;
        loop {
            let header = match self.must_begin(record) {
                true => SEGMENT_HEADER as u64,
                false => 0,
            };
            let needed = record + header;
            if self.taken + u128::from(needed) <= max.into() {
                return Ok(());
            }
            let full = AppendError::Full {
                needed,
                taken: self.taken_bytes(),
                max,
            };
            let taken = self.taken;
            if !self.removable.is_empty() && self.persist().is_ok() && self.taken < taken {
                continue;
            }
            let alone = SEGMENT_HEADER as u64 + record;
            let could_fit = self.fixed + u128::from(alone) <= max.into();
            if self.config.when_full == WhenFull::RefuseNewest || !could_fit {
                return Err(full);
            }
            if !self.drop_first_segment() {
                return Err(full);
            }
        }
    }

    /// Returns true if a record of this length begins a new segment.
    pub(super) fn must_begin(&self, record: u64) -> bool {
        let writer = self.writer.as_ref();
        writer.is_none_or(|writer| writer.length + record > self.config.segment_bytes())
    }

    /// Writes a request, or leaves everything as it was.
    pub(super) fn write(&mut self, request: &Request) -> io::Result<Entry> {
        if self.must_begin(record_length(request)) {
            if let Some(mut writer) = self.writer.take() {
                // It is not synced again later.
                writer.sync()?;
            }
            if self
                .segments
                .back()
                .is_some_and(|last| last.name.number >= self.next_number)
            {
                return Err(io::Error::other(
                    "the last segment has the highest number there is",
                ));
            }
            let name = Name::new(self.next_number);
            let writer = Writer::create(&self.directory, name)?;
            self.next_number = self.next_number.saturating_add(1);
            self.has_new_names = true;
            self.taken += u128::from(writer.length);
            self.segments.push_back(Segment {
                name,
                length: writer.length,
                pending: Pending::default(),
            });
            self.writer = Some(writer);
        }
        let writer = self.writer.as_mut().expect("there is one now");
        let before = writer.length;
        let written = writer.append(request);
        let taken = writer.length - before;
        self.taken += u128::from(taken);
        let written = written.and_then(|entry| self.sync_when_due().map(|()| entry));
        if written.is_err() {
            self.taken -= u128::from(taken);
            self.undo(before);
        }
        written
    }

    /// Removes what was written to the last segment after this length.
    pub(super) fn undo(&mut self, length: u64) {
        let writer = self.writer.as_mut().expect("it was written to");
        if writer.undo(length).is_err() {
            // The rest of the failed write is still there, so nothing is written after it.
            self.writer = None;
        }
        if length == SEGMENT_HEADER as u64 {
            let last = self.segments.pop_back().expect("the one that was written");
            self.writer = None;
            self.removable.push((last.name, last.length));
            self.remove_segments();
        }
    }

    /// Counts a record that was written.
    pub(super) fn note(&mut self, entry: Entry) {
        self.pending.add(entry.pending());
        let last = self.segments.back_mut().expect("the one that was written");
        last.pending.add(entry.pending());
        last.length = entry.end();
        if let Some(reader) = &mut self.reader
            && reader.name == last.name
        {
            reader.entries.push_back(entry);
        }
    }
}
