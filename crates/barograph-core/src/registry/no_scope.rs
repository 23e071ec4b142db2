//! No scope: without the feature `test-util` there is only the global registry.

use std::any::Any;
use std::sync::OnceLock;

use super::Registry;

/// Returns that this thread has no registry of its own.
#[inline(always)]
pub(super) fn registry() -> Option<&'static Registry> {
    None
}

/// Returns the value of the cell, which the first call makes.
#[inline(always)]
pub fn get_or_init<T: Any + Send + Sync>(
    cell: &'static OnceLock<T>,
    init: impl FnOnce() -> T,
) -> &'static T {
    cell.get_or_init(init)
}
