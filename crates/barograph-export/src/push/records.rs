//! Takes records from a queue and makes requests of them.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use barograph_model::log::LogRecord;
use barograph_model::span::SpanRecord;

use crate::otlp::{Request, Signal, WriteRecords, Written};
use crate::push::feed::{Fate, Feed, Oversized};
use crate::push::inflow::{Backlog, Inflow};

/// Makes requests of spans.
pub type SpanFeed = RecordFeed<SpanRecord>;

/// Makes requests of log records.
pub type LogFeed = RecordFeed<LogRecord>;

/// Makes requests of the records in a queue, in the order in which they came in.
///
/// A round takes out all that is in the queue when it begins, a request at a time, and nothing more
/// while a request is under way. So memory is bounded by the queue and one request; while the receiver
/// is away it is the queue that refuses what comes.
pub struct RecordFeed<T> {
    inflow: Arc<dyn Inflow<T>>,
    writer: Box<dyn WriteRecords<T>>,
    /// Taken out of the queue, and in no request yet.
    batch: Vec<Box<T>>,
    /// Records taken out so far.
    taken: u64,
    /// How many may be taken out in this round.
    until: u64,
    oversized: Oversized,
    given: Option<Request>,
    /// Whether what was given last is to be given once more.
    is_undone: bool,
}

impl<T: Send + 'static> RecordFeed<T> {
    /// A feed of this queue, from which nobody else takes.
    pub fn new(inflow: Arc<dyn Inflow<T>>, writer: impl WriteRecords<T> + 'static) -> Self {
        RecordFeed {
            inflow,
            writer: Box::new(writer),
            batch: Vec::new(),
            taken: 0,
            until: 0,
            oversized: Oversized::default(),
            given: None,
            is_undone: false,
        }
    }

    /// Fills the batch, as far as this round goes.
    fn fill(&mut self) {
        let room = self.writer.at_most().saturating_sub(self.batch.len());
        let left = self.until.saturating_sub(self.taken);
        let most = room.min(usize::try_from(left).unwrap_or(usize::MAX));
        if most == 0 {
            return;
        }
        let before = self.batch.len();
        for _ in 0..LOOKS {
            self.inflow.take(most, &mut self.batch);
            if !self.batch.is_empty() {
                break;
            }
            // Somebody was stopped in the middle of putting a record in; see `Backlog::accepted`.
            std::thread::sleep(A_MOMENT);
        }
        let taken = self.batch.len().saturating_sub(before);
        self.taken = self.taken.saturating_add(taken as u64);
    }
}

impl<T: Send + 'static> Feed for RecordFeed<T> {
    fn signal(&self) -> Signal {
        self.writer.signal()
    }

    fn begin(&mut self, _now: SystemTime) {
        self.until = self.inflow.accepted();
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
            self.inflow.give_back(records, written.bytes());
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

    fn settle(&mut self, fate: Fate) {
        match fate {
            Fate::Settled => self.given = None,
            Fate::Undone => self.is_undone = self.given.is_some(),
        }
    }

    fn is_overtaken(&self) -> bool {
        false
    }

    fn backlog(&self) -> Option<Arc<dyn Backlog>> {
        Some(Arc::clone(&self.inflow) as Arc<dyn Backlog>)
    }

    fn batch(&self) -> u64 {
        self.writer.at_most() as u64
    }

    fn oversized(&mut self) -> Oversized {
        std::mem::take(&mut self.oversized)
    }
}

/// How often a record is looked for that was accepted and is not there yet.
const LOOKS: u32 = 20;
const A_MOMENT: Duration = Duration::from_millis(1);

impl<T> fmt::Debug for RecordFeed<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecordFeed")
            .field("signal", &self.writer.signal())
            .field("taken", &self.taken)
            .finish_non_exhaustive()
    }
}
