//! The added cost of something: the same loop with and without it, in turn.

use crate::measure::{OneThread, Plan, Subject, Work, median};

/// Measures by how many nanoseconds an operation of `with` is slower than one of `without`.
pub(crate) struct Difference<A, B> {
    without: OneThread<A>,
    with: OneThread<B>,
}

impl<A: Work, B: Work> Difference<A, B> {
    pub(crate) fn new(without: A, with: B) -> Self {
        Self {
            without: OneThread::new(without),
            with: OneThread::new(with),
        }
    }
}

impl<A: Work, B: Work> Subject for Difference<A, B> {
    fn warm(&mut self, plan: Plan) {
        let part = plan.slice_ns() / TURNS as f64;
        self.without.calibrate(part);
        self.with.calibrate(part);
    }

    fn round(&mut self, _plan: Plan) -> Option<f64> {
        let mut nanos = [Vec::with_capacity(TURNS), Vec::with_capacity(TURNS)];
        for _ in 0..TURNS {
            nanos[0].push(self.without.nanos());
            nanos[1].push(self.with.nanos());
        }
        Some(median(&nanos[1])? - median(&nanos[0])?)
    }

    fn check(&mut self) -> Result<(), String> {
        self.without.verify()?;
        self.with.verify()
    }
}

/// Many short turns: with two long slices, drift would hide a small difference.
const TURNS: usize = 5;
