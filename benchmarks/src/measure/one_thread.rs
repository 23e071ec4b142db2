//! Nanoseconds of thread CPU time per operation on one thread.

use crate::clock::thread_cpu_ns;
use crate::measure::{Done, Plan, Subject, Work};

/// Runs work on the calling thread.
pub(crate) struct OneThread<W> {
    work: W,
    done: Done,
    /// The number of operations in a round.
    batch: u64,
}

impl<W: Work> OneThread<W> {
    pub(crate) fn new(work: W) -> Self {
        Self {
            work,
            done: Done::default(),
            batch: 1_000,
        }
    }

    /// Finds the batch that takes `nanos`.
    pub(crate) fn calibrate(&mut self, nanos: f64) {
        loop {
            let took = self.timed();
            if took >= nanos / 4.0 {
                let batch = self.batch as f64 * nanos / took;
                self.batch = (batch as u64).max(1);
                return;
            }
            self.batch *= 2;
        }
    }

    /// Runs a batch and returns the nanoseconds per operation.
    pub(crate) fn nanos(&mut self) -> f64 {
        // Other libraries have filled the caches since the last round: half a batch warms them
        // again.
        self.advance(self.batch / 2);
        self.timed() / self.batch as f64
    }

    pub(crate) fn verify(&self) -> Result<(), String> {
        self.work.check(&self.done)
    }

    fn timed(&mut self) -> f64 {
        let start = thread_cpu_ns();
        self.advance(self.batch);
        (thread_cpu_ns() - start) as f64
    }

    fn advance(&mut self, operations: u64) {
        let from = self.done.0.last().map_or(0, |range| range.end);
        self.work.run(from..from + operations);
        self.done.0.push(from..from + operations);
    }
}

impl<W: Work> Subject for OneThread<W> {
    fn warm(&mut self, plan: Plan) {
        self.calibrate(plan.slice_ns());
    }

    fn round(&mut self, _plan: Plan) -> Option<f64> {
        Some(self.nanos())
    }

    fn check(&mut self) -> Result<(), String> {
        self.verify()
    }
}
