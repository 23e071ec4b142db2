//! How a figure is taken: short rounds of thread CPU time, in turn, median of many.

mod work;

mod bytes;
mod one_thread;
mod page;
mod two_threads;

mod allocations;
mod difference;

use std::time::Duration;

pub(crate) use allocations::Allocations;
pub(crate) use bytes::Bytes;
pub(crate) use difference::Difference;
pub(crate) use one_thread::OneThread;
pub(crate) use page::{Page, Rendered, Sink, gzipped};
pub(crate) use two_threads::TwoThreads;
pub(crate) use work::{Done, Ops, Work, expect};

/// How long one measures.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    /// Rounds of a row; a row whose rounds are long asks for fewer.
    pub(crate) rounds: usize,
    /// Thread CPU time that one contender gets in one round.
    pub(crate) slice: Duration,
}

impl Plan {
    fn slice_ns(self) -> f64 {
        self.slice.as_nanos() as f64
    }
}

/// One library at one row: gives a figure a round, and proves in the end that it did the work.
pub(crate) trait Subject {
    /// Warms caches and predictors, and finds out how much work fills a round.
    fn warm(&mut self, plan: Plan);

    /// The figure of one round in the row's unit; none where the round does not count.
    fn round(&mut self, plan: Plan) -> Option<f64>;

    /// Compares what the library says was recorded with what was done.
    ///
    /// # Errors
    ///
    /// What differs.
    fn check(&mut self) -> Result<(), String>;
}

/// Whether a row's operations run on one thread or on two at once.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Threads {
    One,
    Two,
}

impl Threads {
    /// A subject that runs `work` so.
    pub(crate) fn run(self, work: impl Work + 'static) -> Box<dyn Subject> {
        match self {
            Self::One => Box::new(OneThread::new(work)),
            Self::Two => Box::new(TwoThreads::new(work)),
        }
    }
}

/// The middle of some figures; none of none.
pub(crate) fn median(figures: &[f64]) -> Option<f64> {
    let mut sorted = figures.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => None,
        count if count % 2 == 1 => Some(sorted[middle]),
        _ => Some(f64::midpoint(sorted[middle - 1], sorted[middle])),
    }
}
