//! State sets: fixed lists of states that are on or off.

use std::fmt;

use barograph_model::descriptor::Kind;

use crate::instruments::handle::{Handle, Instrument, Sealed};
use crate::instruments::spec::Spec;
use crate::series::storage::{Layout, REMOVED_BITS};
use crate::sync::Ordering;

/// A fixed list of states that are on or off. Clones share storage.
///
/// Source: OpenMetrics 1.0 "StateSet".
///
/// ```
/// # extern crate barograph_core as barograph;
/// use barograph::Registry;
/// let registry = Registry::new();
/// let phase = registry.state_set("job.phase", ["waiting", "running", "done"]).build()?;
/// phase.switch_to("running");
/// assert!(phase.is_on("running") && !phase.is_on("waiting"));
/// # Ok::<(), barograph_core::RegisterError>(())
/// ```
#[derive(Clone)]
pub struct StateSet {
    handle: Handle,
}

impl StateSet {
    /// Turns a state on. A state that is not in the list is ignored.
    pub fn turn_on(&self, state: &str) {
        if let Some(bit) = self.bit(state) {
            self.change(|bits| bits | bit);
        }
    }

    /// Turns a state off. A state that is not in the list is ignored.
    pub fn turn_off(&self, state: &str) {
        if let Some(bit) = self.bit(state) {
            self.change(|bits| bits & !bit);
        }
    }

    /// Turns a state on and all others off. A state that is not in the list is ignored.
    pub fn switch_to(&self, state: &str) {
        if let Some(bit) = self.bit(state) {
            self.change(|_| bit);
        }
    }

    /// Returns true if a state is on.
    pub fn is_on(&self, state: &str) -> bool {
        let bits = without_mark(self.handle.series().cold().cell.load(Ordering::Relaxed));
        self.bit(state).is_some_and(|bit| bits & bit != 0)
    }

    fn bit(&self, state: &str) -> Option<u64> {
        let states = &self.handle.storage().descriptor().states;
        let place = states.iter().position(|s| **s == *state)?;
        Some(1 << place)
    }

    fn change(&self, change: impl Fn(u64) -> u64) {
        let cell = &self.handle.series().cold().cell;
        let mut old = cell.load(Ordering::Relaxed);
        loop {
            let new = change(without_mark(old));
            match cell.compare_exchange_weak(old, new, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return,
                Err(now) => old = now,
            }
        }
    }
}

/// Returns the states without the removal mark: a removed state set begins with all states off. The
/// mark has a bit that no state has.
fn without_mark(bits: u64) -> u64 {
    if bits == REMOVED_BITS { 0 } else { bits }
}

impl fmt::Debug for StateSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("StateSet").field(&self.handle).finish()
    }
}

impl Sealed for StateSet {}

impl Instrument for StateSet {
    fn from_handle(handle: Handle) -> Self {
        StateSet { handle }
    }

    fn layout(_: &Spec) -> Layout {
        Layout::States
    }

    fn kind() -> Kind {
        Kind::StateSet
    }
}
