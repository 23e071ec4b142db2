//! Counts the bytes that a search reads, so that a test can check that it reads each only a few times.

use std::cell::Cell;

thread_local! {
    static READ: Cell<usize> = const { Cell::new(0) };
}

/// Counts one byte that is read.
pub(super) fn count() {
    READ.set(READ.get() + 1);
}

/// Returns the number of bytes that a function reads.
pub(super) fn of<T>(f: impl FnOnce() -> T) -> usize {
    let before = READ.get();
    f();
    READ.get() - before
}
