//! The number of allocations per part of the rendered output.

use crate::alloc::allocations_of;
use crate::measure::page::{Rendered, Sink};
use crate::measure::{Plan, Subject};

/// Renders once per round and counts the allocations.
pub(crate) struct Allocations {
    rendered: Rendered,
}

impl Allocations {
    pub(crate) fn new(rendered: Rendered) -> Self {
        Self { rendered }
    }
}

impl Subject for Allocations {
    fn warm(&mut self, _plan: Plan) {
        self.rendered.render(&mut |_| {});
    }

    fn round(&mut self, _plan: Plan) -> Option<f64> {
        let sink: Sink<'_> = &mut |_| {};
        let times = allocations_of(|| self.rendered.render(sink));
        Some(times as f64 / self.rendered.lines() as f64)
    }

    fn check(&mut self) -> Result<(), String> {
        self.rendered.check()
    }
}
