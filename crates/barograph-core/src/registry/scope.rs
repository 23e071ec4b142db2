//! The registry and the clock that a test sets for a thread.
//!
//! # Why a scope is never freed
//!
//! A callsite of the macros returns a reference that lives as long as the program, so the instrument that
//! it resolves to in a scope has to live as long, and with it the registry. Each scope and each callsite
//! in it is leaked once, not once per call: some kilobytes for each test. All of it stays reachable from
//! [`ALL`], so that leak checkers do not report it.

use std::any::Any;
use std::cell::Cell;
use std::collections::HashMap;
use std::fmt;
use std::marker::PhantomData;
use std::sync::{Mutex, OnceLock, PoisonError};

use super::Registry;
use crate::clock::{self, ManualClock};

thread_local! {
    static CURRENT: Cell<Option<&'static Inner>> = const { Cell::new(None) };
}

/// All scopes there ever were.
static ALL: Mutex<Vec<&'static Inner>> = Mutex::new(Vec::new());

/// A registry and a clock that replace the global registry and the clock of the system on threads that
/// have [entered](Self::enter) the scope. Copies are the same scope.
///
/// For libraries that capture the telemetry of a test. A scope is never freed.
///
/// ```
/// # extern crate barograph_core as barograph;
/// use barograph::clock::ManualClock;
/// use barograph::registry::{Registry, CaptureScope};
/// use barograph::counter;
///
/// let registry = Registry::new();
/// let scope = CaptureScope::new(&registry, &ManualClock::at(0));
/// let record = || counter!("scope.orders").inc();
/// {
///     let _inside = scope.enter();
///     record();
/// }
/// record();
/// assert_eq!(registry.value("scope.orders", &[]), Some(1.0));
/// assert_eq!(Registry::global().value("scope.orders", &[]), Some(1.0));
/// ```
#[derive(Clone, Copy)]
pub struct CaptureScope(&'static Inner);

struct Inner {
    registry: Registry,
    clock: ManualClock,
    /// The values that replace those of cells, by the address of the cell.
    values: Mutex<HashMap<usize, &'static (dyn Any + Send + Sync)>>,
}

impl CaptureScope {
    /// Creates a scope. It is never freed.
    pub fn new(registry: &Registry, clock: &ManualClock) -> Self {
        let inner: &'static Inner = Box::leak(Box::new(Inner {
            registry: registry.clone(),
            clock: clock.clone(),
            values: Mutex::default(),
        }));
        ALL.lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(inner);
        CaptureScope(inner)
    }

    /// Makes this the scope of this thread until the guard is dropped.
    #[must_use = "the scope is left when the guard is dropped"]
    pub fn enter(self) -> CaptureScopeGuard {
        CaptureScopeGuard {
            scope: CURRENT.replace(Some(self.0)),
            clock: clock::scope::replace(Some(&self.0.clock)),
            on_this_thread: PhantomData,
        }
    }
}

impl fmt::Debug for CaptureScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CaptureScope")
            .field("registry", &self.0.registry)
            .finish_non_exhaustive()
    }
}

/// A guard that restores the previous scope when dropped.
///
/// Guards must be dropped in the reverse order of their creation. A guard stays on its thread.
pub struct CaptureScopeGuard {
    scope: Option<&'static Inner>,
    clock: Option<&'static ManualClock>,
    on_this_thread: PhantomData<*const ()>,
}

impl Drop for CaptureScopeGuard {
    fn drop(&mut self) {
        CURRENT.set(self.scope);
        clock::scope::replace(self.clock);
    }
}

impl fmt::Debug for CaptureScopeGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CaptureScopeGuard").finish_non_exhaustive()
    }
}

/// Returns the registry of this thread's scope.
pub(super) fn registry() -> Option<&'static Registry> {
    CURRENT.get().map(|scope| &scope.registry)
}

/// Returns the value of the cell, or in a scope the one that stands for this cell there. Either is made
/// by the first call.
#[inline]
pub fn get_or_init<T: Any + Send + Sync>(
    cell: &'static OnceLock<T>,
    init: impl FnOnce() -> T,
) -> &'static T {
    match CURRENT.get() {
        None => cell.get_or_init(init),
        Some(scope) => scope.value(std::ptr::from_ref(cell).addr(), init),
    }
}

impl Inner {
    #[cold]
    fn value<T: Any + Send + Sync>(&self, cell: usize, init: impl FnOnce() -> T) -> &'static T {
        let known = || {
            let values = self.values.lock().unwrap_or_else(PoisonError::into_inner);
            values.get(&cell).copied()
        };
        let value = known().unwrap_or_else(|| {
            // Not while it is locked: what registers an instrument may report, and the receiver of the
            // report may record.
            let new: Box<T> = Box::new(init());
            let mut values = self.values.lock().unwrap_or_else(PoisonError::into_inner);
            *values.entry(cell).or_insert_with(|| Box::leak(new))
        });
        value
            .downcast_ref()
            .expect("a cell is static, so its address is that of no other cell")
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::time::Duration;

