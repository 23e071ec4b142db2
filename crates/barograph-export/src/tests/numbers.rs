//! A record queue of numbers, and the format of their requests.

use barograph_core::record_queue::RecordQueue;
use barograph_encode::otlp::{Encoding, Request, Signal, WriteRecords, Written};

use super::harness::Harness;
use crate::{Pipeline, RecordSource};

/// The number of records in a request.
pub(super) const BATCH: usize = 10;

/// Pushes `count` numbers, each greater by one than the last one that the queue accepted.
pub(super) fn push(queue: &RecordQueue<u64>, count: u64) {
    for _ in 0..count {
        let _ = queue.push(Box::new(queue.counts().accepted));
    }
}

/// Writes numbers as `first:0:first:end`, where `end` is the number after the last one.
pub(super) struct Ranges {
    /// Multiples of this number are too large; 0 means that none are.
    pub(super) too_large: u64,
}

impl WriteRecords<u64> for Ranges {
    fn signal(&self) -> Signal {
        Signal::Traces
    }

    fn max_records(&self) -> usize {
        BATCH
    }

    fn write(&mut self, numbers: &[Box<u64>]) -> Option<Written> {
        let first = **numbers.first()?;
        let fits = |number: u64| self.too_large == 0 || !number.is_multiple_of(self.too_large);
        if !fits(first) {
            return Some(Written::TooLarge { bytes: 5000 });
        }
        let mut end = first;
        for number in numbers.iter().take_while(|number| fits(***number)) {
            assert_eq!(**number, end);
            end += 1;
        }
        Some(Written::Request(Request {
            signal: Signal::Traces,
            encoding: Encoding::Json,
            body: format!("{first}:0:{first}:{end}").into(),
            items: end - first,
        }))
    }
}

/// Creates a pipeline that takes from this queue.
pub(super) fn pipeline(harness: &Harness, queue: &RecordQueue<u64>) -> Pipeline {
    harness.pipeline_of(RecordSource::new(queue.clone(), Ranges { too_large: 0 }))
}

/// Returns the numbers that arrived, in order, after checking that none was in two requests.
#[track_caller]
pub(super) fn arrived(harness: &Harness) -> Vec<u64> {
    let mut arrived: Vec<u64> = Vec::new();
    for text in harness.state().arrived.keys() {
        let mut ends = text.split(':').skip(2).map(|n| n.parse::<u64>().unwrap());
        arrived.extend(ends.next().unwrap()..ends.next().unwrap());
    }
    arrived.sort_unstable();
    assert!(arrived.is_sorted_by(|a, b| a < b), "{arrived:?}");
    arrived
}
