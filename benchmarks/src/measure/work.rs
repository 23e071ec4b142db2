//! A loop of one operation, with a check that the operations were recorded.

use std::hint::black_box;
use std::ops::Range;

/// Operations that can be run from any thread, and counted afterwards.
pub(crate) trait Work: Send + Sync {
    /// Runs operations `range.start` to `range.end`.
    fn run(&self, range: Range<u64>);

    /// Compares what the library counted with the operations that were done.
    ///
    /// # Errors
    ///
    /// Returns the difference.
    fn check(&self, done: &Done) -> Result<(), String>;
}

/// The operations that were done, as ranges of their numbers. Ranges of different threads overlap.
#[derive(Debug, Default)]
pub(crate) struct Done(pub(crate) Vec<Range<u64>>);

impl Done {
    /// The number of operations.
    pub(crate) fn operations(&self) -> u64 {
        self.0.iter().map(|range| range.end - range.start).sum()
    }

    /// Fails unless the library's total equals the number of operations times `each`.
    pub(crate) fn expect_total(&self, each: f64, total: f64) -> Result<(), String> {
        expect("total", self.operations() as f64 * each, total)
    }
}

/// Fails unless both numbers are equal, except for rounding of sums.
pub(crate) fn expect(what: &str, expected: f64, found: f64) -> Result<(), String> {
    let tolerance = if expected.fract() == 0.0 {
        0.0
    } else {
        expected.abs() * 1e-9
    };
    if (expected - found).abs() <= tolerance {
        Ok(())
    } else {
        Err(format!("{what} is {found}, {expected} expected"))
    }
}

/// Work that consists of a library's state, one operation on it, and a check.
pub(crate) struct Ops<S, O, C> {
    state: S,
    operation: O,
    check: C,
}

impl<S, O, C> Ops<S, O, C>
where
    S: Send + Sync,
    O: Fn(&S, u64) + Send + Sync,
    C: Fn(&S, &Done) -> Result<(), String> + Send + Sync,
{
    pub(crate) fn new(state: S, operation: O, check: C) -> Self {
        Self {
            state,
            operation,
            check,
        }
    }
}

impl<S, O, C> Work for Ops<S, O, C>
where
    S: Send + Sync,
    O: Fn(&S, u64) + Send + Sync,
    C: Fn(&S, &Done) -> Result<(), String> + Send + Sync,
{
    fn run(&self, range: Range<u64>) {
        for operation in range {
            // Hidden from the optimizer, like a handle in another crate's static: nothing about it may
            // stay in registers between operations.
            (self.operation)(black_box(&self.state), operation);
        }
    }

    fn check(&self, done: &Done) -> Result<(), String> {
        (self.check)(&self.state, done)
    }
}
