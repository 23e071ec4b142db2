//! A cache of decisions of a filter by callsite.
//!
//! The metadata of a callsite is in static memory, so its address identifies it. An entry is one word,
//! the address and two bits, which are free because metadata is aligned. It does not matter that two
//! callsites share a place, or which of two threads writes last.
//!
//! A thread may decide by directives that are replaced meanwhile. It must not leave that decision: it
//! compares the number of changes from before and after. Either it swaps its entry before the thread
//! that clears the place, and the entry is cleared; or after it, and then it sees the change.

use std::fmt;
use std::ptr;
use std::sync::atomic::{AtomicUsize, Ordering};

use tracing::Metadata;

/// The decisions about the callsites that were asked for last.
pub(super) struct Decisions {
    entries: [AtomicUsize; PLACES],
    changes: AtomicUsize,
}

/// The number of places; a service has some hundred callsites, of which few are called often.
const PLACES: usize = 256;

/// The two lowest bits of an entry; an empty one has neither.
const ENABLED: usize = 1;
const DISABLED: usize = 2;

const _: () = assert!(align_of::<Metadata<'static>>() > (ENABLED | DISABLED));

impl Decisions {
    pub(super) fn new() -> Self {
        Decisions {
            entries: [const { AtomicUsize::new(0) }; PLACES],
            changes: AtomicUsize::new(0),
        }
    }

    /// Returns the decision about a callsite, which `decide` makes if it is not in the cache.
    #[inline]
    pub(super) fn get(
        &self,
        metadata: &'static Metadata<'static>,
        decide: impl FnOnce() -> bool,
    ) -> bool {
        let key = ptr::from_ref(metadata).addr();
        let entry = &self.entries[(key >> 4 ^ key >> 12) % PLACES];
        match entry.load(Ordering::Relaxed) ^ key {
            ENABLED => true,
            DISABLED => false,
            _ => self.fill(entry, key, decide),
        }
    }

    #[cold]
    fn fill(&self, entry: &AtomicUsize, key: usize, decide: impl FnOnce() -> bool) -> bool {
        let changes = self.changes.load(Ordering::Relaxed);
        let is_enabled = decide();
        let bits = if is_enabled { ENABLED } else { DISABLED };
        // Acquire: pairs with the Release of the swap in `clear`, whose thread has counted a change.
        // Release: makes swaps of other threads that read this one pair with `clear`, too.
        entry.swap(key | bits, Ordering::AcqRel);
        if self.changes.load(Ordering::Relaxed) != changes {
            entry.store(0, Ordering::Relaxed);
        }
        is_enabled
    }

    /// Forgets all decisions, after the directives were replaced.
    pub(super) fn clear(&self) {
        self.changes.fetch_add(1, Ordering::Relaxed);
        for entry in &self.entries {
            // Release: pairs with the Acquire of the swap in `fill`.
            entry.swap(0, Ordering::Release);
        }
    }
}

impl fmt::Debug for Decisions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Decisions").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;
    use std::thread;

    use tracing::callsite::Callsite;
    use tracing::metadata::Kind;
    use tracing::subscriber::Interest;
    use tracing::{Level, Metadata};

    use super::*;

    struct OneCallsite;

    static CALLSITE: OneCallsite = OneCallsite;
    static METADATA: Metadata<'static> = tracing::metadata! {
        name: "decisions",
        target: "decisions",
        level: Level::INFO,
        fields: &[],
        callsite: &CALLSITE,
        kind: Kind::EVENT,
    };

    impl Callsite for OneCallsite {
        fn set_interest(&self, _: Interest) {}

        fn metadata(&self) -> &Metadata<'_> {
            &METADATA
        }
    }

    #[test]
    fn a_decision_is_made_once_until_it_is_cleared() {
        let decisions = Decisions::new();
        for expected in [true, false, true] {
            assert_eq!(decisions.get(&METADATA, || expected), expected);
            assert_eq!(decisions.get(&METADATA, || !expected), expected);
            decisions.clear();
        }
    }

    #[test]
    fn a_decision_by_old_directives_does_not_stay() {
        let decisions = Decisions::new();
        let decided = decisions.get(&METADATA, || {
            decisions.clear();
            true
        });
        assert!(decided);
        assert!(!decisions.get(&METADATA, || false));
    }

    #[test]
    fn decisions_follow_the_directives_concurrently() {
        let decisions = Decisions::new();
        let directives = AtomicBool::new(false);
        thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    for _ in 0..2_000 {
                        decisions.get(&METADATA, || directives.load(Ordering::Acquire));
                    }
                });
            }
            for round in 0..1_000 {
                directives.store(round % 2 == 0, Ordering::Release);
                decisions.clear();
            }
            directives.store(true, Ordering::Release);
            decisions.clear();
        });
        assert!(decisions.get(&METADATA, || directives.load(Ordering::Acquire)));
    }
}
