//! The live bytes per series.

use crate::alloc::live_bytes_of;
use crate::measure::{Plan, Subject};

/// Builds many series in each round and counts the bytes that stay allocated.
pub(crate) struct Bytes<B, C> {
    series: usize,
    build: B,
    check: C,
    checked: Option<Result<(), String>>,
}

impl<T, B, C> Bytes<B, C>
where
    B: Fn() -> T,
    C: Fn(&T) -> Result<(), String>,
{
    /// `build` makes the series and records into each once; `check` counts them.
    pub(crate) fn new(series: usize, build: B, check: C) -> Self {
        Self {
            series,
            build,
            check,
            checked: None,
        }
    }
}

impl<T, B, C> Subject for Bytes<B, C>
where
    B: Fn() -> T,
    C: Fn(&T) -> Result<(), String>,
{
    fn warm(&mut self, _plan: Plan) {
        // One-time costs of the process are not part of the cost of a series.
        drop((self.build)());
    }

    fn round(&mut self, _plan: Plan) -> Option<f64> {
        let (bytes, built) = live_bytes_of(&self.build);
        self.checked.get_or_insert_with(|| (self.check)(&built));
        Some(bytes as f64 / self.series as f64)
    }

    fn check(&mut self) -> Result<(), String> {
        self.checked
            .clone()
            .unwrap_or_else(|| Err("never built".into()))
    }
}
