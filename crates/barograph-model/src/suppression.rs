//! Marks a thread that exports telemetry, so that its work is not traced.
//!
//! An exporter uses libraries that trace: `h2` has some hundred events for one request. If these were
//! exported, each request would cause the next one. So export code suppresses telemetry on its thread,
//! and the layers that make spans, log records and log lines check [`is_suppressed`] first.
//!
//! *Why not a scoped `tracing` subscriber?* As long as one thread has one, every thread looks for its
//! own subscriber, which costs each event some nanoseconds and drops events that are made while another
//! is formatted or while the thread ends. And a callsite asks the subscriber of the thread that reaches
//! it first and may keep the answer for all of them: a library that the exporter uses before the
//! service does would then stay silent for both. A flag affects no other thread.
//!
//! It is here because the exporter sets it and the layers read it, and neither depends on the other.

use std::cell::Cell;
use std::marker::PhantomData;

thread_local! {
    static IS_SUPPRESSED: Cell<bool> = const { Cell::new(false) };
}

/// Returns true if telemetry is suppressed on this thread. Never panics, also while the thread ends.
#[inline]
pub fn is_suppressed() -> bool {
    IS_SUPPRESSED.with(Cell::get)
}

/// Suppresses telemetry on this thread until the guard is dropped.
///
/// ```
/// use barograph_model::suppression;
/// let guard = suppression::suppress();
/// assert!(suppression::is_suppressed());
/// drop(guard);
/// assert!(!suppression::is_suppressed());
/// ```
pub fn suppress() -> Guard {
    Guard::new(true)
}

/// Allows telemetry on this thread until the guard is dropped, for the reports of an exporter.
pub fn allow() -> Guard {
    Guard::new(false)
}

/// A guard that restores the previous state when dropped.
#[derive(Debug)]
#[must_use = "the state of before is restored when it is dropped"]
pub struct Guard {
    before: bool,
    /// The state belongs to a thread.
    not_send: PhantomData<*const ()>,
}

impl Guard {
    fn new(is_suppressed: bool) -> Self {
        Guard {
            before: IS_SUPPRESSED.replace(is_suppressed),
            not_send: PhantomData,
        }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        IS_SUPPRESSED.set(self.before);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn guards_nest_and_are_of_one_thread() {
        let outer = suppress();
        assert!(is_suppressed());
        {
            let _report = allow();
            assert!(!is_suppressed());
            let _nested = suppress();
            assert!(is_suppressed());
        }
        assert!(is_suppressed());
        let elsewhere = std::thread::spawn(is_suppressed).join();
        assert!(!elsewhere.expect("it does not panic"));
        drop(outer);
        assert!(!is_suppressed());
    }
}
