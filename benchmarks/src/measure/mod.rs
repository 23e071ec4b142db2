//! The measurement method: short rounds of thread CPU time, in turn, and the median of many.

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

/// The length of a measurement.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    /// The number of rounds per row; a row with long rounds has fewer.
    pub(crate) rounds: usize,
    /// The thread CPU time of one contender in one round.
    pub(crate) slice: Duration,
}

impl Plan {
    fn slice_ns(self) -> f64 {
        self.slice.as_nanos() as f64
    }
}

/// One library in one row: measures a figure per round, and checks at the end that it did the work.
pub(crate) trait Subject {
    /// Warms caches and predictors, and determines how much work fills a round.
    fn warm(&mut self, plan: Plan);

    /// Returns the figure of one round in the row's unit, or `None` if the round does not count.
    fn round(&mut self, plan: Plan) -> Option<f64>;

    /// Compares what the library recorded with what was done.
    ///
    /// # Errors
    ///
    /// Returns the difference.
    fn check(&mut self) -> Result<(), String>;
}

/// The number of threads that run a row's operations at the same time.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Threads {
    One,
    Two,
}

impl Threads {
    /// Returns a subject that runs `work` on these threads.
    pub(crate) fn run(self, work: impl Work + 'static) -> Box<dyn Subject> {
        match self {
            Self::One => Box::new(OneThread::new(work)),
            Self::Two => Box::new(TwoThreads::new(work)),
        }
    }
}

/// Returns the median of the figures, or `None` if there are none.
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
