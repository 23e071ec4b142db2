//! States and windows: operations that are periods of time and not calls.

use std::fmt;

use super::active_operation::ActiveOperation;
use super::attribute::AttributeValue;
use super::guard::Guard;

/// A thing with a sequence of states: a connection, a circuit breaker, a job.
///
/// Each period in a state is an operation with a span `thing/state`. A change of state is an event in
/// the span that ends. Dropping the value ends the last period successfully: being in a state cannot
/// be canceled.
///
/// ```
/// # extern crate barograph_tracing as barograph;
/// use barograph::observe::States;
///
/// let mut breaker = States::new("Breaker", "closed");
/// breaker.enter("open");
/// assert_eq!(breaker.current(), "open");
/// ```
pub struct States {
    thing: String,
    state: String,
    guard: Option<Guard>,
}

impl States {
    /// Creates a thing in its first state. Both names should have few different values.
    pub fn new(thing: &str, state: &str) -> Self {
        States {
            thing: thing.to_owned(),
            state: state.to_owned(),
            guard: Some(stay(thing, state)),
        }
    }

    /// Changes to another state. Does nothing if the thing is already in it.
    pub fn enter(&mut self, state: &str) {
        if state == self.state {
            return;
        }
        if let Some(mut guard) = self.guard.take() {
            let change = [
                ("state.from", AttributeValue::from(&self.state)),
                ("state.to", AttributeValue::from(state)),
            ];
            guard.event("state.changed", &change);
            guard.succeed();
        }
        self.guard = Some(stay(&self.thing, state));
        state.clone_into(&mut self.state);
    }

    /// Returns the current state.
    pub fn current(&self) -> &str {
        &self.state
    }

    /// Emits an event in the span of this state.
    pub fn event(&mut self, name: &str, attributes: &[(&'static str, AttributeValue<'_>)]) {
        if let Some(guard) = &mut self.guard {
            guard.event(name, attributes);
        }
    }
}

impl Drop for States {
    fn drop(&mut self) {
        if let Some(guard) = self.guard.take() {
            guard.succeed();
        }
    }
}

impl fmt::Debug for States {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} in {}", self.thing, self.state)
    }
}

fn stay(thing: &str, state: &str) -> Guard {
    Guard::new(ActiveOperation::named(thing, state))
}

/// A period of time in which items are collected: a minute of orders, a batch that fills.
///
/// It is an operation that ends successfully when it is closed, with an event that has the number of
/// items. If it is dropped, it was canceled.
///
/// ```
/// # extern crate barograph_tracing as barograph;
/// use barograph::observe::Window;
///
/// let mut window = Window::open("Orders", "minute");
/// window.add(3);
/// assert_eq!(window.close(), 3);
/// ```
#[derive(Debug)]
#[must_use = "a window that is dropped at once was canceled"]
pub struct Window {
    guard: Guard,
    items: u64,
}

impl Window {
    /// Opens a window.
    pub fn open(service: &str, name: &str) -> Self {
        Window {
            guard: Guard::new(ActiveOperation::named(service, name)),
            items: 0,
        }
    }

    /// Adds to the number of items.
    pub fn add(&mut self, items: u64) {
        self.items = self.items.saturating_add(items);
    }

    /// Emits an event in the span of the window.
    pub fn event(&mut self, name: &str, attributes: &[(&'static str, AttributeValue<'_>)]) {
        self.guard.event(name, attributes);
    }

    /// Closes the window. Returns the number of items.
    pub fn close(mut self) -> u64 {
        let items = i64::try_from(self.items).unwrap_or(i64::MAX);
        self.guard
            .event("window.closed", &[("window.items", items.into())]);
        self.guard.succeed();
        self.items
    }
}
