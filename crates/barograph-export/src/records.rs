//! Builds requests from the records of a queue.

use std::fmt;
use std::time::{Duration, SystemTime};

use barograph_core::record_queue::{QueueHandle, RecordQueue};
use barograph_model::log::LogRecord;
use barograph_model::span::SpanRecord;

use crate::request_source::{Ack, Oversized, RequestSource};
use barograph_encode::otlp::{Request, Signal, WriteRecords, Written};

/// Builds requests from spans.
pub type SpanSource = RecordSource<SpanRecord>;

/// Builds requests from log records.
pub type LogSource = RecordSource<LogRecord>;

/// Builds requests from the records in a queue, in the order in which they arrived.
///
/// An export cycle takes everything that is in the queue when it begins, one request at a time, and
/// takes nothing while a request is in flight. So memory is bounded by the queue and one request;
/// while the receiver is unavailable, the queue is what refuses new records.
pub struct RecordSource<T> {
    queue: RecordQueue<T>,
    writer: Box<dyn WriteRecords<T>>,
    /// Records that were taken out of the queue and are not in a request yet.
    batch: Vec<Box<T>>,
    /// The number of records taken out so far.
    taken: u64,
    /// The value of `taken` at which this cycle ends.
    until: u64,
    oversized: Oversized,
    given: Option<Request>,
    /// True if `next` must return the last request again.
    is_undone: bool,
}

impl<T: Send + 'static> RecordSource<T> {
    /// Creates a source for this queue, which must have no other consumer.
    pub fn new(queue: RecordQueue<T>, writer: impl WriteRecords<T> + 'static) -> Self {
        RecordSource {
            queue,
            writer: Box::new(writer),
            batch: Vec::new(),
            taken: 0,
            until: 0,
            oversized: Oversized::default(),
            given: None,
            is_undone: false,
        }
    }

    /// Fills the batch from the queue, up to the end of this cycle.
    fn fill(&mut self) {
        let room = self.writer.max_records().saturating_sub(self.batch.len());
        let left = self.until.saturating_sub(self.taken);
        let most = room.min(usize::try_from(left).unwrap_or(usize::MAX));
        if most == 0 {
            return;
        }
        let before = self.batch.len();
        for _ in 0..LOOKS {
            self.queue.pop_into(&mut self.batch, most);
            if !self.batch.is_empty() {
                break;
            }
            // A producer was interrupted while it pushed a record.
            std::thread::sleep(A_MOMENT);
        }
        let taken = self.batch.len().saturating_sub(before);
        self.taken = self.taken.saturating_add(taken as u64);
    }
}

impl<T: Send + 'static> RequestSource for RecordSource<T> {
    fn signal(&self) -> Signal {
        self.writer.signal()
    }

    fn begin(&mut self, _now: SystemTime) {
        self.until = self.queue.counts().accepted;
    }

    fn next(&mut self) -> Option<Request> {
        if !std::mem::take(&mut self.is_undone) {
            self.given = None;
        }
        while self.given.is_none() {
            self.fill();
            let Some(written) = self.writer.write(&self.batch) else {
                break;
            };
            let records = self.batch.drain(..written.records());
            self.queue.recycle(records, written.bytes());
            match written {
                Written::Request(request) => self.given = Some(request),
                Written::TooLarge { bytes } => {
                    self.oversized.items = self.oversized.items.saturating_add(1);
                    self.oversized.bytes = self.oversized.bytes.max(bytes);
                }
            }
        }
        self.given.clone()
    }

    fn ack(&mut self, ack: Ack) {
        match ack {
            Ack::Done => self.given = None,
            Ack::Undelivered => self.is_undone = self.given.is_some(),
        }
    }

    fn is_superseded(&self) -> bool {
        false
    }

    fn queue(&self) -> Option<QueueHandle> {
        Some(self.queue.handle())
    }

    fn batch(&self) -> u64 {
        self.writer.max_records() as u64
    }

    fn oversized(&mut self) -> Oversized {
        std::mem::take(&mut self.oversized)
    }
}

/// The number of attempts to take a record that was accepted but is not stored yet.
const LOOKS: u32 = 20;
const A_MOMENT: Duration = Duration::from_millis(1);

impl<T> fmt::Debug for RecordSource<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecordSource")
            .field("signal", &self.writer.signal())
            .field("taken", &self.taken)
            .finish_non_exhaustive()
    }
}