    use super::*;
    use crate::clock::{Clock as _, Stopwatch, SystemClock, TickClock};
    use crate::{Counter, counter, describe, histogram};

    fn scope() -> (Registry, ManualClock, CaptureScope) {
        let (registry, clock) = (Registry::new(), ManualClock::at(1_000));
        let scope = CaptureScope::new(&registry, &clock);
        (registry, clock, scope)
    }

    fn order() -> &'static Counter {
        counter!("scoped.orders")
    }

    #[test]
    fn callsites_record_into_the_scope_and_afterwards_into_the_global_registry() {
        let (first, _, in_first) = scope();
        let (second, _, in_second) = scope();
        let visit = |page: &str| counter!("scoped.visits", page = page).inc();
        for (scope, times) in [(in_first, 1), (in_second, 2), (in_first, 3)] {
            let _inside = scope.enter();
            for _ in 0..times {
                order().inc();
                visit("home");
            }
        }
        order().add(10);
        visit("home");
        let home = [("page", "home")];
        let global = Registry::global();
        for (registry, orders, visits) in
            [(&first, 4.0, 4.0), (&second, 2.0, 2.0), (global, 10.0, 1.0)]
        {
            assert_eq!(registry.value("scoped.orders", &[]), Some(orders));
            assert_eq!(registry.value("scoped.visits", &home), Some(visits));
        }
    }

    #[test]
    fn a_callsite_resolves_once_in_each_scope() {
        let (_, _, in_first) = scope();
        let (_, _, in_second) = scope();
        let of = |scope: CaptureScope| {
            let _inside = scope.enter();
            order()
        };
        assert!(std::ptr::eq(of(in_first), of(in_first)));
        assert!(!std::ptr::eq(of(in_first), of(in_second)));
        assert!(!std::ptr::eq(of(in_first), order()));
    }

    #[test]
    fn descriptions_belong_to_the_scope() {
        let (registry, _, scope) = scope();
        {
            let _inside = scope.enter();
            describe!("scoped.duration", unit = "s", help = "Time.");
            histogram!("scoped.duration").observe(0.3);
        }
        use barograph_model::snapshot::Source as _;
        let families = registry.collect();
        assert_eq!(&*families[0].descriptor().unit, "s");
        assert_eq!(Registry::global().value("scoped.duration", &[]), None);
    }

    #[test]
    fn the_inner_scope_wins_and_a_panic_restores_the_outer_one() {
        let (outer, _, in_outer) = scope();
        let (inner, _, in_inner) = scope();
        {
            let _outside = in_outer.enter();
            let panicked = catch_unwind(AssertUnwindSafe(|| {
                let _inside = in_inner.enter();
                counter!("scoped.nested").inc();
                panic!("expected");
            }));
            assert!(panicked.is_err());
            counter!("scoped.nested").add(2);
        }
        assert_eq!(inner.value("scoped.nested", &[]), Some(1.0));
        assert_eq!(outer.value("scoped.nested", &[]), Some(2.0));
        assert!(std::ptr::eq(Registry::current(), Registry::global()));
    }

    #[test]
    fn clocks_and_stopwatches_show_the_manual_clock() {
        let (_, clock, scope) = scope();
        let inside = scope.enter();
        let stopwatch = Stopwatch::start();
        assert_eq!(SystemClock.unix_nanos(), 1_000);
        assert_eq!(TickClock.unix_nanos(), 1_000);
        assert_eq!(stopwatch.elapsed(), Duration::ZERO);
        clock.advance(Duration::from_millis(250));
        assert_eq!(TickClock.unix_nanos(), 250_001_000);
        assert_eq!(stopwatch.elapsed(), Duration::from_millis(250));
        drop(inside);
        assert!(SystemClock.unix_nanos() > 250_001_000);
        let elsewhere = std::thread::spawn(move || stopwatch.elapsed());
        assert_eq!(elsewhere.join().unwrap(), Duration::from_millis(250));
    }

    #[test]
    fn other_threads_are_not_in_the_scope() {
        let (registry, _, scope) = scope();
        let _inside = scope.enter();
        std::thread::scope(|threads| {
            threads.spawn(|| {
                counter!("scoped.elsewhere").inc();
                assert!(SystemClock.unix_nanos() > 1_000);
            });
        });
        assert_eq!(registry.value("scoped.elsewhere", &[]), None);
    }
}
