//! The lock-free protocols, and the atomics and locks that they use: the standard ones, or loom's under
//! `--cfg loom`.
//!
//! The same code runs in production and in the model checker. Only the modules that a model runs use
//! these atomics; statics and thread-locals, which loom cannot have, are elsewhere.

pub mod cache;
pub(crate) mod hash;
pub(crate) mod row;
pub(crate) mod pool;
pub(crate) mod table;

#[cfg(loom)]
pub(crate) use loom::cell::UnsafeCell;
#[cfg(loom)]
pub(crate) use loom::sync::{
    Mutex, MutexGuard,
    atomic::{AtomicBool, AtomicPtr, AtomicU8, AtomicU32, AtomicU64, Ordering, fence},
};
#[cfg(not(loom))]
pub(crate) use std::sync::{
    Mutex, MutexGuard,
    atomic::{AtomicBool, AtomicPtr, AtomicU8, AtomicU32, AtomicU64, Ordering, fence},
};

/// Locks a mutex, even if a thread panicked while it held it: the data that is guarded here is
/// consistent between any two statements that can panic.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// Locks a mutex, unless another thread holds it.
pub(crate) fn try_lock<T>(mutex: &Mutex<T>) -> Option<MutexGuard<'_, T>> {
    match mutex.try_lock() {
        Ok(guard) => Some(guard),
        Err(std::sync::TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
        Err(std::sync::TryLockError::WouldBlock) => None,
    }
}

/// A cell that is reached by pointer, in the form that lets loom track each access.
#[cfg(not(loom))]
pub(crate) struct UnsafeCell<T>(std::cell::UnsafeCell<T>);

#[cfg(not(loom))]
impl<T> UnsafeCell<T> {
    #[inline(always)]
    pub(crate) fn new(value: T) -> Self {
        UnsafeCell(std::cell::UnsafeCell::new(value))
    }

    #[inline(always)]
    pub(crate) fn with<R>(&self, f: impl FnOnce(*const T) -> R) -> R {
        f(self.0.get())
    }

    #[inline(always)]
    pub(crate) fn with_mut<R>(&self, f: impl FnOnce(*mut T) -> R) -> R {
        f(self.0.get())
    }
}

/// Returns true if a model has failed. Its threads then leave what loom tracks as it is.
#[inline(always)]
pub(crate) fn is_failed_model() -> bool {
    cfg!(loom) && std::thread::panicking()
}

/// A step of a protocol that a negative control leaves out, to see that loom finds the fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// `Storage::bring_back`: a revived series leaves limbo.
    LeaveLimbo,
    /// `Storage::restore`: a lookup of labels in limbo gets the series that is there.
    Restore,
    /// `Storage::drain`: the handles are checked before the total.
    HandlesFirst,
    /// `Storage::remove_shown`: a barrier between the state and the base.
    RemovalBarrier,
    /// `Storage::remove_shown`: an idle series is removed only if it still has its total.
    CompareTotal,
    /// `View::read`: the reader is pinned.
    ReaderPin,
    /// `View::show`: the state is checked again after the values.
    LookAgain,
    /// `Quiescence::begin`: it waits for threads without a block.
    WaitForOrphans,
    /// `Storage::promote`: the slot is published after its cells are zero.
    PublishSlot,
    /// `Storage::promote`: the filter is read and the slot published under the lock.
    PromotionLock,
}

/// Returns true if a step is left out. Always false outside the model checker.
#[cfg(not(loom))]
#[inline(always)]
pub(crate) const fn is_left_out(_: Step) -> bool {
    false
}

// A thread-local of the standard library: loom runs all threads of a model on one system thread, and
// the other tests run on others.
#[cfg(loom)]
std::thread_local! {
    static LEFT_OUT: std::cell::Cell<Option<Step>> = const { std::cell::Cell::new(None) };
}

#[cfg(loom)]
pub(crate) fn is_left_out(step: Step) -> bool {
    LEFT_OUT.get() == Some(step)
}

/// Leaves a step out of all models of this test from now on.
#[cfg(all(test, loom))]
pub(crate) fn leave_out(step: Step) {
    LEFT_OUT.set(Some(step));
}
