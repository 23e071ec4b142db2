//! A queue of numbers in place of records, and the format of their requests.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard};

use super::world::World;
use crate::{Backlog, Inflow, Pipeline, RecordFeed, Wake};
use barograph_encode::otlp::{Encoding, Request, Signal, WriteRecords, Written};

/// The number of records in a request.
pub(super) const BATCH: usize = 10;

/// A queue of numbers, each greater by one than the number before.
pub(super) struct Queue {
    numbers: Mutex<Numbers>,
    pub(super) wake: Wake,
}

#[derive(Default)]
pub(super) struct Numbers {
    waiting: VecDeque<u64>,
    pub(super) capacity: usize,
    pub(super) accepted: u64,
    pub(super) refused: u64,
    is_closed: bool,
    /// True if the pipeline was notified since the queue held less than a batch.
    is_rung: bool,
    /// The largest number of records that ever waited.
    pub(super) most: usize,
}

impl Queue {
    pub(super) fn new(capacity: usize) -> Arc<Self> {
        let numbers = Numbers {
            capacity,
            ..Numbers::default()
        };
        Arc::new(Queue {
            numbers: Mutex::new(numbers),
            wake: Wake::new(),
        })
    }

    pub(super) fn push(&self, count: u64) {
        for _ in 0..count {
            let mut numbers = self.numbers();
            if numbers.is_closed || numbers.waiting.len() >= numbers.capacity {
                numbers.refused += 1;
            } else {
                let number = numbers.accepted;
                numbers.accepted += 1;
                numbers.waiting.push_back(number);
            }
            numbers.most = numbers.most.max(numbers.waiting.len());
            let is_batch = numbers.waiting.len() >= BATCH;
            let was_rung = std::mem::replace(&mut numbers.is_rung, is_batch);
            drop(numbers);
            if is_batch && !was_rung {
                self.wake.ring();
            }
        }
    }

    pub(super) fn numbers(&self) -> MutexGuard<'_, Numbers> {
        self.numbers.lock().unwrap()
    }

    pub(super) fn waiting(&self) -> usize {
        self.numbers().waiting.len()
    }
}

impl Backlog for Queue {
    fn accepted(&self) -> u64 {
        self.numbers().accepted
    }

    fn refused(&self) -> u64 {
        self.numbers().refused
    }

    fn capacity(&self) -> u64 {
        self.numbers().capacity as u64
    }

    fn close(&self) {
        let mut numbers = self.numbers();
        numbers.is_closed = true;
        numbers.waiting.clear();
    }
}

impl Inflow<u64> for Queue {
    fn take(&self, at_most: usize, into: &mut Vec<Box<u64>>) {
        let mut numbers = self.numbers();
        let end = at_most.min(numbers.waiting.len());
        into.extend(numbers.waiting.drain(..end).map(Box::new));
        numbers.is_rung &= numbers.waiting.len() >= BATCH;
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

    fn at_most(&self) -> usize {
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
pub(super) fn pipeline(world: &World, queue: &Arc<Queue>) -> Pipeline {
    let inflow = Arc::clone(queue) as Arc<dyn Inflow<u64>>;
    let feed = RecordFeed::new(inflow, Ranges { too_large: 0 });
    world.pipeline_of(feed).with_wake(queue.wake.clone())
}

/// Returns the numbers that arrived, in order, after checking that none was in two requests.
#[track_caller]
pub(super) fn arrived(world: &World) -> Vec<u64> {
    let mut arrived: Vec<u64> = Vec::new();
    for text in world.state().arrived.keys() {
        let mut ends = text.split(':').skip(2).map(|n| n.parse::<u64>().unwrap());
        arrived.extend(ends.next().unwrap()..ends.next().unwrap());
    }
    arrived.sort_unstable();
    assert!(arrived.is_sorted_by(|a, b| a < b), "{arrived:?}");
    arrived
}
