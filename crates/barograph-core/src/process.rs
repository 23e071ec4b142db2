//! Events of the whole process, a fork and an exit, and constants of its system.
//!
//! Only the C library reports them, so this is here and not in the crates that need it.

#![expect(
    unsafe_code,
    reason = "only the C library tells of a fork, of an exit, and of the constants of a system"
)]

use std::panic::catch_unwind;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Once, OnceLock};

/// One more than the number of forks since [`watch_forks`].
static FORKS: AtomicU64 = AtomicU64::new(1);

/// Returns a number that changes in the child of a fork, if [`watch_forks`] was called in the parent. A
/// child has none of the threads of its parent, and the locks that those threads held stay locked.
///
/// Never 0. Costs one load.
#[inline]
pub fn generation() -> u64 {
    FORKS.load(Ordering::Relaxed)
}

/// Makes [`generation`] change in children that are forked from now on. Does nothing on systems without
/// `fork`.
pub fn watch_forks() {
    static WATCH: Once = Once::new();
    WATCH.call_once(|| {
        #[cfg(unix)]
        {
            extern "C" fn forked() {
                FORKS.fetch_add(1, Ordering::Relaxed);
            }
            // SAFETY: the registered function changes an atomic and does nothing else. Without memory
            // for it nothing is registered, and the generation does not change in children.
            unsafe { libc::pthread_atfork(None, None, Some(forked)) };
        }
    });
}

/// Calls the function when the process exits: when `main` returns or something calls
/// [`std::process::exit`], but not when the process is aborted or ended by a signal.
///
/// It is called on the thread that exits, after the destructors of that thread's thread-locals, while
/// all other threads continue; in a forked child, too. A panic in it is caught. Only the first function
/// counts.
///
/// Returns true if the function will be called.
pub fn on_exit(hook: fn()) -> bool {
    static HOOK: OnceLock<fn()> = OnceLock::new();
    static IS_REGISTERED: OnceLock<bool> = OnceLock::new();

    extern "C" fn run() {
        if let Some(hook) = HOOK.get() {
            // The panic has been printed, and there is no caller to pass it to.
            let _ = catch_unwind(hook);
        }
    }

    let is_first = HOOK.set(hook).is_ok();
    let is_registered = *IS_REGISTERED.get_or_init(|| register(run));
    is_first && is_registered
}

/// Returns the number of bytes of a page of memory, or None if the system does not say it.
#[cfg(unix)]
pub fn page_size() -> Option<u64> {
    constant(libc::_SC_PAGESIZE)
}

/// Returns the number of clock ticks in a second, or None if the system does not say it. It is the unit
/// of the times in `/proc/self/stat`.
#[cfg(unix)]
pub fn clock_ticks_per_second() -> Option<u64> {
    constant(libc::_SC_CLK_TCK)
}

#[cfg(unix)]
fn constant(name: std::ffi::c_int) -> Option<u64> {
    // SAFETY: the function only reads, and accepts every name.
    let value = unsafe { libc::sysconf(name) };
    u64::try_from(value).ok().filter(|value| *value > 0)
}

#[cfg(any(unix, windows))]
fn register(function: extern "C" fn()) -> bool {
    // libc declares it only for Unix; it is part of C.
    unsafe extern "C" {
        fn atexit(function: extern "C" fn()) -> std::ffi::c_int;
    }
    // SAFETY: this is the declaration of C11, 7.22.4.2. The function lives as long as the code, does not
    // unwind and may run on any thread.
    unsafe { atexit(function) == 0 }
}

#[cfg(not(any(unix, windows)))]
fn register(_: extern "C" fn()) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn constants_are_those_of_a_system() {
        assert!(page_size().is_some_and(u64::is_power_of_two));
        assert!(clock_ticks_per_second().is_some_and(|ticks| (1..=1_000_000).contains(&ticks)));
        assert_eq!(constant(-1), None);
    }

    #[test]
    fn one_hook_is_taken() {
        assert!(on_exit(|| {}));
        assert!(!on_exit(|| {}));
    }
}
